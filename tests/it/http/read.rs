//! Reads: pages, single events, streams, the list, and their tags.

use cosmos_event_store::NewEvent;
use serde_json::{Value, json};

use super::service::{Answer, Served};
use crate::fixture::{event, events, manual_clock};

fn numbers(page: &Value) -> Vec<u64> {
    let events = page["events"].as_array().unwrap();
    events.iter().map(|event| event["sequenceNumber"].as_u64().unwrap()).collect()
}

/// Follows the links to the end.
async fn all_numbers(served: &Served, path: &str) -> (Vec<u64>, usize) {
    let (mut all, mut pages) = (Vec::new(), 0);
    let mut next = Some(path.to_owned());
    while let Some(path) = next {
        let answer = served.get(&path).await;
        let page = answer.ok(200);
        all.extend(numbers(&page));
        pages += 1;
        next = page["next"].as_str().map(str::to_owned);
        let link = next.as_ref().map(|next| format!("<{next}>; rel=\"next\""));
        let links = answer.header("link");
        assert_eq!(links.contains("rel=\"next\""), link.is_some());
        assert!(links.contains(&link.unwrap_or_default()), "{links}");
        assert!(links.contains("rel=\"first\""), "{links}");
    }
    (all, pages)
}

#[tokio::test]
async fn pages_follow_each_other_in_both_directions() {
    let served = Served::new().await;
    served.fixture.given("s/1 \u{e9}%", &events(10)).await;
    let path = "/streams/s%2F1%20%C3%A9%25/events";
    let (all, pages) = all_numbers(&served, &format!("{path}?limit=4")).await;
    assert_eq!((all, pages), ((1..=10).collect(), 3));
    let (all, pages) = all_numbers(&served, &format!("{path}?limit=5")).await;
    assert_eq!((all, pages), ((1..=10).collect(), 2), "a full last page has no next one");
    let query = "?limit=3&direction=backwards&from=2&to=9";
    let (all, pages) = all_numbers(&served, &format!("{path}{query}")).await;
    assert_eq!((all, pages), ((2..=9).rev().collect(), 3));
    let page = served.get(&format!("{path}?from=3&to=4")).await.ok(200);
    assert_eq!((numbers(&page), &page["stream"]), (vec![3, 4], &json!("s/1 \u{e9}%")));
    for beyond in ["?from=11", "?from=5&to=4", "?asOf=2000-01-01T00:00:00Z"] {
        let page = served.get(&format!("{path}{beyond}")).await.ok(200);
        assert_eq!((numbers(&page), page.get("next")), (vec![], None), "{beyond}");
    }
    served.get("/streams/none/events").await.problem(404, "stream-not-found");
    served.get("/streams/none/events?from=7").await.problem(404, "stream-not-found");
}

#[tokio::test]
async fn a_page_costs_one_round_trip() {
    let served = Served::new().await;
    served.fixture.given("s-1", &events(10)).await;
    served.get("/streams/s-1/events?limit=2").await.ok(200);
    served.fixture.requests();
    for path in ["/streams/s-1/events?limit=4", "/streams/s-1/events/3", "/streams/s-1"] {
        let answer = served.get(path).await;
        answer.ok(200);
        assert_eq!(served.fixture.requests(), 1, "{path}");
        assert!(answer.header("request-charge").parse::<f64>().unwrap() >= 1.0);
    }
}

#[tokio::test]
async fn large_events_make_a_page_shorter() {
    let served = Served::new().await;
    let large = || NewEvent::new("Tested", "x".repeat(1_000_000)).unwrap();
    for _ in 0..20 {
        served.fixture.given("s-1", &[large()]).await;
    }
    let page = served.get("/streams/s-1/events?limit=1000").await;
    assert!(page.text.len() < 20_000_000 && page.json()["next"].is_string());
    let (all, pages) = all_numbers(&served, "/streams/s-1/events?limit=1000").await;
    assert_eq!((all, pages), ((1..=20).collect(), 2));
    let query = "limit=1000&direction=backwards";
    let (all, pages) = all_numbers(&served, &format!("/streams/s-1/events?{query}")).await;
    assert_eq!((all, pages), ((1..=20).rev().collect(), 2));
}

#[tokio::test]
async fn the_past_can_be_read() {
    let clock = manual_clock("2026-11-20T10:00:00Z");
    let time = clock.clone();
    let served = Served::with(|options| options.with_clock(time), |service| service).await;
    served.fixture.given("s-1", &[event(1)]).await;
    clock.advance(std::time::Duration::from_mins(1));
    served.fixture.given("s-1", &[event(2)]).await;
    for query in
        ["asOf=2026-11-20T10:00:30Z", "asOf=2026-11-20T11:00:30%2B01:00&direction=backwards"]
    {
        let page = served.get(&format!("/streams/s-1/events?{query}")).await.ok(200);
        assert_eq!(numbers(&page), [1], "{query}");
    }
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let served = Served::new().await;
    served.fixture.given("s-1", &events(2)).await;
    for (query, parameter) in [
        ("from=0", "from"),
        ("from=-1", "from"),
        ("from=%2B1", "from"),
        ("from=x", "from"),
        ("to=9007199254740992", "to"),
        ("to=99999999999999999999", "to"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("direction=up", "direction"),
        ("asOf=now", "asOf"),
        ("asof=2026-11-20T10:00:00Z", "asof"),
        ("from=1&from=2", "from"),
    ] {
        let answer = served.get(&format!("/streams/s-1/events?{query}")).await;
        let problem = answer.problem(400, "invalid-parameter");
        assert_eq!(problem["errors"][0]["parameter"], parameter, "{query}");
    }
    for path in ["/streams/a%00b", "/streams/%ff", &format!("/streams/{}", "x".repeat(129))] {
        let problem = served.get(path).await.problem(400, "invalid-parameter");
        assert_eq!(problem["errors"][0]["parameter"], "id", "{path}");
    }
    for path in ["/streams/s-1/events/0", "/streams/s-1/events/x", "/streams/s-1/events/+1"] {
        let problem = served.get(path).await.problem(400, "invalid-parameter");
        assert_eq!(problem["errors"][0]["parameter"], "n", "{path}");
    }
    for path in ["/streams/s-1?a=1", "/streams/s-1/events/1?a=1", "/?a=1"] {
        served.get(path).await.problem(400, "invalid-parameter");
    }
    for path in ["/healthz?a=1", "/metrics?a=1"] {
        served.get(path).await.problem(400, "invalid-parameter");
    }
    served.get("/streams?limit=2000").await.problem(400, "invalid-parameter");
    for token in ["x", "AAAAAAAAAAAAAAAAAAAA", "%00"] {
        let answer = served.get(&format!("/streams?continuation={token}")).await;
        let problem = answer.problem(400, "invalid-parameter");
        assert_eq!(problem["errors"][0]["parameter"], "continuation", "{token}");
    }
}

#[tokio::test]
async fn an_event_is_written_whole_and_never_changes() {
    let served = Served::new().await;
    let request = json!({"events": [
        {"type": "Tested", "data": {"b": 1, "a": [0.1]}, "metadata": {"actor": "me"}},
    ]});
    let receipt = served.post("s-1", &request).await.ok(201);
    let answer = served.get("/streams/s-1/events/1").await;
    let event = answer.ok(200);
    assert_eq!(event["stream"], "s-1");
    assert_eq!(event["sequenceNumber"], 1);
    assert_eq!(event["eventId"], receipt["eventIds"][0]);
    assert_eq!((&event["type"], &event["schemaVersion"]), (&json!("Tested"), &json!(1)));
    assert_eq!(
        (&event["aggregateType"], &event["metadata"]),
        (&json!("s"), &json!({"actor": "me"}))
    );
    assert_eq!(event["data"].to_string(), r#"{"b":1,"a":[0.1]}"#);
    assert_eq!(event["occurredAt"], event["recordedAt"]);
    assert_eq!(event["commit"], json!({"first": 1, "size": 1}));
    assert!(event["contentHash"].as_str().unwrap().starts_with("v1:"));
    assert!(answer.header("cache-control").contains("immutable"));
    served.get("/streams/s-1/events/2").await.problem(404, "event-not-found");
    served.get("/streams/none/events/1").await.problem(404, "event-not-found");
}

async fn unchanged(served: &Served, path: &str) -> Answer {
    let answer = served.get(path).await;
    answer.ok(200);
    let tag = answer.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2, "{tag}");
    for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
        let answer = served.get_with(path, &[("if-none-match", &known)]).await;
        assert_eq!((answer.status, answer.text.as_str()), (304, ""), "{path} {known}");
        assert_eq!(answer.header("etag"), tag);
    }
    served.get_with(path, &[("if-none-match", "\"x\"")]).await.ok(200);
    answer
}

#[tokio::test]
async fn what_the_client_has_is_not_sent_again() {
    let served = Served::new().await;
    served.fixture.given("s-1", &events(3)).await;
    let paths = ["/streams/s-1", "/streams/s-1/events?limit=2", "/streams/s-1/events?from=9"];
    let mut tags = Vec::new();
    for path in paths.iter().chain(&["/streams/s-1/events", "/streams/s-1/events/2"]) {
        tags.push(unchanged(&served, path).await.header("etag").to_owned());
    }
    let stream = served.get("/streams/s-1").await;
    assert_eq!(stream.header("etag"), "\"3\"");
    let stream = stream.ok(200);
    assert_eq!((&stream["version"], &stream["aggregateType"]), (&json!(3), &json!("s")));
    served.get("/streams/none").await.problem(404, "stream-not-found");
    // The tag of a full page stays, those of the end do not.
    served.fixture.given("s-1", &events(1)).await;
    let changed = async |path: &str, tag: &str| served.get(path).await.header("etag") != tag;
    assert!(changed("/streams/s-1", &tags[0]).await);
    assert!(!changed("/streams/s-1/events?limit=2", &tags[1]).await);
    assert!(changed("/streams/s-1/events", &tags[3]).await);
    assert!(!changed("/streams/s-1/events/2", &tags[4]).await);
}

#[tokio::test]
async fn streams_are_listed_with_links() {
    let served = Served::new().await;
    for n in 0..7 {
        served.fixture.given(&format!("s-{n}"), &events(2)).await;
    }
    let (mut found, mut next) = (Vec::new(), Some("/streams?limit=3".to_owned()));
    while let Some(path) = next {
        let answer = served.get(&path).await;
        let page = answer.ok(200);
        let streams = page["streams"].as_array().unwrap().clone();
        assert!(streams.len() <= 3);
        for stream in streams {
            assert_eq!(stream["aggregateType"], "s");
            let events = served.get(stream["events"].as_str().unwrap()).await.ok(200);
            assert_eq!(numbers(&events), [1, 2]);
            assert_eq!(events["events"][0]["recordedAt"], stream["firstRecordedAt"]);
            found.push(stream["stream"].as_str().unwrap().to_owned());
        }
        next = page["next"].as_str().map(str::to_owned);
        assert_eq!(answer.header("link").contains("rel=\"next\""), next.is_some());
    }
    found.sort();
    assert_eq!(found, (0..7).map(|n| format!("s-{n}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_session_token_is_honoured_or_refused() {
    let served = Served::new().await;
    served.fixture.given("s-1", &events(2)).await;
    let written = served.post("s-1", &json!({"events": [{"type": "A", "data": 1}]})).await;
    let token = written.header("session-token").to_owned();
    assert!(!token.is_empty());
    for path in ["/streams/s-1", "/streams/s-1/events", "/streams/s-1/events/3"] {
        served.get_with(path, &[("session-token", &token)]).await.ok(200);
        for garbage in ["x", "a b", ""] {
            let answer = served.get_with(path, &[("session-token", garbage)]).await;
            let problem = answer.problem(400, "invalid-parameter");
            assert_eq!(problem["errors"][0]["header"], "session-token");
        }
    }
}

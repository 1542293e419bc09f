//! `GET /feed`: all events, page by page and as they are stored.

mod stream;

use std::{collections::BTreeMap, time::Duration};

use cosmos_event_store::{EventStore, StoreOptions, store::CONTINUATION_BYTES_MAX};
use cosmos_local::{Fault, FaultAction};
use reqwest::Method;
use serde_json::{Value, json};

use super::service::{Answer, PATIENCE, Served, until};
use crate::fixture::{DATABASE, events, options};

/// The sequence numbers of each stream, as they came.
type Streams = BTreeMap<String, Vec<u64>>;

/// Appends to some streams, commits of different sizes, through the service.
async fn append(served: &Served, all: &mut Streams) {
    for stream in 0..12_u64 {
        let name = format!("s-{stream}");
        let events: Vec<Value> =
            (0..=stream % 4).map(|n| json!({"type": "Tested", "data": {"n": n}})).collect();
        served.post(&name, &json!({ "events": events })).await.ok(201);
        let numbers = all.entry(name).or_default();
        let last = numbers.last().copied().unwrap_or(0);
        numbers.extend((1..).take(events.len()).map(|n: u64| last + n));
    }
}

fn note(read: &mut Streams, event: &Value) {
    let numbers = read.entry(event["stream"].as_str().unwrap().to_owned()).or_default();
    let number = event["sequenceNumber"].as_u64().unwrap();
    assert_eq!(number, numbers.last().copied().unwrap_or(0) + 1, "in order, once: {event}");
    numbers.push(number);
}

fn note_all(read: &mut Streams, page: &Value) {
    for event in page["events"].as_array().unwrap() {
        note(read, event);
    }
}

/// A page; the link to the next one must be about what it says.
async fn page(served: &Served, path: &str) -> Value {
    let answer = served.get(path).await;
    let page = answer.ok(200);
    assert_eq!((answer.header("cache-control"), answer.header("vary")), ("no-store", "accept"));
    assert!(answer.header("request-charge").parse::<f64>().unwrap() > 0.0);
    let next = page["next"].as_str().unwrap();
    let after = page["after"].as_str().unwrap();
    assert!(next.starts_with(&format!("/feed?after={after}&limit=")), "{next}");
    assert_eq!(page["caughtUp"], json!(page["events"].as_array().unwrap().is_empty()));
    page
}

fn text<'a>(page: &'a Value, name: &str) -> &'a str {
    page[name].as_str().unwrap()
}

/// What the problem is about must be the parameter.
#[track_caller]
fn refused(answer: &Answer, parameter: &str) -> String {
    let problem = answer.problem(400, "invalid-parameter");
    assert_eq!(problem["errors"][0]["parameter"], parameter);
    problem["errors"][0]["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn pages_have_every_event_once_with_every_limit() {
    let served = Served::new().await;
    let mut all = Streams::new();
    append(&served, &mut all).await;
    append(&served, &mut all).await;
    for first in ["/feed", "/feed?limit=1", "/feed?limit=7", "/feed?limit=1000&wait=0"] {
        let (mut read, mut path) = (Streams::new(), first.to_owned());
        loop {
            let page = page(&served, &path).await;
            note_all(&mut read, &page);
            text(&page, "next").clone_into(&mut path);
            if page["caughtUp"] == true {
                break;
            }
        }
        assert_eq!(read, all, "{first}");
        // The same link goes on when there is something new.
        append(&served, &mut all).await;
        while read != all {
            let page = page(&served, &path).await;
            note_all(&mut read, &page);
            text(&page, "next").clone_into(&mut path);
        }
    }
}

#[tokio::test]
async fn an_event_looks_as_it_does_in_its_stream() {
    let served = Served::new().await;
    let new =
        json!({"events": [{"type": "Tested", "data": {"n": 1}, "metadata": {"actor": "me"}}]});
    served.post("s-1", &new).await.ok(201);
    let feed = page(&served, "/feed").await;
    let stream = served.get("/streams/s-1/events").await.ok(200);
    assert_eq!(feed["events"], stream["events"]);
    assert_eq!(served.get("/").await.ok(200)["feed"], "/feed");
}

#[tokio::test]
async fn an_append_is_in_one_page() {
    let served = Served::new().await;
    for stream in ["a", "b"] {
        served.fixture.given(stream, &events(5)).await;
    }
    let first = page(&served, "/feed?limit=2").await;
    assert_eq!(first["events"].as_array().unwrap().len(), 5);
    let first = page(&served, "/feed?limit=6").await;
    assert_eq!(first["events"].as_array().unwrap().len(), 10);
}

#[tokio::test]
async fn now_is_behind_what_is_stored() {
    let served = Served::new().await;
    append(&served, &mut Streams::new()).await;
    let now = page(&served, "/feed?after=now&limit=3").await;
    assert_eq!((&now["events"], &now["caughtUp"]), (&json!([]), &json!(true)));
    served.fixture.given("later", &events(2)).await;
    let mut read = Streams::new();
    note_all(&mut read, &page(&served, text(&now, "next")).await);
    assert_eq!(read, Streams::from([("later".to_owned(), vec![1, 2])]));
}

#[tokio::test]
async fn a_split_between_two_pages_loses_and_repeats_nothing() {
    let served = Served::new().await;
    let mut all = Streams::new();
    append(&served, &mut all).await;
    let mut read = Streams::new();
    let first = page(&served, "/feed?limit=9").await;
    note_all(&mut read, &first);
    served.control().split(DATABASE, "events", Some(0), None).await.unwrap();
    append(&served, &mut all).await;
    let mut path = text(&first, "next").to_owned();
    while read != all {
        let page = page(&served, &path).await;
        assert_eq!(page["caughtUp"], false);
        note_all(&mut read, &page);
        text(&page, "next").clone_into(&mut path);
    }
    assert_eq!(page(&served, &path).await["caughtUp"], true);
}

#[tokio::test]
async fn a_token_that_cannot_be_used_is_refused_by_name() {
    let served = Served::new().await;
    append(&served, &mut Streams::new()).await;
    let token = text(&page(&served, "/feed?limit=1").await, "after").to_owned();
    let cut = &token[..token.len() - 1];
    for bad in ["", "NOW", "1", "%FF", cut, &"a".repeat(CONTINUATION_BYTES_MAX)] {
        let answer = served.get(&format!("/feed?after={bad}")).await;
        assert!(answer.status == 400, "{answer:?}");
    }
    let detail = refused(&served.get(&format!("/feed?after={cut}")).await, "after");
    assert!(detail.starts_with("not a continuation"), "{detail}");

    // A store of its own, whose containers have the same ids; and the same database, made anew.
    let other = Served::new().await;
    append(&other, &mut Streams::new()).await;
    let detail = refused(&other.get(&format!("/feed?after={token}")).await, "after");
    assert!(detail.starts_with("of another store"), "{detail}");
}

#[tokio::test]
async fn merged_partitions_are_named() {
    let served = Served::new().await;
    append(&served, &mut Streams::new()).await;
    served.control().split(DATABASE, "events", Some(0), None).await.unwrap();
    // The store learns of the split while it reads.
    let first = page(&served, "/feed").await;
    let second = page(&served, text(&first, "next")).await;
    served.control().merge(DATABASE, "events", 1, 2).await.unwrap();
    let detail = refused(&served.get(text(&second, "next")).await, "after");
    assert!(detail.starts_with("of partitions that were merged"), "{detail}");
    let header = [("accept", "text/event-stream"), ("last-event-id", text(&second, "after"))];
    let problem = served.get_with("/feed", &header).await.problem(400, "invalid-parameter");
    assert_eq!(problem["errors"][0]["header"], "last-event-id");
}

#[tokio::test]
async fn parameters_are_checked() {
    let served = Served::new().await;
    for (query, parameter) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("wait=31", "wait"),
        ("wait=-1", "wait"),
        ("wait=99999999999999999999", "wait"),
        ("from=1", "from"),
        ("after=now&after=now", "after"),
    ] {
        refused(&served.get(&format!("/feed?{query}")).await, parameter);
    }
    let header = [("accept", "text/event-stream")];
    refused(&served.get_with("/feed?limit=1", &header).await, "limit");
    served.get_with("/feed", &[("accept", "text/html")]).await.problem(406, "not-acceptable");
}

#[tokio::test]
async fn a_page_is_waited_for_until_somebody_appends() {
    let served = Served::new().await;
    let now = page(&served, "/feed?after=now").await;
    let path = format!("/feed?after={}&wait=30", text(&now, "after"));
    served.control().reset_counts();
    let waiting = served.get(&path);
    let appending = async {
        // The wait begins when the store was asked and had nothing.
        until(async || served.control().counts().of("change_feed") > 0).await;
        served.fixture.given("new", &events(2)).await;
    };
    let both = async { tokio::join!(waiting, appending).0 };
    let page = tokio::time::timeout(PATIENCE, both).await.unwrap().ok(200);
    assert_eq!(page["events"].as_array().unwrap().len(), 2);
    assert!(text(&page, "next").ends_with("&wait=30"));
}

#[tokio::test]
async fn what_others_append_is_found_and_a_wait_has_an_end() {
    let served = Served::new().await;
    let now = page(&served, "/feed?after=now").await;
    // Nothing comes: it waits as long as it was told, and no longer.
    let started = tokio::time::Instant::now();
    let nothing = page(&served, &format!("/feed?after={}&wait=1", text(&now, "after"))).await;
    assert_eq!(nothing["caughtUp"], true);
    assert!(started.elapsed() >= Duration::from_millis(990), "{:?}", started.elapsed());

    let options: StoreOptions = options(served.fixture.endpoint.endpoint());
    let other = EventStore::connect(options).await.unwrap();
    let expected = cosmos_event_store::ExpectedVersion::Any;
    let path = format!("/feed?after={}&wait=30", text(&nothing, "after"));
    let (found, appended) =
        tokio::join!(page(&served, &path), other.append("theirs", expected, events(1)));
    appended.unwrap();
    assert_eq!(found["events"][0]["stream"], "theirs");
}

#[tokio::test]
async fn too_many_waits_are_refused() {
    let served = Served::with(|store| store, |service| service.with_feeds_max(1)).await;
    let now = page(&served, "/feed?after=now").await;
    let path = format!("/feed?after={}", text(&now, "after"));
    let follower = served.request(Method::GET, &path).header("accept", "text/event-stream");
    let follower = follower.send().await.unwrap();
    assert_eq!(follower.status(), 200);
    let answer = served.get(&format!("{path}&wait=30")).await;
    answer.problem(503, "overloaded");
    assert_eq!(answer.header("retry-after"), "1");
    // Without waiting there is always an answer, and so there is when there is something.
    assert_eq!(page(&served, &path).await["caughtUp"], true);
    served.fixture.given("s", &events(1)).await;
    assert_eq!(page(&served, &format!("{path}&wait=30")).await["caughtUp"], false);
    drop(follower);
}

#[tokio::test]
async fn the_end_of_the_service_ends_a_wait() {
    let served = Served::new().await;
    let now = page(&served, "/feed?after=now").await;
    served.control().reset_counts();
    let path = format!("/feed?after={}&wait=30", text(&now, "after"));
    let stopping = async {
        until(async || served.control().counts().of("change_feed") > 0).await;
        served.stop.cancel();
    };
    let (answer, ()) = tokio::join!(served.get(&path), stopping);
    assert_eq!(answer.ok(200)["caughtUp"], true);
    served.serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_store_that_fails_is_a_problem() {
    let served = Served::new().await;
    append(&served, &mut Streams::new()).await;
    let (status, substatus, retry_after_ms) = (429, Some(3200), Some(10_000));
    let throttled = Fault::new(FaultAction::Status { status, substatus, retry_after_ms });
    served.control().inject(throttled.on_kind("change_feed")).unwrap();
    let answer = served.get("/feed").await;
    answer.problem(429, "throttled");
    assert_eq!(answer.header("retry-after"), "10");
    served.control().clear_faults();
    page(&served, "/feed").await;
}

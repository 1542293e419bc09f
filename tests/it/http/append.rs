//! Appends: expected versions, repeats, conflicts, and input that is refused.

use serde_json::{Value, json};
use uuid::Uuid;

use super::service::{JSON, Served};

fn body(expected: impl Into<Value>, numbers: &[u64]) -> Value {
    let event = |n: &u64| json!({"type": "Tested", "data": {"n": n}});
    json!({"expectedVersion": expected.into(), "events": numbers.iter().map(event).collect::<Vec<_>>()})
}

#[tokio::test]
async fn an_append_says_where_its_events_are() {
    let served = Served::new().await;
    let event_id = Uuid::new_v4().to_string();
    let event = json!({
        "eventId": event_id,
        "type": "QuoteInitiated",
        "schemaVersion": 2,
        "data": {"b": [1.5, null], "a": "\u{e9}"},
        "metadata": {"actor": "api", "custom": {"n": 1}},
        "occurredAt": "2026-11-20T10:00:00.123456789+01:00",
    });
    let request = json!({"expectedVersion": "noStream", "aggregateType": "q", "events": [event]});
    let answer = served.post("quote-1", &request).await;
    let receipt = answer.ok(201);
    assert_eq!(answer.header("location"), "/streams/quote-1/events/1");
    assert_eq!(answer.header("etag"), "\"1\"");
    assert_eq!(receipt["stream"], "quote-1");
    assert_eq!((&receipt["first"], &receipt["last"]), (&json!(1), &json!(1)));
    assert_eq!((&receipt["outcome"], &receipt["roundTrips"]), (&json!("appended"), &json!(1)));
    assert_eq!(receipt["eventIds"], json!([event_id]));
    assert_eq!(receipt["sessionToken"], answer.header("session-token"));
    let charge = receipt["requestCharge"].as_f64().unwrap();
    assert_eq!(answer.header("request-charge"), format!("{charge:.2}"));
    assert!(charge > 0.0);
    let event = &served.fixture.events("quote-1").await[0];
    assert_eq!(event.id().to_string(), event_id);
    assert_eq!((event.aggregate_type(), event.schema_version()), ("q", 2));
    assert_eq!(event.data().to_string(), "{\"b\":[1.5,null],\"a\":\"\u{e9}\"}");
    assert_eq!(event.metadata().actor.as_deref(), Some("api"));
    assert_eq!(event.metadata().custom["n"], 1);
    assert_eq!(event.occurred_at().to_string(), "2026-11-20T09:00:00.123456Z");
}

#[tokio::test]
async fn expected_versions_hold_or_conflict() {
    let served = Served::new().await;
    served.post("s-1", &body("streamExists", &[1])).await.problem(409, "conflict");
    served.post("s-1", &body(0, &[1])).await.ok(201);
    served.post("s-1", &body(1, &[2])).await.ok(201);
    served.post("s-1", &body("streamExists", &[3])).await.ok(201);
    served.post("s-1", &body("any", &[4])).await.ok(201);
    served.post("s-1", &json!({"events": [{"type": "Tested", "data": 5}]})).await.ok(201);
    for (expected, named) in [(json!("noStream"), json!("noStream")), (json!(3), json!(3))] {
        let answer = served.post("s-1", &body(expected, &[9])).await;
        let problem = answer.problem(409, "conflict");
        assert_eq!((&problem["expected"], &problem["actual"]), (&named, &json!(5)));
        let first = named.as_u64().map_or(1, |version| version + 1);
        assert_eq!(problem["events"][0]["sequenceNumber"], first);
        assert_eq!(problem["events"].as_array().unwrap().last().unwrap()["data"], 5);
        assert!(!answer.header("request-charge").is_empty());
    }
    assert_eq!(served.fixture.events("s-1").await.len(), 5);
}

#[tokio::test]
async fn versions_in_headers_are_conditions() {
    let served = Served::new().await;
    let append = async |name, value| {
        let request = json!({"events": [{"type": "Tested", "data": 1}]});
        served.post_with("s-1", &request, &[(name, value)]).await
    };
    append("if-match", "*").await.problem(412, "precondition-failed");
    append("if-none-match", "*").await.ok(201);
    append("if-match", "\"1\"").await.ok(201);
    append("if-match", "*").await.ok(201);
    append("if-none-match", "*").await.problem(412, "precondition-failed");
    let problem = append("if-match", "\"1\"").await.problem(412, "precondition-failed");
    assert_eq!((&problem["actual"], problem["events"].as_array().unwrap().len()), (&json!(3), 2));
    for wrong in ["3", "W/\"3\"", "\"3\", \"4\"", "\"x\""] {
        let problem = append("if-match", wrong).await.problem(400, "invalid-parameter");
        assert_eq!(problem["errors"][0]["header"], "if-match");
    }
    append("if-none-match", "\"3\"").await.problem(400, "invalid-parameter");
    // The same in both places is fine; what differs is refused.
    let both = [("if-match", "\"3\"")];
    served.post_with("s-1", &body(3, &[1]), &both).await.ok(201);
    served.post_with("s-1", &body(4, &[1]), &both).await.problem(400, "invalid-parameter");
    let both = [("if-match", "\"4\""), ("if-none-match", "*")];
    served.post_with("s-1", &body("any", &[1]), &both).await.problem(400, "invalid-parameter");
    assert_eq!(served.fixture.events("s-1").await.len(), 4);
}

#[tokio::test]
async fn a_key_or_ids_make_an_append_repeatable() {
    let served = Served::new().await;
    let key = [("idempotency-key", "order-7")];
    let first = served.post_with("s-1", &body("any", &[1, 2]), &key).await.ok(201);
    served.post("s-1", &body("any", &[3])).await.ok(201);
    let answer = served.post_with("s-1", &body("any", &[1, 2]), &key).await;
    let again = answer.ok(200);
    assert_eq!(again["outcome"], "repeated");
    assert_eq!((&again["first"], &again["eventIds"]), (&json!(1), &first["eventIds"]));
    assert_eq!(answer.header("etag"), "\"2\"");
    // The key stands for the stream and the events: elsewhere it is new, with others it is taken.
    served.post_with("s-2", &body("any", &[1, 2]), &key).await.ok(201);
    let answer = served.post_with("s-1", &body("any", &[8]), &key).await;
    let problem = answer.problem(409, "event-id-reused");
    assert_eq!(problem["eventId"], first["eventIds"][0]);
    assert_eq!(problem["stored"][0]["data"]["n"], 1);
    // An id of the body is stronger than the key.
    let id = Uuid::new_v4().to_string();
    let request = json!({"events": [{"eventId": id, "type": "Tested", "data": 1}]});
    assert_eq!(served.post_with("s-1", &request, &key).await.ok(201)["eventIds"], json!([id]));
    served.post("s-1", &request).await.ok(200);
    // Without either, every request is new.
    served.post("s-1", &body("any", &[3])).await.ok(201);
    assert_eq!(served.fixture.events("s-1").await.len(), 5);
    for key in ["", "a b", "a\tb", &"x".repeat(256)] {
        let headers = [("idempotency-key", key)];
        let answer = served.post_with("s-1", &body("any", &[1]), &headers).await;
        let problem = answer.problem(400, "invalid-parameter");
        assert_eq!(problem["errors"][0]["header"], "idempotency-key");
    }
    let longest = "x".repeat(255);
    let headers = [("idempotency-key", longest.as_str())];
    served.post_with("s-1", &body("any", &[1]), &headers).await.ok(201);
}

#[tokio::test]
async fn bad_bodies_are_refused_with_a_pointer() {
    let served = Served::new().await;
    let event = |event: &str| format!(r#"{{"events":[{{"type":"A","data":1}},{event}]}}"#);
    for (text, pointer) in [
        (event(r#"{"type":"A","data":{"a":1,"a":2}}"#), "/events/1/data/a"),
        (
            event(r#"{"type":"A","data":{"x":{"amount/net":9007199254740993}}}"#),
            "/events/1/data/x/amount~1net",
        ),
        (event(r#"{"type":"A","data":[1e999]}"#), "/events/1/data/0"),
        (
            event(r#"{"type":"A","data":1,"metadata":{"custom":{"n":9007199254740993}}}"#),
            "/events/1/metadata/custom/n",
        ),
        (event(r#"{"type":"A","data":1,"metadata":{"who":"me"}}"#), "/events/1/metadata/who"),
        (event(r#"{"type":"","data":1}"#), "/events/1/type"),
        (event(r#"{"type":"A\u0001","data":1}"#), "/events/1/type"),
        (event(r#"{"type":"A"}"#), "/events/1"),
        (event(r#"{"data":1}"#), "/events/1"),
        (event(r#"{"type":"A","data":1,"dta":2}"#), "/events/1/dta"),
        (event(r#"{"type":"A","data":1,"schemaVersion":0}"#), "/events/1/schemaVersion"),
        (event(r#"{"type":"A","data":1,"eventId":"x"}"#), "/events/1/eventId"),
        (event(r#"{"type":"A","data":1,"occurredAt":"yesterday"}"#), "/events/1/occurredAt"),
        (r#"{"events":[]}"#.to_owned(), "/events"),
        (r#"{"events":{}}"#.to_owned(), "/events"),
        ("{}".to_owned(), ""),
        ("[]".to_owned(), ""),
        (
            r#"{"events":[{"type":"A","data":1}],"expectedVersion":-1}"#.to_owned(),
            "/expectedVersion",
        ),
        (
            r#"{"events":[{"type":"A","data":1}],"expectedVersion":"some"}"#.to_owned(),
            "/expectedVersion",
        ),
        (r#"{"events":[{"type":"A","data":1}],"aggregateType":""}"#.to_owned(), "/aggregateType"),
        (r#"{"events":[{"type":"A","data":1}],"more":1}"#.to_owned(), "/more"),
    ] {
        let problem = served.post_text("s-1", JSON, text.clone(), &[]).await;
        let problem = problem.problem(422, "invalid-body");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{text}");
        assert!(!problem["errors"][0]["detail"].as_str().unwrap().contains("at line"), "{problem}");
    }
    for text in ["", "{", "{\"events\":[}", "{} x"] {
        served.post_text("s-1", JSON, text, &[]).await.problem(400, "malformed-body");
    }
    let latin = b"{\"events\":[{\"type\":\"A\",\"data\":\"\xe9\"}]}".to_vec();
    served.post_text("s-1", JSON, latin, &[]).await.problem(400, "malformed-body");
    served.post_text("s-1", "text/plain", "{}", &[]).await.problem(415, "unsupported-media-type");
    let charset = "Application/JSON; charset=utf-8";
    served.post_text("s-1", charset, body("any", &[1]).to_string(), &[]).await.ok(201);
    assert_eq!(served.fixture.events("s-1").await.len(), 1);
}

#[tokio::test]
async fn one_request_takes_what_one_transaction_takes() {
    let served = Served::new().await;
    let numbers: Vec<u64> = (0..101).collect();
    let problem = served.post("s-1", &body("noStream", &numbers)).await;
    assert_eq!(problem.problem(422, "invalid-body")["errors"][0]["pointer"], "/events");
    served.post("s-1", &body("noStream", &numbers[..100])).await.ok(201);
    let large = |count: usize| {
        let data = "x".repeat(900_000);
        let events = vec![json!({"type": "Tested", "data": data}); count];
        json!({"events": events})
    };
    served.post("s-2", &large(2)).await.ok(201);
    served.post("s-2", &large(3)).await.problem(413, "body-too-large");
    let longer = json!({"events": [{"type": "Tested", "data": "x".repeat(1_100_000)}]});
    served.post("s-2", &longer).await.problem(422, "invalid-body");
    // What the service does not read to its end is answered, too.
    let body = "x".repeat(5 * 1024 * 1024);
    served.post_text("s-2", JSON, body, &[]).await.problem(413, "body-too-large");
    assert_eq!(served.fixture.events("s-2").await.len(), 2);
}

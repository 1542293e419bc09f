//! The trace of a request in what it stores.

use serde_json::{Value, json};

use super::{
    quotes::command,
    service::{JSON, Served},
};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OTHER: &str = "00-11111111111111111111111111111111-2222222222222222-00";
const STATE: &str = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE";

/// The trace that each event of a stream names.
async fn traces(served: &Served, stream: &str) -> Vec<(Option<String>, Option<String>)> {
    let events = served.fixture.events(stream).await;
    let trace = |event: &cosmos_event_store::RecordedEvent| {
        (event.metadata().traceparent.clone(), event.metadata().tracestate.clone())
    };
    events.iter().map(trace).collect()
}

fn named(parent: &str, state: Option<&str>) -> (Option<String>, Option<String>) {
    (Some(parent.to_owned()), state.map(str::to_owned))
}

#[tokio::test]
async fn events_belong_to_the_trace_of_their_request() {
    let served = Served::new().await;
    let traced = [("traceparent", PARENT), ("tracestate", STATE)];
    let events = json!([
        {"eventId": "00000000-0000-4000-8000-000000000001", "type": "A", "data": {}},
        {"eventId": "00000000-0000-4000-8000-000000000002", "type": "B", "data": {}, "metadata": {"traceparent": OTHER}},
        {"eventId": "00000000-0000-4000-8000-000000000003", "type": "C", "data": {}, "metadata": {"actor": "me"}},
    ]);
    let body = json!({"events": events});
    served.post_with("s-1", &body, &traced).await.ok(201);
    let expected = [named(PARENT, Some(STATE)), named(OTHER, None), named(PARENT, Some(STATE))];
    assert_eq!(traces(&served, "s-1").await, expected);
    assert_eq!(served.fixture.events("s-1").await[2].metadata().actor.as_deref(), Some("me"));
    // The same events within another trace are the same events.
    let repeated = served.post_with("s-1", &body, &[("traceparent", OTHER)]).await.ok(200);
    assert_eq!(repeated["outcome"], "repeated", "{repeated}");
    assert_eq!(traces(&served, "s-1").await, expected);
}

#[tokio::test]
async fn a_context_that_is_not_valid_is_passed_over() {
    let served = Served::new().await;
    let body = |_: usize| json!({"events": [{"type": "A", "data": {}}]});
    let wrong: [&[(&str, &str)]; 4] = [
        &[("traceparent", "00-0-0-01")],
        &[("traceparent", PARENT), ("traceparent", OTHER)],
        &[("tracestate", STATE)],
        &[],
    ];
    for (at, headers) in wrong.iter().enumerate() {
        served.post_with("s-1", &body(at), headers).await.ok(201);
    }
    assert_eq!(
        traces(&served, "s-1").await,
        [(None, None), (None, None), (None, None), (None, None)]
    );
    let state = "a".repeat(513);
    served
        .post_with("s-2", &body(0), &[("traceparent", PARENT), ("tracestate", &state)])
        .await
        .ok(201);
    assert_eq!(traces(&served, "s-2").await, [named(PARENT, None)]);
}

#[tokio::test]
async fn cloud_events_keep_a_trace_of_their_own() {
    let served = Served::new().await;
    let one = |extension: Option<&str>| {
        let mut event =
            json!({"specversion": "1.0", "id": "x", "source": "/s", "type": "A", "data": {}});
        if let Some(parent) = extension {
            event["id"] = Value::from("y");
            event["traceparent"] = Value::from(parent);
        }
        event
    };
    let batch = json!([one(None), one(Some(OTHER))]).to_string();
    let kind = "application/cloudevents-batch+json";
    served.post_text("s-1", kind, batch, &[("traceparent", PARENT)]).await.ok(201);
    assert_eq!(traces(&served, "s-1").await, [named(PARENT, None), named(OTHER, None)]);
}

#[tokio::test]
async fn commands_hand_their_trace_on() {
    let served = Served::new().await;
    let traced = [("traceparent", PARENT), ("tracestate", STATE), ("idempotency-key", "k-1")];
    let create = || command(&served, "/quotes", json!({"quoteId": "q-1"}), &traced);
    create().await.ok(201);
    assert_eq!(traces(&served, "q-1").await, [named(PARENT, Some(STATE))]);
    let again = [("traceparent", OTHER), ("idempotency-key", "k-1")];
    let repeated = command(&served, "/quotes", json!({"quoteId": "q-1"}), &again).await;
    assert_eq!(repeated.ok(200)["outcome"], "repeated");
    command(&served, "/quotes/q-1/save", Value::Null, &[]).await.ok(200);
    assert_eq!(traces(&served, "q-1").await[1], (None, None));
    assert_eq!(served.get("/quotes/q-1").await.header("content-type"), JSON);
}

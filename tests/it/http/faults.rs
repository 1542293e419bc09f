//! What the failures of the store are to a client.

use std::time::Duration;

use cosmos_local::{Fault, FaultAction};
use serde_json::{Value, json};

use super::service::{Served, until};

fn one() -> Value {
    json!({"events": [{"type": "Tested", "data": 1}]})
}

fn status(status: u16, substatus: u32, retry_after_ms: Option<u64>) -> Fault {
    Fault::new(FaultAction::Status { status, substatus: Some(substatus), retry_after_ms })
}

async fn impatient() -> Served {
    Served::with(|store| store.with_append_time_max(Duration::from_secs(2)), |service| service)
        .await
}

#[tokio::test]
async fn a_throttled_request_says_when_to_come_again() {
    let served = impatient().await;
    served.fixture.control().inject(status(429, 3200, Some(10)).on_kind("batch")).unwrap();
    let answer = served.post("s-1", &one()).await;
    answer.problem(429, "throttled");
    assert_eq!(answer.header("retry-after"), "1", "whole seconds, never at once");
    served.fixture.control().clear_faults();
    assert!(served.fixture.events("s-1").await.is_empty());
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_safe_to_repeat() {
    for (action, status) in [(FaultAction::DropAfter, 200), (FaultAction::DropBefore, 201)] {
        let served = impatient().await;
        served.fixture.control().inject(Fault::new(action).on_kind("batch")).unwrap();
        let key = [("idempotency-key", "k")];
        let answer = served.post_with("s-1", &one(), &key).await;
        let problem = answer.problem(503, "outcome-unknown");
        assert!(problem["detail"].as_str().unwrap().contains("repeat"), "{problem}");
        served.fixture.control().clear_faults();
        served.post_with("s-1", &one(), &key).await.ok(status);
        assert_eq!(served.fixture.events("s-1").await.len(), 1);
    }
}

#[tokio::test]
async fn an_append_that_takes_too_long_is_unknown() {
    let served = Served::with(
        |store| store,
        |service| service.with_store_time_max(Duration::from_millis(300)),
    )
    .await;
    let delay = Fault::new(FaultAction::Delay { ms: 1000 });
    served.fixture.control().inject(delay.on_kind("batch").times(1)).unwrap();
    served.post("s-1", &one()).await.problem(503, "outcome-unknown");
    // It goes on nevertheless.
    until(async || !served.fixture.events("s-1").await.is_empty()).await;
    served.fixture.control().inject(Fault::new(FaultAction::Delay { ms: 1000 })).unwrap();
    served.get("/streams/s-1").await.problem(503, "store-unavailable");
}

#[tokio::test]
async fn nothing_of_the_store_gets_into_a_problem() {
    let served = impatient().await;
    served.fixture.given("s-1", &crate::fixture::events(1)).await;
    served.fixture.control().inject(status(403, 0, None)).unwrap();
    for answer in [served.post("s-1", &one()).await, served.get("/streams/s-1").await] {
        let problem = answer.problem(503, "store-unavailable");
        assert!(!problem.to_string().contains("403"), "{problem}");
    }
    assert_eq!(served.get("/healthz").await.ok(200)["status"], "alive");
    served.get("/readyz").await.problem(503, "not-ready");
    served.fixture.control().clear_faults();
    // What the store said last is told for a moment.
    until(async || served.get("/readyz").await.status == 200).await;
}

#[tokio::test]
async fn those_who_ask_whether_it_is_ready_do_not_flood_the_store() {
    let served = Served::new().await;
    // Longer than all of them take to ask.
    let delay = Fault::new(FaultAction::Delay { ms: 1000 });
    served.fixture.control().inject(delay.on_kind("read_item").times(1)).unwrap();
    let before = served.control().counts().of("read_item");
    let asking = (0..64).map(|_| served.get("/readyz"));
    for answer in futures::future::join_all(asking).await {
        answer.ok(200);
    }
    let asked = served.control().counts().of("read_item").saturating_sub(before);
    assert!(asked <= 2, "the store was asked {asked} times");
}

#[tokio::test]
async fn a_damaged_document_is_a_fault_of_the_service() {
    use azure_data_cosmos::PartitionKey;
    let served = Served::new().await;
    served.fixture.given("s-1", &crate::fixture::events(1)).await;
    let container = crate::sdk::events_container(served.fixture.endpoint.endpoint()).await;
    let document = json!({
        "id": format!("{:020}", 2), "aggregateId": "s-1", "sequenceNumber": 2, "eventId": "none",
    });
    container
        .create_item(PartitionKey::from("s-1"), &format!("{:020}", 2), &document, None)
        .await
        .unwrap();
    for path in ["/streams/s-1/events", "/streams/s-1/events/2", "/streams/s-1"] {
        let problem = served.get(path).await.problem(500, "internal");
        assert!(!problem.to_string().contains("eventId"), "{problem}");
    }
}

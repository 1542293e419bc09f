//! Transactional batches.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Answer, DOCS, KEY_A, Wire};

fn statuses(answer: &Answer) -> Vec<u64> {
    let results = answer.body.as_array().unwrap();
    results.iter().map(|result| result["statusCode"].as_u64().unwrap()).collect()
}

fn create(id: &str) -> Value {
    json!({"operationType": "Create", "resourceBody": {"id": id, "pk": "a", "n": 1}})
}

#[tokio::test]
async fn all_operations_happen_in_one_commit() {
    let wire = Wire::lenient().await.with_container().await;
    let answer = wire
        .batch(
            "a",
            json!([
                create("1"),
                {"operationType": "Upsert", "resourceBody": {"id": "2", "pk": "a"}},
                {"operationType": "Replace", "id": "2", "resourceBody": {"id": "2", "pk": "a", "v": 2}},
                {"operationType": "Read", "id": "1"},
                {"operationType": "Patch", "id": "1", "resourceBody": {"operations": [{"op": "incr", "path": "/n", "value": 1}]}},
                {"operationType": "Delete", "id": "2"},
            ]),
        )
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(statuses(&answer), [201, 201, 200, 200, 200, 204]);
    assert_eq!(answer.header("x-ms-session-token"), "0:-1#1");
    assert_eq!(answer.body[3]["resourceBody"]["n"], 1);
    assert_eq!(answer.body[4]["resourceBody"]["n"], 2);
    assert_eq!(answer.body[0]["eTag"], answer.body[0]["resourceBody"]["_etag"]);
    let parts: f64 =
        answer.body.as_array().unwrap().iter().map(|r| r["requestCharge"].as_f64().unwrap()).sum();
    let charge: f64 = answer.header("x-ms-request-charge").parse().unwrap();
    assert!((parts - charge).abs() < 0.05, "{parts} {charge}");
    assert_eq!(wire.get(&format!("{DOCS}/1"), &[KEY_A]).await.body["n"], 2);
    assert_eq!(wire.get(&format!("{DOCS}/2"), &[KEY_A]).await.status, 404);
}

#[tokio::test]
async fn one_failure_undoes_all_and_names_the_culprit() {
    let wire = Wire::lenient().await.with_container().await;
    wire.create(json!({"id": "old", "pk": "a"})).await;
    let foreign = json!({"operationType": "Create", "resourceBody": {"id": "1", "pk": "b"}});
    let patch = json!({"operationType": "Patch", "id": "none", "resourceBody": {"operations": [{"op": "set", "path": "/n", "value": 1}]}});
    let stale = json!({"operationType": "Delete", "id": "old", "ifMatch": "\"stale\""});
    for (operation, status) in [
        (create("old"), 409),
        (create("1"), 409),
        (json!({"operationType": "Read", "id": "none"}), 404),
        (json!({"operationType": "Delete", "id": "none"}), 404),
        (stale, 412),
        (foreign, 400),
        (patch, 404),
    ] {
        let answer = wire.batch("a", json!([create("1"), operation, create("3")])).await;
        assert_eq!(answer.status, 207, "{operation}");
        assert_eq!(statuses(&answer), [424, status, 424], "{operation}");
        assert!(answer.body[1].get("resourceBody").is_none());
        assert!(!answer.header("x-ms-session-token").is_empty());
    }
    assert_eq!(wire.get(&format!("{DOCS}/1"), &[KEY_A]).await.status, 404);
}

#[tokio::test]
async fn limits_and_malformed_batches_are_refused() {
    let wire = Wire::lenient().await.with_container().await;
    let many = |count: usize| Value::Array((0..count).map(|n| create(&n.to_string())).collect());
    assert_eq!(wire.batch("a", many(101)).await.status, 400);
    assert_eq!(wire.batch("a", many(100)).await.status, 200);
    assert_eq!(wire.batch("a", json!([])).await.status, 400);
    assert_eq!(wire.batch("a", json!([{"operationType": "Dance"}])).await.status, 400);
    let large = json!([{"operationType": "Create", "resourceBody": {"id": "1", "pk": "a", "x": "x".repeat(2_100_000)}}]);
    assert_eq!(wire.batch("a", large).await.status, 413);
    let batch = ("x-ms-cosmos-is-batch-request", "True");
    let atomic = ("x-ms-cosmos-batch-atomic", "True");
    let body = json!([create("x")]);
    let keyless = wire.send(Method::POST, DOCS, &[batch, atomic], &body).await;
    assert_eq!(keyless.status, 400);
    let bulk = wire.send(Method::POST, DOCS, &[KEY_A, batch], &body).await;
    assert_eq!(bulk.status, 400);
    assert!(bulk.message().contains("not supported yet"));
}

#[tokio::test]
async fn a_brief_batch_leaves_out_the_documents_of_writes() {
    let wire = Wire::lenient().await.with_container().await;
    let headers = [
        KEY_A,
        ("x-ms-cosmos-is-batch-request", "True"),
        ("x-ms-cosmos-batch-atomic", "True"),
        ("prefer", "return=minimal"),
    ];
    let body = json!([create("1"), {"operationType": "Read", "id": "1"}]);
    let answer = wire.send(Method::POST, DOCS, &headers, &body).await;
    assert_eq!(statuses(&answer), [201, 200]);
    assert!(answer.body[0].get("resourceBody").is_none());
    assert!(answer.body[0]["eTag"].is_string());
    assert_eq!(answer.body[1]["resourceBody"]["id"], "1");
}

#[tokio::test]
async fn patches_of_many_writers_all_count() {
    let wire = Wire::lenient().await.with_container().await;
    wire.create(json!({"id": "1", "pk": "a", "n": 0})).await;
    let patch = json!([{"operationType": "Patch", "id": "1", "resourceBody": [{"op": "incr", "path": "/n", "value": 1}]}]);
    let mut applied = 0;
    let mut answers = Vec::new();
    for _ in 0..8 {
        answers.push(wire.batch("a", patch.clone()));
    }
    for answer in futures_join(answers).await {
        applied += u64::from(answer.status == 200);
    }
    assert_eq!(wire.get(&format!("{DOCS}/1"), &[KEY_A]).await.body["n"], applied);
    assert_eq!(applied, 8);
}

/// Polls all futures at once, in the order of the list.
async fn futures_join<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut outputs: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            if output.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *output = Some(value);
            }
        }
        if outputs.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

//! What must not grow with the number of writes.

use serde_json::json;

use super::super::*;
use super::{failure, in_memory, run};

#[tokio::test]
async fn writing_one_item_again_and_again_fills_a_layer() {
    let options = EngineOptions { freeze_at: 200, ..EngineOptions::new(None) };
    let engine = Engine::open(&options).unwrap();
    let container = super::container(&engine, &json!({}), 1).await;
    for number in 0..100 {
        let batch = (0..50)
            .map(|_| {
                let document = json!({"id": "1", "pk": "a"});
                Operation::Upsert(container.prepare(document).unwrap(), Condition::None)
            })
            .collect();
        assert!(failure(&run(&container, "a", batch).await).is_none());
        let view = container.view();
        let frozen = view.frozen.as_ref().map_or(0, |layer| layer.dead.len());
        let dead = view.active.dead.len() + frozen;
        assert!(dead < 1500, "{dead} rows wait to be removed after {number} batches");
    }
}

#[tokio::test]
async fn long_values_fill_a_layer() {
    let options = EngineOptions { freeze_at: 200, ..EngineOptions::new(None) };
    let engine = Engine::open(&options).unwrap();
    let container = super::container(&engine, &json!({"uniqueKeyPolicy": {}}), 1).await;
    for number in 0..20 {
        let document = json!({"id": number.to_string(), "pk": "a", "n": "x".repeat(100_000)});
        let operation = Operation::Create(container.prepare(document).unwrap());
        assert!(failure(&run(&container, "a", vec![operation]).await).is_none());
        let bytes: usize = container.view().active.entries.keys().map(Vec::len).sum();
        assert!(bytes < 500_000, "{bytes} bytes wait in memory");
    }
}

#[tokio::test]
async fn requests_that_nobody_waits_for_keep_their_places() {
    let (engine, container) = in_memory(&json!({})).await;
    let (release, released) = std::sync::mpsc::channel::<()>();
    let writer = engine.shared.host.writer.clone();
    let held = tokio::spawn(async move {
        let wait = move |_: &mut super::super::writer::Writer| Ok(released.recv().is_ok());
        writer.exclusive(wait).await.unwrap()
    });
    tokio::task::yield_now().await;
    let places = engine.shared.host.writer.places();
    for number in 0..10 {
        let document = json!({"id": number.to_string(), "pk": "a", "u": number});
        let operations = vec![super::create(&container, document)];
        let abandoned = container.execute(super::key("a"), operations);
        let wait = std::time::Duration::from_millis(1);
        assert!(tokio::time::timeout(wait, abandoned).await.is_err());
    }
    assert_eq!(engine.shared.host.writer.places(), places - 10);
    release.send(()).unwrap();
    held.await.unwrap();
}

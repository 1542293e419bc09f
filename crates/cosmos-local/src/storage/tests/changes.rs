//! Changes of the catalog that meet each other in the writer's queue.

use std::sync::mpsc::{Sender, channel};

use serde_json::json;

use super::super::*;
use super::{container, create, definition, failure, in_memory, key, open, run};

/// Keeps the writer busy until the sender is used or dropped.
fn hold(engine: &Engine) -> (Sender<()>, tokio::task::JoinHandle<()>) {
    let (release, released) = channel::<()>();
    let writer = engine.shared.host.writer.clone();
    let held = tokio::spawn(async move {
        let wait = move |_: &mut super::super::writer::Writer| {
            let _gone = released.recv().is_err();
            Ok(())
        };
        writer.exclusive(wait).await.unwrap();
    });
    (release, held)
}

#[tokio::test]
async fn what_waits_behind_the_delete_of_a_container_does_not_bring_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path(), 10);
    let old = container(&engine, &json!({}), 2).await;
    let item = create(&old, json!({"id": "1", "pk": "a"}));
    assert!(failure(&run(&old, "a", vec![item]).await).is_none());

    let (release, held) = hold(&engine);
    tokio::task::yield_now().await;
    let free = async {
        tokio::task::yield_now().await;
        drop(release);
    };
    let (deleted, split, merged, replaced, ()) = tokio::join!(
        biased;
        engine.delete_container("d", "c"),
        engine.split("d", "c", 0, None),
        engine.merge("d", "c", 0, 1),
        engine.replace_container("d", definition(&json!({"defaultTtl": 7}))),
        free,
    );
    held.await.unwrap();
    deleted.unwrap();
    assert!(matches!(split, Err(StorageError::NotFound)), "{split:?}");
    assert!(matches!(merged, Err(StorageError::NotFound)), "{merged:?}");
    assert!(matches!(replaced, Err(StorageError::NotFound)), "{replaced:?}");
    drop((old, engine));
    let engine = open(folder.path(), 10);
    assert!(engine.container("d", "c").is_none());
}

#[tokio::test]
async fn an_item_of_a_container_made_anew_has_another_entity_tag() {
    let (engine, _first) = in_memory(&json!({})).await;
    let mut etags = Vec::new();
    for n in 0..2 {
        let container = engine.container("d", "c").unwrap();
        let item = create(&container, json!({"id": "1", "pk": "a", "n": n}));
        assert!(failure(&run(&container, "a", vec![item]).await).is_none());
        etags.push(container.read(&key("a"), "1").unwrap().unwrap().etag());
        engine.delete_container("d", "c").await.unwrap();
        engine.create_container("d", definition(&json!({})), None, 1).await.unwrap();
    }
    assert_ne!(etags[0], etags[1]);
}

#[tokio::test]
async fn an_engine_may_be_dropped_while_a_change_of_the_catalog_waits() {
    let engine = Engine::open(&EngineOptions::new(None)).unwrap();
    let writer = engine.shared.host.writer.clone();
    let (release, held) = hold(&engine);
    tokio::task::yield_now().await;
    let abandoned = engine.create_database("d", None);
    let wait = std::time::Duration::from_millis(1);
    assert!(tokio::time::timeout(wait, abandoned).await.is_err());
    // What waits is now the last to know the engine, and drops it on the writer's thread.
    drop((engine, release));
    held.await.unwrap();
    while writer.exclusive(|_| Ok(())).await.is_ok() {}
    assert_eq!(writer.failure().reason(), None);
}

//! What must be the same after a crash as before it.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::*;
use super::{container, create, failure, key, open, run};

/// No indexes: a write changes one index entry.
fn plain() -> Value {
    json!({"uniqueKeyPolicy": {}, "indexingPolicy": {"indexingMode": "none"}})
}

/// A partition key that this partition serves.
fn key_in(container: &Container, partition: u32) -> String {
    let topology = container.partitions();
    let serves = |text: &String| topology.serving(key(text).epk()).unwrap().id == partition;
    (0..100).map(|number| format!("k{number}")).find(serves).unwrap()
}

async fn put(container: &Arc<Container>, pk: &str, id: &str) {
    let item = container.prepare(json!({"id": id, "pk": pk})).unwrap();
    let upsert = Operation::Upsert(item, Condition::None);
    assert!(failure(&run(container, pk, vec![upsert]).await).is_none());
}

async fn put_and_delete(container: &Arc<Container>, pk: &str, id: &str) {
    put(container, pk, id).await;
    let delete = Operation::Delete(id.to_owned(), Condition::None);
    assert!(failure(&run(container, pk, vec![delete]).await).is_none());
}

async fn crash_after(folder: &Path, more: usize) {
    let engine = open(folder, 8);
    let container = container(&engine, &plain(), 2).await;
    let (quiet, busy) = (key_in(&container, 0), key_in(&container, 1));
    put(&container, &quiet, "stays").await;
    put_and_delete(&container, &quiet, "goes").await;
    for _ in 0..6 {
        put_and_delete(&container, &busy, "comes and goes").await;
    }
    for number in 0..more {
        put(&container, &busy, &number.to_string()).await;
    }
}

#[tokio::test]
async fn an_lsn_is_not_given_again_when_a_crash_interrupts_the_removal_of_rows() {
    for more in 0..24 {
        let folder = tempfile::tempdir().unwrap();
        crash_after(folder.path(), more).await;
        let engine = open(folder.path(), 8);
        let container = engine.container("d", "c").unwrap();
        assert_eq!(container.lsn(0), 3, "after {more} more writes");
    }
}

#[tokio::test]
async fn relaxed_writes_are_durable_in_time_although_requests_that_write_nothing_follow() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = EngineOptions::new(Some(folder.path().to_owned()));
    options.durability = Durability::Relaxed;
    let engine = Engine::open(&options).unwrap();
    let relaxed = container(&engine, &plain(), 1).await;
    let same = || vec![create(&relaxed, json!({"id": "1", "pk": "a"}))];
    assert!(failure(&run(&relaxed, "a", same()).await).is_none());
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(failure(&run(&relaxed, "a", same()).await).is_some());
    }
    // The file as a crash would leave it now.
    let copy = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().to_owned(), copy.path().to_owned());
    let copying = tokio::task::spawn_blocking(move || {
        for file in fs::read_dir(from).unwrap().map(Result::unwrap) {
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    });
    // A writer that is never idle writes nothing while its file is copied.
    while !copying.is_finished() {
        assert!(failure(&run(&relaxed, "a", same()).await).is_some());
    }
    copying.await.unwrap();
    let engine = open(copy.path(), 8);
    let found = engine.container("d", "c").map(|found| found.read(&key("a"), "1").unwrap());
    assert!(found.flatten().is_some());
}

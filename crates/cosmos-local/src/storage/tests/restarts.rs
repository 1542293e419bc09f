//! What must be the same after a crash as before it.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::*;
use super::{container, failure, key, open, run};

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

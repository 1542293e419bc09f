//! Items whose time is up, before and after the sweep.

use std::ops::Bound;

use serde_json::{Value, json};

use super::super::*;
use super::{container, create, failure, in_memory, key, open, run};
use crate::key::EpkRange;

fn item(container: &Container, id: &str, u: u32, ttl: i32) -> Operation {
    let document = json!({"id": id, "pk": "a", "u": u, "ttl": ttl});
    Operation::Upsert(container.prepare(document).unwrap(), Condition::None)
}

fn with_value(container: &std::sync::Arc<Container>, u: u32) -> Vec<String> {
    let value = Bound::Included(json!(u));
    let scan = Scan::Index {
        path: vec!["u".to_owned()],
        lower: value.clone(),
        upper: value,
        descending: false,
        range: EpkRange::full(),
    };
    container.scan(scan, None).unwrap().map(|found| found.unwrap().1.id().to_owned()).collect()
}

#[tokio::test]
async fn a_unique_value_taken_from_an_expired_item_stays_taken() {
    for swept in [false, true] {
        let (engine, container) = in_memory(&json!({"defaultTtl": -1})).await;
        run(&container, "a", vec![item(&container, "old", 1, 5)]).await;
        engine.clock().advance(10);
        let new = run(&container, "a", vec![item(&container, "new", 1, -1)]).await;
        assert!(failure(&new).is_none());
        if swept {
            engine.sweep().await.unwrap();
        } else {
            run(&container, "a", vec![item(&container, "old", 2, -1)]).await;
        }
        assert_eq!(with_value(&container, 1), ["new"]);
        let third = run(&container, "a", vec![item(&container, "third", 1, -1)]).await;
        assert_eq!(failure(&third), Some((0, OpFailure::UniqueConflict)), "swept: {swept}");
    }
}

#[tokio::test]
async fn a_unique_value_taken_from_an_expired_item_stays_taken_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    {
        let engine = open(folder.path(), 1000);
        let container = container(&engine, &json!({"defaultTtl": -1}), 1).await;
        run(&container, "a", vec![item(&container, "old", 1, 5)]).await;
        engine.clock().advance(10);
        run(&container, "a", vec![item(&container, "new", 1, -1)]).await;
        run(&container, "a", vec![item(&container, "old", 2, -1)]).await;
    }
    let engine = open(folder.path(), 1000);
    let container = engine.container("d", "c").unwrap();
    assert_eq!(with_value(&container, 1), ["new"]);
    assert_eq!(with_value(&container, 2), ["old"]);
}

#[tokio::test]
async fn one_sweep_removes_all_that_has_expired() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path(), 1_000_000);
    let policy: Value = json!({"defaultTtl": 5, "uniqueKeyPolicy": {}});
    let container = container(&engine, &policy, 1).await;
    for chunk in 0..13 {
        let batch = (0..100)
            .map(|n| create(&container, json!({"id": format!("{chunk}-{n}"), "pk": "a"})))
            .collect();
        assert!(failure(&run(&container, "a", batch).await).is_none());
    }
    engine.clock().advance(10);
    assert_eq!(engine.sweep().await.unwrap(), 1300);
    assert!(container.read(&key("a"), "0-0").unwrap().is_none());
}

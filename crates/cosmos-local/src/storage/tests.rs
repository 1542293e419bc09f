//! Behaviour of the engine at its own boundary.

mod changes;
mod disk;
mod expiry;
mod failures;
mod folders;
mod memory;
mod model;
mod plain;
mod power;
mod restarts;
mod walks;

use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::feed::FeedPage;
use super::*;
use crate::key::{EpkRange, PartitionKey};

pub(super) fn definition(extra: &Value) -> ContainerDefinition {
    let mut document = json!({
        "id": "c",
        "partitionKey": {"paths": ["/pk"], "kind": "Hash", "version": 2},
        "uniqueKeyPolicy": {"uniqueKeys": [{"paths": ["/u"]}]},
        "indexingPolicy": {
            "includedPaths": [{"path": "/n/?"}, {"path": "/u/?"}],
            "excludedPaths": [{"path": "/*"}]
        }
    });
    for (name, value) in extra.as_object().unwrap() {
        document[name] = value.clone();
    }
    ContainerDefinition::parse(&document).unwrap()
}

pub(super) fn open(folder: &Path, freeze_at: usize) -> Engine {
    let options = EngineOptions { freeze_at, ..EngineOptions::new(Some(folder.to_owned())) };
    Engine::open(&options).unwrap()
}

pub(super) async fn container(engine: &Engine, extra: &Value, partitions: u32) -> Arc<Container> {
    engine.create_database("d", None).await.unwrap();
    engine.create_container("d", definition(extra), None, partitions).await.unwrap()
}

pub(super) async fn in_memory(extra: &Value) -> (Engine, Arc<Container>) {
    let engine = Engine::open(&EngineOptions::new(None)).unwrap();
    let container = container(&engine, extra, 1).await;
    (engine, container)
}

pub(super) fn key(text: &str) -> PartitionKey {
    PartitionKey::from_header(&json!([text]).to_string()).unwrap().unwrap()
}

pub(super) async fn run(
    container: &Arc<Container>,
    pk: &str,
    operations: Vec<Operation>,
) -> Outcome {
    container.execute(key(pk), operations).await.unwrap()
}

pub(super) fn create(container: &Container, document: Value) -> Operation {
    Operation::Create(container.prepare(document).unwrap())
}

pub(super) fn failure(outcome: &Outcome) -> Option<(usize, OpFailure)> {
    match outcome {
        Outcome::Failed { at, failure, .. } => Some((*at, *failure)),
        Outcome::Committed { .. } => None,
    }
}

pub(super) fn feed(container: &Container, scope: FeedScope, after: u64) -> FeedPage {
    let start = if after == 0 { FeedStart::Beginning } else { FeedStart::After(after) };
    let request = FeedRequest { scope, start, since: None, max_items: 1000, max_bytes: usize::MAX };
    container.feed(&request).unwrap()
}

pub(super) fn ids(page: &FeedPage) -> Vec<String> {
    page.items.iter().map(|item| item.id().to_owned()).collect()
}

#[tokio::test]
async fn a_transaction_happens_whole_or_not_at_all() {
    let (_engine, container) = in_memory(&json!({})).await;
    let document = |id: &str, u: u32| json!({"id": id, "pk": "a", "u": u});
    let first = run(&container, "a", vec![create(&container, document("1", 1))]).await;
    assert!(matches!(first, Outcome::Committed { lsn: 1, partition: 0, .. }));

    let batch = vec![
        Operation::Read("1".to_owned(), Condition::None),
        create(&container, document("2", 2)),
        create(&container, document("1", 3)),
    ];
    assert_eq!(failure(&run(&container, "a", batch).await), Some((2, OpFailure::Conflict)));
    assert!(container.read(&key("a"), "2").unwrap().is_none());

    let batch = vec![create(&container, document("2", 2)), create(&container, document("3", 2))];
    assert_eq!(failure(&run(&container, "a", batch).await), Some((1, OpFailure::UniqueConflict)));
    let batch = vec![
        Operation::Read("9".to_owned(), Condition::None),
        create(&container, document("2", 2)),
    ];
    assert_eq!(failure(&run(&container, "a", batch).await), Some((0, OpFailure::NotFound)));
    let other = vec![create(&container, json!({"id": "2", "pk": "b", "u": 2}))];
    assert_eq!(failure(&run(&container, "a", other).await), Some((0, OpFailure::KeyMismatch)));
    assert_eq!(container.lsn(0), 1, "a failed transaction uses no LSN");

    let batch = vec![create(&container, document("2", 2)), create(&container, document("3", 3))];
    let Outcome::Committed { lsn: 2, results, .. } = run(&container, "a", batch).await else {
        panic!("both are new");
    };
    let lsns: Vec<_> = results
        .iter()
        .map(|result| match result {
            OpResult::Created(item) => item.lsn(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(lsns, [2, 2]);
}

#[tokio::test]
async fn unique_values_count_per_logical_partition_and_are_free_again_after_a_delete() {
    let (_engine, container) = in_memory(&json!({})).await;
    let item = |id: &str, pk: &str| create(&container, json!({"id": id, "pk": pk, "u": 7}));
    assert!(failure(&run(&container, "a", vec![item("1", "a")]).await).is_none());
    assert!(failure(&run(&container, "b", vec![item("1", "b")]).await).is_none());
    let again = run(&container, "a", vec![item("2", "a")]).await;
    assert_eq!(failure(&again), Some((0, OpFailure::UniqueConflict)));
    let delete = Operation::Delete("1".to_owned(), Condition::None);
    let batch = vec![delete, item("2", "a")];
    assert!(failure(&run(&container, "a", batch).await).is_none());
    // Items without the value share null: there is room for one.
    let bare = |id: &str| create(&container, json!({"id": id, "pk": "a"}));
    assert!(failure(&run(&container, "a", vec![bare("3")]).await).is_none());
    let second = run(&container, "a", vec![bare("4")]).await;
    assert_eq!(failure(&second), Some((0, OpFailure::UniqueConflict)));
}

#[tokio::test]
async fn entity_tags_guard_writes() {
    let (_engine, container) = in_memory(&json!({})).await;
    let item = || container.prepare(json!({"id": "1", "pk": "a", "n": 1})).unwrap();
    run(&container, "a", vec![Operation::Create(item())]).await;
    let etag = container.read(&key("a"), "1").unwrap().unwrap().etag();
    let stale = || Condition::IfMatch("\"other\"".to_owned());
    for operation in [
        Operation::Replace(item(), stale()),
        Operation::Upsert(item(), stale()),
        Operation::Delete("1".to_owned(), stale()),
    ] {
        let outcome = run(&container, "a", vec![operation]).await;
        assert_eq!(failure(&outcome), Some((0, OpFailure::PreconditionFailed)));
    }
    let known = Operation::Read("1".to_owned(), Condition::IfNoneMatch(etag.clone()));
    let Outcome::Committed { results, .. } = run(&container, "a", vec![known]).await else {
        panic!("a read does not fail");
    };
    assert!(matches!(&results[..], [OpResult::NotModified(same)] if *same == etag));
    let replace = Operation::Replace(item(), Condition::IfMatch(etag.clone()));
    assert!(failure(&run(&container, "a", vec![replace]).await).is_none());
    let item = container.read(&key("a"), "1").unwrap().unwrap();
    assert_ne!(item.etag(), etag);
    assert_eq!(item.ordinal(), 1, "a replaced item keeps its resource id");
}

#[tokio::test]
async fn items_keep_their_property_order_and_get_system_properties() {
    let (_engine, container) = in_memory(&json!({})).await;
    let document = json!({"z": 1, "id": "1", "_ts": 5, "pk": "a", "a": {"y": 1, "b": [1.5, null]}});
    run(&container, "a", vec![create(&container, document)]).await;
    let item = container.read(&key("a"), "1").unwrap().unwrap();
    let mut json = Vec::new();
    item.write_json(&mut json, true);
    let value: Value = serde_json::from_slice(&json).unwrap();
    let names: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = ["z", "id", "pk", "a", "_rid", "_self", "_etag", "_attachments", "_ts", "_lsn"];
    assert_eq!(names, expected);
    assert_eq!(value["_lsn"], 1);
    assert_ne!(value["_ts"], 5);
    assert_eq!(value["_etag"], item.etag());
}

#[tokio::test]
async fn the_feed_shows_the_latest_version_of_each_item_once_and_ends_pages_between_commits() {
    let (_engine, container) = in_memory(&json!({})).await;
    let item = |id: &str| create(&container, json!({"id": id, "pk": "a", "u": id}));
    run(&container, "a", vec![item("1"), item("2"), item("3")]).await;
    run(&container, "a", vec![item("4")]).await;
    let changed = container.prepare(json!({"id": "2", "pk": "a", "u": "x"})).unwrap();
    run(&container, "a", vec![Operation::Replace(changed, Condition::None)]).await;
    run(&container, "a", vec![Operation::Delete("4".to_owned(), Condition::None)]).await;

    let mut request = FeedRequest {
        scope: FeedScope::Partition(0),
        start: FeedStart::Beginning,
        since: None,
        max_items: 1,
        max_bytes: usize::MAX,
    };
    let page = container.feed(&request).unwrap();
    assert_eq!((ids(&page), page.etag_lsn), (vec!["1".to_owned(), "3".to_owned()], 1));
    request.start = FeedStart::After(page.etag_lsn);
    let page = container.feed(&request).unwrap();
    assert_eq!((ids(&page), page.etag_lsn), (vec!["2".to_owned()], 4));
    request.start = FeedStart::Now;
    assert_eq!(container.feed(&request).unwrap().etag_lsn, 4);
    request.start = FeedStart::Beginning;
    request.since = Some(u64::MAX);
    assert!(container.feed(&request).unwrap().items.is_empty());
    let by_key = feed(&container, FeedScope::Key(key("a")), 1);
    assert_eq!(ids(&by_key), ["2"]);
}

#[tokio::test]
async fn split_and_merge_lose_and_repeat_nothing_and_lsns_rise() {
    let (engine, container) = in_memory(&json!({})).await;
    for number in 0..40 {
        let pk = format!("k{number}");
        let document = json!({"id": "1", "pk": pk, "n": number});
        run(&container, &pk, vec![create(&container, document)]).await;
    }
    engine.split("d", "c", 0, None).await.unwrap();
    assert!(matches!(
        container.feed(&FeedRequest {
            scope: FeedScope::Partition(0),
            start: FeedStart::Beginning,
            since: None,
            max_items: 1,
            max_bytes: 1,
        }),
        Err(StorageError::Gone)
    ));
    // The parent's position continues on both children.
    let halves = [1, 2].map(|id| feed(&container, FeedScope::Partition(id), 20).items.len());
    assert_eq!(halves.iter().sum::<usize>(), 20);
    assert!(halves.iter().all(|&half| half > 0), "{halves:?}");
    for number in 40..60 {
        let pk = format!("k{number}");
        let document = json!({"id": "1", "pk": pk, "n": number});
        let outcome = run(&container, &pk, vec![create(&container, document)]).await;
        assert!(matches!(outcome, Outcome::Committed { lsn: 41.., .. }));
    }
    engine.merge("d", "c", 1, 2).await.unwrap();
    let all = feed(&container, FeedScope::Partition(3), 0);
    assert_eq!(all.items.len(), 60);
    assert!(all.items.is_sorted_by_key(Item::lsn));
    let range = container.partitions().partitions[0].range;
    let (left, right) = range.split_at(range.midpoint()).unwrap();
    let parts = [left, right]
        .map(|part| feed(&container, FeedScope::PartitionRange(3, part), 0).items.len());
    assert_eq!(parts.iter().sum::<usize>(), 60);
}

#[tokio::test]
async fn walks_by_key_and_index_see_what_matches_and_nothing_else() {
    let (_engine, container) = in_memory(&json!({})).await;
    for number in 0..100 {
        let pk = format!("k{}", number % 3);
        let document =
            json!({"id": format!("{number:03}"), "pk": pk, "n": number % 10, "u": number});
        run(&container, &pk, vec![create(&container, document)]).await;
    }
    let walk = |scan: Scan, after| -> Vec<(Vec<u8>, Item)> {
        container.scan(scan, after).unwrap().map(Result::unwrap).collect()
    };
    let logical = |descending| Scan::Logical {
        key: key("k1"),
        id_from: Bound::Included("010".to_owned()),
        id_to: Bound::Excluded("022".to_owned()),
        descending,
    };
    let of = |found: &[(Vec<u8>, Item)]| -> Vec<String> {
        found.iter().map(|(_, item)| item.id().to_owned()).collect()
    };
    let forwards = walk(logical(false), None);
    assert_eq!(of(&forwards), ["010", "013", "016", "019"]);
    assert_eq!(of(&walk(logical(true), None)), ["019", "016", "013", "010"]);
    let second = forwards[1].0.clone();
    assert_eq!(of(&walk(logical(false), Some(second.clone()))), ["016", "019"]);
    assert_eq!(of(&walk(logical(true), Some(second))), ["010"]);

    let index = |path: &str, lower: Bound<Value>, upper: Bound<Value>| Scan::Index {
        path: vec![path.to_owned()],
        lower,
        upper,
        descending: false,
        range: EpkRange::full(),
    };
    let equal = walk(index("n", Bound::Included(json!(4)), Bound::Included(json!(4))), None);
    assert_eq!(equal.len(), 10);
    let above = walk(index("n", Bound::Excluded(json!(7)), Bound::Unbounded), None);
    assert_eq!(above.len(), 20);
    let unique = walk(index("u", Bound::Included(json!(10)), Bound::Excluded(json!(13))), None);
    assert_eq!(unique.len(), 3);
    assert!(container.scan(index("x", Bound::Unbounded, Bound::Unbounded), None).is_err());
    let by_id = Scan::Range { range: EpkRange::full(), id: Some("042".to_owned()) };
    assert_eq!(of(&walk(by_id, None)), ["042"]);
    assert_eq!(walk(Scan::Range { range: EpkRange::full(), id: None }, None).len(), 100);
}

#[tokio::test]
async fn expired_items_are_absent_at_once_and_removed_by_the_sweep() {
    let (engine, container) = in_memory(&json!({"defaultTtl": -1})).await;
    let item =
        |id: &str, ttl: i32| create(&container, json!({"id": id, "pk": "a", "u": id, "ttl": ttl}));
    run(&container, "a", vec![item("short", 5), item("long", 500), item("never", -1)]).await;
    engine.clock().advance(10);
    assert!(container.read(&key("a"), "short").unwrap().is_none());
    assert!(container.read(&key("a"), "long").unwrap().is_some());
    assert_eq!(ids(&feed(&container, FeedScope::Partition(0), 0)), ["long", "never"]);
    // Its id and its unique value are free before the sweep has been there.
    assert!(failure(&run(&container, "a", vec![item("short", 5)]).await).is_none());
    assert_eq!(engine.sweep().await.unwrap(), 0, "the expired row was replaced");
    engine.clock().advance(10);
    assert_eq!(engine.sweep().await.unwrap(), 1);
    engine.clock().advance(1000);
    assert_eq!(engine.sweep().await.unwrap(), 1);
    assert_eq!(ids(&feed(&container, FeedScope::Partition(0), 0)), ["never"]);
}

#[tokio::test]
async fn a_replaced_definition_indexes_what_is_there() {
    let (engine, container) = in_memory(&json!({})).await;
    for number in 0..10 {
        let document = json!({"id": number.to_string(), "pk": "a", "u": number, "m": number});
        run(&container, "a", vec![create(&container, document)]).await;
    }
    let path = vec!["m".to_owned()];
    assert!(!container.can_index(&path));
    let policy = json!({"indexingPolicy": {"includedPaths": [{"path": "/*"}]}, "defaultTtl": 3});
    engine.replace_container("d", definition(&policy)).await.unwrap();
    let scan = Scan::Index {
        path,
        lower: Bound::Included(json!(7)),
        upper: Bound::Unbounded,
        descending: false,
        range: EpkRange::full(),
    };
    assert_eq!(container.scan(scan, None).unwrap().count(), 3);
    engine.clock().advance(5);
    assert_eq!(engine.sweep().await.unwrap(), 10);
    let other = definition(&json!({"partitionKey": {"paths": ["/x"], "version": 2}}));
    let refused = engine.replace_container("d", other).await;
    assert!(matches!(refused, Err(StorageError::Invalid(_))));
}

#[tokio::test]
async fn deleted_containers_answer_not_found_and_their_numbers_are_not_used_again() {
    let (engine, container) = in_memory(&json!({})).await;
    let before = container.rid();
    engine.delete_container("d", "c").await.unwrap();
    let item = create(&container, json!({"id": "1", "pk": "a"}));
    let write = container.execute(key("a"), vec![item]).await;
    assert!(matches!(write, Err(StorageError::NotFound)));
    assert!(matches!(container.read(&key("a"), "1"), Err(StorageError::NotFound)));
    let anew = engine.create_container("d", definition(&json!({})), None, 1).await.unwrap();
    assert_ne!(anew.rid(), before);
    assert!(matches!(engine.create_database("d", None).await, Err(StorageError::Exists)));
    engine.delete_database("d").await.unwrap();
    assert!(engine.container("d", "c").is_none());
    assert!(matches!(engine.delete_database("d").await, Err(StorageError::NotFound)));
}

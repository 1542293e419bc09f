//! Physical partitions: their list, splits and merges.

use cosmos_local::LocalCosmos;
use serde_json::{Value, json};

use crate::client::{DOCS, KEY_A, Wire};

const RANGES: &str = "dbs/d/colls/c/pkranges";

#[tokio::test]
async fn the_list_tiles_the_key_space_and_is_not_sent_twice() {
    let wire = Wire::start(LocalCosmos::builder().partitions(4)).await.with_container().await;
    let list = wire.get(RANGES, &[]).await;
    let ranges = list.body["PartitionKeyRanges"].as_array().unwrap();
    assert_eq!(ranges.len(), 4);
    assert_eq!(ranges[0]["minInclusive"], "");
    assert_eq!(ranges[3]["maxExclusive"], "FF");
    for pair in ranges.windows(2) {
        assert_eq!(pair[0]["maxExclusive"], pair[1]["minInclusive"]);
    }
    let etag = list.header("etag");
    let incremental = [("a-im", "Incremental Feed"), ("if-none-match", etag)];
    let unchanged = wire.get(RANGES, &incremental).await;
    assert_eq!((unchanged.status, unchanged.header("etag")), (304, etag));
}

#[tokio::test]
async fn a_split_retires_the_parent_and_loses_nothing() {
    let wire = Wire::lenient().await.with_container().await;
    for n in 0..20 {
        wire.create(json!({"id": n.to_string(), "pk": n.to_string()})).await;
    }
    wire.create(json!({"id": "1", "pk": "a"})).await;
    let before = wire.get(RANGES, &[]).await;
    let half = wire.feed(&[("x-ms-max-item-count", "10")]).await;
    wire.endpoint.control().split("d", "c", Some(0), None).await.unwrap();

    let after = wire.get(RANGES, &[("if-none-match", before.header("etag"))]).await;
    let ranges = after.body["PartitionKeyRanges"].as_array().unwrap();
    assert_eq!(ranges.len(), 2);
    assert!(ranges.iter().all(|range| range["parents"] == json!(["0"])));
    let parent = ("x-ms-documentdb-partitionkeyrangeid", "0");
    assert_eq!(wire.feed(&[parent]).await.outcome(), (410, 1002));
    assert_eq!(wire.query("SELECT * FROM c", &[parent]).await.outcome(), (410, 1002));

    let mut seen: Vec<Value> = half.column("id");
    for range in ranges {
        let id = range["id"].as_str().unwrap();
        let headers =
            [("x-ms-documentdb-partitionkeyrangeid", id), ("if-none-match", half.header("etag"))];
        let rest = wire.feed(&headers).await;
        seen.extend(rest.column("id"));
    }
    assert_eq!(seen.len(), 21, "the children go on where the parent was");
    let token = ("x-ms-session-token", "0:-1#21");
    assert_eq!(wire.get(&format!("{DOCS}/1"), &[KEY_A, token]).await.status, 200);
    let unscoped = wire.feed(&[]).await;
    assert_eq!(unscoped.status, 400, "a feed of several partitions has no order");
}

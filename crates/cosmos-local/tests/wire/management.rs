//! The management port and the library's control of a running endpoint.

use cosmos_local::{Fault, FaultAction, LocalCosmos, StartError, Throttle};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{DOCS, KEY_A, Wire};

/// One request to the management port; gives the status and the body.
pub(crate) async fn manage(
    endpoint: &str,
    method: Method,
    path: &str,
    body: &Value,
) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let client = reqwest::Client::new();
    let request = client.request(method, format!("{endpoint}{path}")).body(body);
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
}

#[tokio::test]
async fn partitions_are_split_and_merged_over_the_port() {
    let wire = Wire::lenient().await.with_container().await;
    let at = wire.endpoint.management_endpoint();
    let container = json!({"database": "d", "container": "c"});
    let (status, split) = manage(at, Method::POST, "split", &container).await;
    assert_eq!(status, 200, "{split}");
    let partitions = split["partitions"].as_array().unwrap();
    let bounds: Vec<_> = partitions.iter().map(|one| (&one["min"], &one["max"])).collect();
    let half = json!("1FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF");
    assert_eq!(bounds, [(&json!(""), &half), (&half, &json!("FF"))]);

    let (status, refused) = manage(at, Method::POST, "split", &container).await;
    assert_eq!(status, 400, "which of the two? {refused}");
    let upper = json!({"database": "d", "container": "c", "partition": 2, "at": "30"});
    assert_eq!(manage(at, Method::POST, "split", &upper).await.0, 200);
    assert_eq!(manage(at, Method::POST, "split", &upper).await.0, 404, "it is gone");
    let outside = json!({"database": "d", "container": "c", "partition": 1, "at": "30"});
    assert_eq!(manage(at, Method::POST, "split", &outside).await.0, 400);

    let apart = json!({"database": "d", "container": "c", "left": 1, "right": 4});
    assert_eq!(manage(at, Method::POST, "merge", &apart).await.0, 400);
    let beside = json!({"database": "d", "container": "c", "left": 3, "right": 4});
    let (status, merged) = manage(at, Method::POST, "merge", &beside).await;
    assert_eq!((status, merged["partitions"].as_array().unwrap().len()), (200, 2), "{merged}");
    let (_, listed) = manage(at, Method::GET, "partitions/d/c", &Value::Null).await;
    assert_eq!(listed, merged);
}

#[tokio::test]
async fn every_request_is_counted_once() {
    let wire = Wire::lenient().await.with_container().await;
    let at = wire.endpoint.management_endpoint();
    assert_eq!(manage(at, Method::DELETE, "counters", &Value::Null).await.0, 200);
    wire.create(json!({"id": "1", "pk": "a"})).await;
    wire.get(&format!("{DOCS}/1"), &[KEY_A]).await;
    wire.get("nothing", &[]).await;
    let (_, counts) = manage(at, Method::GET, "counters", &Value::Null).await;
    assert_eq!(counts["total"], 3);
    assert_eq!(counts["kinds"], json!({"create_item": 1, "read_item": 1, "other": 1}));
    assert!(counts["responseBytes"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn every_kind_of_request_has_a_counter() {
    let wire = Wire::lenient().await;
    let paths = [
        "",
        "dbs",
        "dbs/x",
        "dbs/x/colls",
        "dbs/x/colls/x",
        "dbs/x/colls/x/pkranges",
        "dbs/x/colls/x/docs",
        "dbs/x/colls/x/docs/x",
        "offers",
        "offers/x",
    ];
    let headers = [
        "x-ms-nothing",
        "x-ms-documentdb-isquery",
        "x-ms-cosmos-is-query-plan-request",
        "x-ms-cosmos-is-batch-request",
        "x-ms-documentdb-is-upsert",
        "a-im",
    ];
    for path in paths {
        for header in headers {
            for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                wire.send(method, path, &[(header, "True")], &Value::Null).await;
            }
        }
    }
    let counts = wire.endpoint.control().counts();
    let kinds: Vec<_> = counts.kinds.keys().filter(|kind| *kind != "other").collect();
    // A fault can name only what has a counter, so every operation must have one of its own.
    assert_eq!(kinds.len(), 28, "{counts:?}");
    for kind in kinds {
        let fault = Fault::new(FaultAction::DropBefore).on_kind(kind.as_str());
        wire.endpoint.control().inject(fault).unwrap();
    }
}

#[tokio::test]
async fn throttled_requests_are_told_to_come_back() {
    let wire = Wire::lenient().await.with_container().await;
    let control = wire.endpoint.control();
    control.throttle(Throttle::ratio(1.0), Some(60.0)).unwrap();
    let answer = wire.get(&format!("{DOCS}/1"), &[KEY_A]).await;
    assert_eq!(answer.outcome(), (429, 3200));
    assert!(answer.header("x-ms-retry-after-ms").parse::<u64>().unwrap() > 0);
    assert_eq!(wire.get("dbs/d/colls/c", &[]).await.status, 200, "metadata is not throttled");
    control.throttle(Throttle::per_second(1.0), None).unwrap();
    assert_eq!(control.faults().len(), 1, "it took the place of the other");
    control.clear_throttles();
    wire.create(json!({"id": "1", "pk": "a"})).await;
}

#[tokio::test]
async fn a_fault_for_one_partition_key_leaves_the_others_alone() {
    let wire = Wire::lenient().await.with_container().await;
    let fault = Fault::new(FaultAction::DropBefore).with_partition_key("a").in_container("c");
    wire.endpoint.control().inject(fault).unwrap();
    let other = ("x-ms-documentdb-partitionkey", "[\"b\"]");
    assert_eq!(wire.get(&format!("{DOCS}/1"), &[other]).await.status, 404);
    assert!(wire.try_send(Method::GET, &format!("{DOCS}/1"), &[KEY_A], Vec::new()).await.is_err());
}

#[tokio::test]
async fn expired_items_are_swept_when_the_clock_says_so() {
    let wire = Wire::lenient().await.with_definition(json!({"defaultTtl": 60})).await;
    wire.create(json!({"id": "1", "pk": "a"})).await;
    let at = wire.endpoint.management_endpoint();
    assert_eq!(manage(at, Method::POST, "sweep", &Value::Null).await.1, json!({"removed": 0}));
    let ahead = json!({"advanceSeconds": 120});
    assert_eq!(manage(at, Method::POST, "clock", &ahead).await.0, 200);
    assert_eq!(wire.get(&format!("{DOCS}/1"), &[KEY_A]).await.status, 404);
    assert_eq!(manage(at, Method::POST, "sweep", &Value::Null).await.1, json!({"removed": 1}));
}

#[tokio::test]
async fn data_outlives_the_endpoint() {
    let folder = tempfile::tempdir().unwrap();
    let builder = || LocalCosmos::builder().data_dir(folder.path());
    let wire = Wire::start(builder()).await.with_container().await;
    wire.create(json!({"id": "1", "pk": "a", "n": 7})).await;
    let rid = wire.get("dbs/d/colls/c", &[]).await.body["_rid"].clone();
    wire.endpoint.shutdown().await.unwrap();

    let wire = Wire::start(builder()).await;
    assert_eq!(wire.get("dbs/d/colls/c", &[]).await.body["_rid"], rid);
    assert_eq!(wire.get(&format!("{DOCS}/1"), &[KEY_A]).await.body["n"], 7);
    wire.endpoint.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_foreign_folder_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thesis.txt"), "mine").unwrap();
    let refused = LocalCosmos::builder().data_dir(folder.path()).start().await.unwrap_err();
    assert!(matches!(refused, StartError::Storage { .. }), "{refused}");
    assert!(refused.to_string().contains(&folder.path().display().to_string()), "{refused}");
    let names: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["thesis.txt"]);
}

//! Point operations.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{DOCS, KEY_A, Wire};

fn path(id: &str) -> String {
    format!("{DOCS}/{id}")
}

#[tokio::test]
async fn an_item_is_created_read_replaced_and_deleted() {
    let wire = Wire::lenient().await.with_container().await;
    let created = wire.create(json!({"z": 1, "id": "1", "pk": "a", "b": [1.5, null]})).await;
    let names: Vec<_> = created.body.as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["z", "id", "pk", "b", "_rid", "_self", "_etag", "_attachments", "_ts"]);
    assert_eq!(created.body["_etag"], created.header("etag"));
    assert_eq!(created.header("x-ms-session-token"), "0:-1#1");
    assert_eq!(created.header("lsn"), "1");

    let read = wire.get(&path("1"), &[KEY_A]).await;
    assert_eq!((read.status, &read.body), (200, &created.body));
    assert_eq!(read.header("x-ms-item-lsn"), "1");
    assert_eq!(read.header("x-ms-documentdb-partitionkeyrangeid"), "0");
    assert_eq!(read.header("x-ms-alt-content-path"), "dbs/d/colls/c");
    let charge: f64 = read.header("x-ms-request-charge").parse().unwrap();
    assert!((charge - 1.0).abs() < 0.01);

    let duplicate = wire.send(Method::POST, DOCS, &[KEY_A], &json!({"id": "1", "pk": "a"})).await;
    assert_eq!(duplicate.outcome(), (409, 0));
    let changed = json!({"id": "1", "pk": "a", "v": 2});
    let replaced = wire.send(Method::PUT, &path("1"), &[KEY_A], &changed).await;
    assert_eq!((replaced.status, &replaced.body["v"]), (200, &json!(2)));
    assert_eq!(replaced.body["_rid"], created.body["_rid"]);
    let other_id = json!({"id": "2", "pk": "a"});
    assert_eq!(wire.send(Method::PUT, &path("1"), &[KEY_A], &other_id).await.status, 400);
    assert_eq!(wire.send(Method::PUT, &path("2"), &[KEY_A], &other_id).await.status, 404);

    let deleted = wire.send(Method::DELETE, &path("1"), &[KEY_A], &Value::Null).await;
    assert_eq!(deleted.status, 204);
    let missing = wire.get(&path("1"), &[KEY_A]).await;
    assert_eq!(missing.outcome(), (404, 0));
    assert_eq!(missing.header("x-ms-session-token"), "0:-1#3", "a 404 says how far it looked");
    assert_eq!(wire.send(Method::DELETE, &path("1"), &[KEY_A], &Value::Null).await.status, 404);
}

#[tokio::test]
async fn conditions_are_checked() {
    let wire = Wire::lenient().await.with_container().await;
    let created = wire.create(json!({"id": "1", "pk": "a"})).await;
    let first = created.header("etag").to_owned();
    assert_eq!(wire.get(&path("1"), &[KEY_A, ("if-none-match", &first)]).await.status, 304);
    let changed = json!({"id": "1", "pk": "a", "v": 2});
    let matching = [KEY_A, ("if-match", first.as_str())];
    let upsert = [KEY_A, ("if-match", first.as_str()), ("x-ms-documentdb-is-upsert", "True")];
    assert_eq!(wire.send(Method::PUT, &path("1"), &matching, &changed).await.status, 200);
    assert_eq!(wire.send(Method::PUT, &path("1"), &matching, &changed).await.status, 412);
    assert_eq!(wire.send(Method::POST, DOCS, &upsert, &changed).await.status, 412);
    assert_eq!(wire.send(Method::DELETE, &path("1"), &matching, &Value::Null).await.status, 412);
    assert_eq!(wire.get(&path("1"), &[KEY_A, ("if-none-match", &first)]).await.status, 200);
}

#[tokio::test]
async fn an_upsert_creates_and_replaces_and_may_be_brief() {
    let wire = Wire::lenient().await.with_container().await;
    let upsert = [KEY_A, ("x-ms-documentdb-is-upsert", "True"), ("prefer", "return=minimal")];
    let item = json!({"id": "1", "pk": "a"});
    let created = wire.send(Method::POST, DOCS, &upsert, &item).await;
    assert_eq!((created.status, &created.body), (201, &Value::Null));
    assert!(!created.header("etag").is_empty());
    assert_eq!(wire.send(Method::POST, DOCS, &upsert, &item).await.status, 200);
}

#[tokio::test]
async fn keys_that_disagree_and_bad_items_are_refused() {
    let wire = Wire::lenient().await.with_container().await;
    let create = async |item: Value| wire.send(Method::POST, DOCS, &[KEY_A], &item).await.outcome();
    assert_eq!(create(json!({"id": "1", "pk": "b"})).await, (400, 1001));
    assert_eq!(create(json!({"id": "1"})).await, (400, 1001));
    assert_eq!(create(json!({"pk": "a"})).await.0, 400);
    assert_eq!(create(json!({"id": "", "pk": "a"})).await.0, 400);
    assert_eq!(create(json!({"id": 1, "pk": "a"})).await.0, 400);
    assert_eq!(create(json!([1])).await.0, 400);
    let large = json!({"id": "1", "pk": "a", "x": "x".repeat(2 * 1024 * 1024)});
    assert_eq!(create(large).await.0, 413);
    assert_eq!(wire.get(&path("1"), &[]).await.status, 400, "a read needs a key");
    let header = [("x-ms-documentdb-partitionkey", "a")];
    assert_eq!(wire.get(&path("1"), &header).await.status, 400);
    let broken = wire.try_send(Method::POST, DOCS, &[KEY_A], b"{".to_vec()).await.unwrap();
    assert_eq!(broken.status, 400);
}

#[tokio::test]
async fn null_and_undefined_keys_are_two_keys() {
    let wire = Wire::lenient().await.with_container().await;
    let null = [("x-ms-documentdb-partitionkey", "[null]")];
    let undefined = [("x-ms-documentdb-partitionkey", "[{}]")];
    let item = json!({"id": "1"});
    assert_eq!(wire.send(Method::POST, DOCS, &undefined, &item).await.status, 201);
    assert_eq!(wire.get(&path("1"), &null).await.status, 404);
    assert_eq!(wire.get(&path("1"), &undefined).await.status, 200);
}

#[tokio::test]
async fn a_session_token_ahead_of_the_partition_is_told() {
    let wire = Wire::lenient().await.with_container().await;
    wire.create(json!({"id": "1", "pk": "a"})).await;
    for (token, outcome) in [
        ("0:-1#1", (200, 0)),
        ("0:-1#9", (404, 1002)),
        ("0:9", (404, 1002)),
        ("3:-1#9", (200, 0)),
        ("x", (400, 0)),
    ] {
        let answer = wire.get(&path("1"), &[KEY_A, ("x-ms-session-token", token)]).await;
        assert_eq!(answer.outcome(), outcome, "{token}");
    }
}

#[tokio::test]
async fn binary_bodies_are_decoded_and_strict_numbers_are_binary64() {
    let wire = Wire::strict().await.with_container().await;
    let document = json!({"id": "1", "pk": "a", "n": 9_007_199_254_740_993_u64, "f": 1.0});
    let binary = azure_data_cosmos_driver::binary_json::encode(&document);
    assert_eq!(binary.first(), Some(&0x80));
    let answer = wire.try_send(Method::POST, DOCS, &[KEY_A], binary).await.unwrap();
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.body["n"].to_string(), "9007199254740992");
    assert_eq!(answer.body["f"].to_string(), "1");
}

#[tokio::test]
async fn ids_with_unusual_characters_and_the_key_id_work() {
    let wire = Wire::lenient()
        .await
        .with_definition(json!({"partitionKey": {"paths": ["/id"], "kind": "Hash", "version": 2}}))
        .await;
    for (id, encoded) in [("a b", "a%20b"), ("50%", "50%25"), ("\u{e9}+", "%C3%A9%2B")] {
        let key = json!([id]).to_string().replace('\u{e9}', "\\u00e9");
        let headers = [("x-ms-documentdb-partitionkey", key.as_str())];
        let created = wire.send(Method::POST, DOCS, &headers, &json!({"id": id})).await;
        assert_eq!(created.status, 201, "{id}: {created:?}");
        assert_eq!(wire.get(&path(encoded), &headers).await.body["id"], id);
    }
}

#[tokio::test]
async fn unique_keys_hold_within_a_logical_partition() {
    let unique = json!({"uniqueKeyPolicy": {"uniqueKeys": [{"paths": ["/e"]}]}});
    let wire = Wire::lenient().await.with_definition(unique).await;
    wire.create(json!({"id": "1", "pk": "a", "e": "x"})).await;
    wire.create(json!({"id": "1", "pk": "b", "e": "x"})).await;
    let item = json!({"id": "2", "pk": "a", "e": "x"});
    assert_eq!(wire.send(Method::POST, DOCS, &[KEY_A], &item).await.outcome(), (409, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn patches_of_one_item_at_once_all_succeed() {
    let wire = Arc::new(Wire::lenient().await.with_container().await);
    wire.create(json!({"id": "1", "pk": "a", "n": 0})).await;
    let operations = json!({"operations": [{"op": "incr", "path": "/n", "value": 1}]});
    let batch = json!([{"operationType": "Patch", "id": "1", "resourceBody": operations}]);
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..150 {
        let (wire, operations, batch) = (Arc::clone(&wire), operations.clone(), batch.clone());
        writers.spawn(async move {
            if n % 3 == 0 {
                return wire.batch("a", batch).await;
            }
            wire.send(Method::PATCH, &path("1"), &[KEY_A], &operations).await
        });
    }
    for answer in writers.join_all().await {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(wire.get(&path("1"), &[KEY_A]).await.body["n"], 150);
}

#[tokio::test]
async fn a_patch_changes_parts_under_its_conditions() {
    let wire = Wire::lenient().await.with_container().await;
    let created = wire.create(json!({"id": "1", "pk": "a", "n": 1, "t": ["x"]})).await;
    let patch = async |headers: &[(&str, &str)], body: Value| {
        let mut all = vec![KEY_A, ("content-type", "application/json_patch+json")];
        all.extend_from_slice(headers);
        wire.send(Method::PATCH, &path("1"), &all, &body).await
    };
    let both = json!([{"op": "incr", "path": "/n", "value": 2}, {"op": "add", "path": "/t/-", "value": "y"}]);
    let changed = patch(&[], both).await;
    assert_eq!(
        (changed.status, &changed.body["n"], &changed.body["t"]),
        (200, &json!(3), &json!(["x", "y"]))
    );
    let set = json!([{"op": "set", "path": "/n", "value": 9}]);
    let guarded = |condition: &str| json!({"condition": condition, "operations": set});
    assert_eq!(patch(&[], guarded("from c where c.n = 4")).await.outcome(), (412, 1110));
    assert_eq!(patch(&[], guarded("from c where c.n = 3")).await.status, 200);
    let stale = [("if-match", created.header("etag"))];
    assert_eq!(patch(&stale, set.clone()).await.outcome(), (412, 0));
    for bad in [
        json!([]),
        json!([{"op": "set", "path": "/pk", "value": "b"}]),
        json!([{"op": "set", "path": "/id", "value": "2"}]),
        json!([{"op": "replace", "path": "/none", "value": 1}]),
        json!([{"op": "incr", "path": "/t", "value": 1}]),
        Value::Array(vec![set[0].clone(); 11]),
    ] {
        assert_eq!(patch(&[], bad.clone()).await.status, 400, "{bad}");
    }
    let missing = wire.send(Method::PATCH, &path("2"), &[KEY_A], &set).await;
    assert_eq!(missing.outcome(), (404, 0));
}

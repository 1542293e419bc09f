//! Databases, containers and offers.

use cosmos_local::LocalCosmos;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{DOCS, KEY_A, Wire};

const QUERY: [(&str, &str); 1] = [("x-ms-documentdb-isquery", "True")];

#[tokio::test]
async fn databases_are_created_once_listed_queried_and_deleted() {
    let wire = Wire::lenient().await;
    for id in ["d1", "d 2"] {
        let answer = wire.send(Method::POST, "dbs", &[], &json!({"id": id})).await;
        assert_eq!(answer.status, 201);
        let rid = answer.body["_rid"].as_str().unwrap();
        assert_eq!(answer.body["_self"], format!("dbs/{rid}/"));
    }
    let again = wire.send(Method::POST, "dbs", &[], &json!({"id": "d1"})).await;
    assert_eq!(again.outcome(), (409, 0));
    let bad = wire.send(Method::POST, "dbs", &[], &json!({"id": "a/b"})).await;
    assert_eq!(bad.status, 400);

    let list = wire.get("dbs", &[]).await;
    assert_eq!(list.body["_count"], 2);
    let page = wire.get("dbs", &[("x-ms-max-item-count", "1")]).await;
    assert_eq!(page.body["_count"], 1);
    let rest = wire.get("dbs", &[("x-ms-continuation", page.header("x-ms-continuation"))]).await;
    assert_eq!(rest.body["_count"], 1);
    assert_eq!(wire.get("dbs", &[("x-ms-continuation", "x")]).await.status, 400);

    let query = json!({
        "query": "SELECT * FROM root r WHERE r.id = @id",
        "parameters": [{"name": "@id", "value": "d 2"}]
    });
    let found = wire.send(Method::POST, "dbs", &QUERY, &query).await;
    assert_eq!(found.body["Databases"][0]["id"], "d 2");
    assert_eq!(found.body["_count"], 1);

    assert_eq!(wire.get("dbs/d%202", &[]).await.status, 200);
    let deleted = wire.send(Method::DELETE, "dbs/d%202", &[], &Value::Null).await;
    assert_eq!(deleted.status, 204);
    assert_eq!(wire.get("dbs/d%202", &[]).await.outcome(), (404, 0));
}

#[tokio::test]
async fn containers_are_created_once_shown_replaced_and_deleted() {
    let wire = Wire::lenient().await.with_container().await;
    let shown = wire.get("dbs/d/colls/c", &[]).await;
    assert_eq!(shown.status, 200);
    assert_eq!(shown.body["partitionKey"]["paths"], json!(["/pk"]));
    assert_eq!(shown.body["indexingPolicy"]["automatic"], true);
    assert!(shown.body["_docs"].is_string());

    let same = json!({"id": "c", "partitionKey": {"paths": ["/pk"], "kind": "Hash", "version": 2}});
    assert_eq!(wire.send(Method::POST, "dbs/d/colls", &[], &same).await.status, 409);
    let elsewhere = wire.send(Method::POST, "dbs/nowhere/colls", &[], &same).await;
    assert_eq!(elsewhere.outcome(), (404, 1003));

    let mut changed = shown.body.clone();
    changed["defaultTtl"] = json!(60);
    let replaced = wire.send(Method::PUT, "dbs/d/colls/c", &[], &changed).await;
    assert_eq!((replaced.status, &replaced.body["defaultTtl"]), (200, &json!(60)));
    assert_ne!(replaced.header("etag"), shown.header("etag"));
    changed["partitionKey"]["paths"] = json!(["/other"]);
    assert_eq!(wire.send(Method::PUT, "dbs/d/colls/c", &[], &changed).await.status, 400);

    let query = json!({"query": "SELECT * FROM root r WHERE r.id = 'c'"});
    let found = wire.send(Method::POST, "dbs/d/colls", &QUERY, &query).await;
    assert_eq!(found.body["DocumentCollections"][0]["_rid"], shown.body["_rid"]);

    assert_eq!(wire.send(Method::DELETE, "dbs/d/colls/c", &[], &Value::Null).await.status, 204);
    assert_eq!(wire.get("dbs/d/colls/c", &[]).await.outcome(), (404, 0));
    assert_eq!(wire.get(DOCS, &[]).await.outcome(), (404, 1003));
    assert_eq!(wire.get("dbs/d/colls", &[]).await.body["_count"], 0);
}

#[tokio::test]
async fn definitions_that_would_be_hashed_otherwise_are_refused() {
    let wire = Wire::lenient().await.with_container().await;
    for key in [
        json!({"paths": ["/a", "/b"], "kind": "MultiHash", "version": 2}),
        json!({"paths": ["/a"], "kind": "Hash", "version": 1}),
        json!({"paths": ["/a"], "kind": "Hash"}),
    ] {
        let definition = json!({"id": "x", "partitionKey": key});
        let answer = wire.send(Method::POST, "dbs/d/colls", &[], &definition).await;
        assert_eq!(answer.status, 400);
        assert!(answer.message().contains("not supported yet"), "{}", answer.message());
    }
}

#[tokio::test]
async fn a_container_made_again_is_told_apart_by_its_rid() {
    let wire = Wire::lenient().await.with_container().await;
    let old = wire.get("dbs/d/colls/c", &[]).await.body["_rid"].as_str().unwrap().to_owned();
    let intended = ("x-ms-cosmos-intended-collection-rid", old.as_str());
    wire.create(json!({"id": "1", "pk": "a"})).await;
    assert_eq!(wire.get(&format!("{DOCS}/1"), &[KEY_A, intended]).await.status, 200);
    let by_rid = wire.get("dbs", &[]).await.body["Databases"][0]["_rid"].clone();
    let path = format!("dbs/{}/colls/{old}", by_rid.as_str().unwrap());
    assert_eq!(wire.get(&path, &[]).await.body["id"], "c", "resource ids address, too");

    wire.send(Method::DELETE, "dbs/d/colls/c", &[], &Value::Null).await;
    let definition =
        json!({"id": "c", "partitionKey": {"paths": ["/pk"], "kind": "Hash", "version": 2}});
    wire.send(Method::POST, "dbs/d/colls", &[], &definition).await;
    let answer = wire.get(&format!("{DOCS}/1"), &[KEY_A, intended]).await;
    assert_eq!(answer.outcome(), (400, 1024));
}

#[tokio::test]
async fn offers_follow_the_throughput_and_make_partitions() {
    let wire = Wire::lenient().await.with_container().await;
    let create = async |id: &str, name: &str, value: &str| {
        let definition =
            json!({"id": id, "partitionKey": {"paths": ["/pk"], "kind": "Hash", "version": 2}});
        let answer = wire.send(Method::POST, "dbs/d/colls", &[(name, value)], &definition).await;
        let rid = answer.body["_rid"].as_str().unwrap_or_default().to_owned();
        (answer.status, rid)
    };
    let find = async |rid: &str| {
        let query = json!({
            "query": "SELECT * FROM c WHERE c.offerResourceId = @rid",
            "parameters": [{"name": "@rid", "value": rid}]
        });
        wire.send(Method::POST, "offers", &QUERY, &query).await.body["Offers"][0].clone()
    };
    let (status, rid) = create("big", "x-ms-offer-throughput", "11000").await;
    assert_eq!(status, 201);
    let ranges = wire.get("dbs/d/colls/big/pkranges", &[]).await;
    assert_eq!(ranges.body["_count"], 2);
    let mut offer = find(&rid).await;
    assert_eq!(offer["content"]["offerThroughput"], 11_000);
    offer["content"]["offerThroughput"] = json!(500);
    let path = format!("offers/{}", offer["id"].as_str().unwrap());
    let replaced = wire.send(Method::PUT, &path, &[], &offer).await;
    assert_eq!(replaced.status, 200, "{replaced:?}");
    assert_eq!(wire.get(&path, &[]).await.body["content"]["offerThroughput"], 500);
    assert_eq!(replaced.header("x-ms-offer-replace-pending"), "false");

    let settings = r#"{"maxThroughput":5000,"autoUpgradePolicy":{"throughputPolicy":{"incrementPercent":42}}}"#;
    let (_, rid) = create("auto", "x-ms-cosmos-offer-autopilot-settings", settings).await;
    let offer = find(&rid).await;
    assert_eq!(offer["content"]["offerThroughput"], 500);
    let shown: Value = serde_json::from_str(settings).unwrap();
    assert_eq!(offer["content"]["offerAutopilotSettings"], shown);

    let (status, _) = create("small", "x-ms-offer-throughput", "100").await;
    assert_eq!(status, 400);
    assert_eq!(wire.get("offers/none", &[]).await.status, 404);
    assert_eq!(wire.get("offers", &[]).await.body["_count"], 3);
}

#[tokio::test]
async fn a_fixed_number_of_partitions_wins_over_the_throughput() {
    let wire = Wire::start(LocalCosmos::builder().partitions(3)).await.with_container().await;
    let ranges = wire.get("dbs/d/colls/c/pkranges", &[]).await;
    assert_eq!(ranges.body["_count"], 3);
}

//! The change feed.

use cosmos_local::{LocalCosmos, Mode};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{DOCS, KEY_A, Wire};

const FORMAT: (&str, &str) = ("x-ms-cosmos-changefeed-wire-format-version", "2021-09-15");

fn creates(ids: &[&str]) -> Value {
    let create =
        |id: &&str| json!({"operationType": "Create", "resourceBody": {"id": id, "pk": "a"}});
    Value::Array(ids.iter().map(create).collect())
}

#[tokio::test]
async fn changes_come_in_their_order_and_end_with_304_and_an_etag() {
    let wire = Wire::lenient().await.with_container().await;
    let empty = wire.feed(&[]).await;
    assert_eq!((empty.status, empty.header("etag")), (304, "\"0\""));
    for id in ["1", "2", "3"] {
        wire.create(json!({"id": id, "pk": id})).await;
    }
    let first = wire.feed(&[("x-ms-max-item-count", "2")]).await;
    assert_eq!((first.status, first.header("etag")), (200, "\"2\""));
    assert_eq!(first.column("id"), ["1", "2"]);
    assert_eq!(first.column("_lsn"), [1, 2], "flat items carry their LSN");
    let second = wire.feed(&[("if-none-match", first.header("etag"))]).await;
    assert_eq!(second.column("id"), ["3"]);
    let end = wire.feed(&[("if-none-match", second.header("etag"))]).await;
    assert_eq!((end.status, end.header("etag")), (304, "\"3\""));
    assert_eq!(end.header("lsn"), "3");
    assert_eq!(end.header("x-ms-documentdb-partitionkeyrangeid"), "0");

    let changed = json!({"id": "1", "pk": "1", "v": 2});
    let key = [("x-ms-documentdb-partitionkey", "[\"1\"]")];
    wire.send(Method::PUT, &format!("{DOCS}/1"), &key, &changed).await;
    let all = wire.feed(&[]).await;
    assert_eq!(all.column("id"), ["2", "3", "1"], "only the latest version is there");
}

#[tokio::test]
async fn starts_now_and_by_time_and_by_key() {
    let wire = Wire::lenient().await.with_container().await;
    wire.create(json!({"id": "1", "pk": "a"})).await;
    let now = wire.feed(&[("if-none-match", "*")]).await;
    assert_eq!((now.status, now.header("etag")), (304, "\"1\""));
    wire.create(json!({"id": "2", "pk": "b"})).await;
    let later = wire.feed(&[("if-none-match", now.header("etag"))]).await;
    assert_eq!(later.column("id"), ["2"]);

    let past = ("if-modified-since", "Thu, 01 Jan 2015 00:00:00 GMT");
    let future = ("if-modified-since", "Thu, 01 Jan 2099 00:00:00 GMT");
    assert_eq!(wire.feed(&[past]).await.documents().len(), 2);
    assert_eq!(wire.feed(&[future]).await.status, 304);
    let both = [past, ("if-none-match", "\"1\"")];
    assert_eq!(wire.feed(&both).await.column("id"), ["2"], "time and continuation both count");
    assert_eq!(wire.feed(&[("if-modified-since", "soon")]).await.status, 400);
    assert_eq!(wire.feed(&[KEY_A]).await.column("id"), ["1"]);
    assert_eq!(wire.feed(&[("if-none-match", "\"x\"")]).await.status, 400);
}

#[tokio::test]
async fn the_envelope_has_the_item_and_where_it_stands() {
    let wire = Wire::lenient().await.with_container().await;
    wire.create(json!({"id": "1", "pk": "a"})).await;
    let answer = wire.feed(&[FORMAT]).await;
    let item = &answer.documents()[0];
    assert_eq!(item["current"]["id"], "1");
    assert!(item["current"].get("_lsn").is_none());
    assert_eq!(item["metadata"]["lsn"], 1);
    assert_eq!(item["metadata"]["crts"], item["current"]["_ts"]);
}

#[tokio::test]
async fn a_transaction_is_never_cut_and_has_no_order_in_strict_mode() {
    let strict = Wire::strict().await.with_container().await;
    let lenient = Wire::lenient().await.with_container().await;
    let ids = ["1", "2", "3", "4"];
    let mut pages = Vec::new();
    for wire in [&strict, &lenient] {
        assert_eq!(wire.batch("a", creates(&ids)).await.status, 200);
        let page = wire.feed(&[("x-ms-max-item-count", "1")]).await;
        assert_eq!(page.header("etag"), "\"1\"");
        pages.push(page.column("id"));
    }
    assert_eq!(pages[1], ids);
    assert_ne!(pages[0], ids);
    pages[0].sort_by_key(ToString::to_string);
    assert_eq!(pages[0], ids);
}

#[tokio::test]
async fn the_feed_of_all_versions_says_that_it_is_off() {
    let wire = Wire::lenient().await.with_container().await;
    let answer = wire.get(DOCS, &[("a-im", "Full-Fidelity Feed"), ("if-none-match", "*")]).await;
    assert_eq!(answer.status, 400);
    let message = answer.message();
    assert!(message.contains("All Versions and Deletes") && message.contains("must be enabled"));
    assert!(message.contains("not supported yet"));
}

#[tokio::test]
async fn parts_of_a_partition_are_read_in_lenient_mode_only() {
    for mode in [Mode::Lenient, Mode::Strict] {
        let wire = Wire::start(LocalCosmos::builder().mode(mode)).await.with_container().await;
        for n in 0..20 {
            wire.create(json!({"id": n.to_string(), "pk": n.to_string()})).await;
        }
        let mut total = 0;
        for (min, max) in
            [("", "1FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"), ("1FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF", "FF")]
        {
            let headers = [
                ("x-ms-documentdb-partitionkeyrangeid", "0"),
                ("x-ms-read-key-type", "EffectivePartitionKeyRange"),
                ("x-ms-start-epk", min),
                ("x-ms-end-epk", max),
            ];
            let answer = wire.feed(&headers).await;
            match mode {
                Mode::Strict => assert_eq!(answer.status, 400),
                Mode::Lenient => total += answer.documents().len(),
            }
        }
        assert_eq!(total, if mode == Mode::Lenient { 20 } else { 0 });
    }
}

//! Queries: scopes, pages, indexes, strict mode.

use cosmos_local::{LocalCosmos, Mode};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Answer, DOCS, KEY_A, Wire};

/// Ten items in five logical partitions.
async fn filled(wire: Wire) -> Wire {
    for n in 0..10 {
        let pk = ["a", "b", "c", "d", "e"][n % 5];
        wire.create(json!({"id": format!("{n:02}"), "pk": pk, "n": n, "half": n / 2})).await;
    }
    wire
}

fn ids(answer: &Answer) -> Vec<Value> {
    answer.column("id")
}

#[tokio::test]
async fn one_logical_partition_is_queried_by_its_key() {
    let wire = filled(Wire::lenient().await.with_container().await).await;
    let answer = wire.query("SELECT * FROM c WHERE c.id > '04' ORDER BY c.id DESC", &[KEY_A]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(ids(&answer), ["05"]);
    assert_eq!(answer.header("x-ms-item-count"), "1");
    assert_eq!(answer.header("x-ms-documentdb-partitionkeyrangeid"), "0");
    assert!(answer.body["_rid"].is_string());
    let all = wire.query("SELECT VALUE c.n FROM c ORDER BY c.n DESC", &[KEY_A]).await;
    assert_eq!(all.documents(), [json!(5), json!(0)]);
    let equality = wire.query("SELECT * FROM c WHERE c.pk = 'b' AND c.n > 1", &[]).await;
    assert_eq!(ids(&equality), ["06"]);
    let count = wire.query("SELECT VALUE COUNT(1) FROM c", &[KEY_A]).await;
    assert_eq!(count.documents(), [json!(2)]);
}

#[tokio::test]
async fn parameters_are_bound_and_errors_have_a_position() {
    let wire = filled(Wire::lenient().await.with_container().await).await;
    let query = ("x-ms-documentdb-isquery", "True");
    let body = json!({
        "query": "SELECT * FROM c WHERE c.n = @n",
        "parameters": [{"name": "@n", "value": 7}]
    });
    assert_eq!(ids(&wire.send(Method::POST, DOCS, &[query], &body).await), ["07"]);
    for (text, word) in [
        ("SELECT * FROM c WHERE", "position"),
        ("SELECT * FROM c JOIN d IN c.items", ""),
        ("SELECT * FROM c WHERE c.n = @m", ""),
    ] {
        let answer = wire.query(text, &[]).await;
        assert_eq!(answer.status, 400, "{text}");
        assert!(answer.message().contains(word), "{}", answer.message());
    }
    let no_query = wire.send(Method::POST, DOCS, &[query], &json!({})).await;
    assert_eq!(no_query.status, 400);
}

#[tokio::test]
async fn pages_continue_where_they_ended() {
    let wire = filled(Wire::lenient().await.with_container().await).await;
    for text in [
        "SELECT * FROM c",
        "SELECT * FROM c WHERE c.n >= 0",
        "SELECT * FROM c ORDER BY c.n",
        "SELECT * FROM c WHERE c.half >= 0 ORDER BY c.n DESC",
    ] {
        let mut seen = Vec::new();
        let mut continuation = String::new();
        for page in 0.. {
            let mut headers = vec![("x-ms-max-item-count", "3")];
            if page > 0 {
                headers.push(("x-ms-continuation", &continuation));
            }
            let answer = wire.query(text, &headers).await;
            assert_eq!(answer.status, 200, "{text}: {answer:?}");
            assert!(answer.documents().len() <= 3);
            seen.extend(ids(&answer));
            continuation = answer.header("x-ms-continuation").to_owned();
            if continuation.is_empty() {
                break;
            }
            assert!(page < 10, "{text} does not end");
        }
        let mut sorted: Vec<String> =
            seen.iter().map(|id| id.as_str().unwrap().to_owned()).collect();
        if text.ends_with("DESC") {
            sorted.reverse();
        }
        if !text.contains("ORDER") {
            sorted.sort();
        }
        let expected: Vec<_> = (0..10).map(|n| format!("{n:02}")).collect();
        assert_eq!(sorted, expected, "{text}");
    }
    let bad = wire.query("SELECT * FROM c", &[("x-ms-continuation", "nonsense")]).await;
    assert_eq!(bad.status, 400);
}

#[tokio::test]
async fn an_order_of_several_properties_is_kept() {
    let wire = filled(Wire::lenient().await.with_container().await).await;
    let by_two = "SELECT * FROM c ORDER BY c.half DESC, c.n";
    let expected = ["08", "09", "06", "07", "04", "05", "02", "03", "00", "01"];
    assert_eq!(ids(&wire.query(by_two, &[]).await), expected);
    let mut seen = Vec::new();
    let mut continuation = String::new();
    for _ in 0..5 {
        let headers = [("x-ms-max-item-count", "2"), ("x-ms-continuation", continuation.as_str())];
        let headers = if continuation.is_empty() { &headers[..1] } else { &headers[..] };
        let answer = wire.query(by_two, headers).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        seen.extend(ids(&answer));
        continuation = answer.header("x-ms-continuation").to_owned();
    }
    assert_eq!(seen, expected);
    let of_one_key = wire.query("SELECT * FROM c ORDER BY c.pk, c.n DESC", &[KEY_A]).await;
    assert_eq!(ids(&of_one_key), ["05", "00"]);
    let filtered = "SELECT * FROM c WHERE c.half >= 3 ORDER BY c.pk DESC, c.n";
    assert_eq!(ids(&wire.query(filtered, &[]).await), ["09", "08", "07", "06"]);
}

#[tokio::test]
async fn all_items_are_listed_without_a_query() {
    let wire = filled(Wire::lenient().await.with_container().await).await;
    let first = wire.get(DOCS, &[("x-ms-max-item-count", "6")]).await;
    let more = [("x-ms-continuation", first.header("x-ms-continuation"))];
    let second = wire.get(DOCS, &more).await;
    assert_eq!((first.documents().len(), second.documents().len()), (6, 4));
}

#[tokio::test]
async fn an_indexed_filter_does_not_look_at_everything() {
    let wire = filled(Wire::lenient().await.with_container().await).await;
    let metrics = ("x-ms-documentdb-populatequerymetrics", "True");
    let answer = wire.query("SELECT * FROM c WHERE c.n = 7", &[metrics]).await;
    assert_eq!(ids(&answer), ["07"]);
    let shown = answer.header("x-ms-documentdb-query-metrics");
    assert!(shown.contains("retrievedDocumentCount=1;"), "{shown}");
    for (text, headers) in [
        ("SELECT * FROM c WHERE NOT IS_NULL(c.half)", vec![metrics, KEY_A]),
        ("SELECT * FROM c WHERE c.pk = 'a' AND NOT IS_NULL(c.half)", vec![metrics]),
    ] {
        let answer = wire.query(text, &headers).await;
        let shown = answer.header("x-ms-documentdb-query-metrics");
        assert!(shown.contains("retrievedDocumentCount=2;"), "{text}: {shown}");
    }
    let top = wire.query("SELECT TOP 2 * FROM c WHERE c.n > 3 ORDER BY c.n DESC", &[metrics]).await;
    assert_eq!(ids(&top), ["09", "08"]);
    let shown = top.header("x-ms-documentdb-query-metrics");
    assert!(
        shown.contains("retrievedDocumentCount=2;") || shown.contains("retrievedDocumentCount=3;"),
        "{shown}"
    );
}

#[tokio::test]
async fn several_partitions_are_one_in_lenient_mode_only() {
    let ordered = "SELECT * FROM c ORDER BY c.n";
    let builder = LocalCosmos::builder().partitions(3);
    let lenient =
        filled(Wire::start(builder.clone().mode(Mode::Lenient)).await.with_container().await).await;
    let answer = lenient.query(ordered, &[]).await;
    assert_eq!(answer.documents().len(), 10);
    assert_eq!(ids(&answer)[9], "09");

    let strict = filled(Wire::start(builder.mode(Mode::Strict)).await.with_container().await).await;
    for text in [
        ordered,
        "SELECT VALUE COUNT(1) FROM c",
        "SELECT DISTINCT c.half FROM c",
        "SELECT * FROM c OFFSET 1 LIMIT 2",
    ] {
        assert_eq!(strict.query(text, &[]).await.outcome(), (400, 1004), "{text}");
        let with_key = strict.query(text, &[KEY_A]).await;
        assert_eq!(with_key.status, 200, "{text}");
    }
    let keyed = strict.query("SELECT * FROM c WHERE c.pk = 'a' ORDER BY c.n", &[]).await;
    assert_eq!(ids(&keyed), ["00", "05"], "an equality on the key names the partition");
    assert_eq!(strict.query("SELECT * FROM c", &[]).await.documents().len(), 10);
    let mut total = 0;
    for id in ["0", "1", "2"] {
        let range = [("x-ms-documentdb-partitionkeyrangeid", id)];
        let answer = strict.query(ordered, &range).await;
        assert_eq!(answer.header("x-ms-documentdb-partitionkeyrangeid"), id);
        total += answer.documents().len();
    }
    assert_eq!(total, 10);
}

#[tokio::test]
async fn a_plan_is_given_where_it_changes_nothing() {
    let wire = Wire::lenient().await.with_container().await;
    let plan = [("x-ms-cosmos-is-query-plan-request", "True")];
    let simple = wire.query("SELECT * FROM c WHERE c.n = 1", &plan).await;
    assert_eq!(simple.body["partitionedQueryExecutionInfoVersion"], 2);
    assert_eq!(simple.body["queryRanges"][0]["max"], "FF");
    let ordered = wire.query("SELECT * FROM c ORDER BY c.n", &plan).await;
    assert_eq!(ordered.outcome(), (400, 1004));
    assert!(ordered.message().contains("not supported yet"));
}

#[tokio::test]
async fn the_index_that_served_a_query_is_named() {
    use base64::Engine as _;
    let wire = filled(Wire::lenient().await.with_container().await).await;
    let metrics = [("x-ms-cosmos-populateindexmetrics", "True")];
    let answer = wire.query("SELECT * FROM c WHERE c.n = 7", &metrics).await;
    let shown = answer.header("x-ms-cosmos-index-utilization");
    let shown = base64::engine::general_purpose::STANDARD.decode(shown).unwrap();
    let shown: Value = serde_json::from_slice(&shown).unwrap();
    assert_eq!(shown["UtilizedSingleIndexes"][0]["IndexSpec"], "/n/?");
}

/// What a sorted query gives from a boundary on, as clients ask for it that merge partitions.
async fn resumed(wire: &Wire, text: &str, filter: Value) -> Answer {
    let body = json!({"query": text, "resumeFilter": filter});
    wire.send(Method::POST, DOCS, &[("x-ms-documentdb-isquery", "True")], &body).await
}

#[tokio::test]
async fn equal_values_of_a_unique_key_come_in_the_order_of_creation() {
    let unique = json!({"uniqueKeyPolicy": {"uniqueKeys": [{"paths": ["/u"]}]}});
    let wire = Wire::lenient().await.with_definition(unique).await;
    let mut rids = Vec::new();
    for n in 0..8 {
        let made = wire.create(json!({"id": n.to_string(), "pk": format!("k{n}"), "u": 1})).await;
        rids.push(made.body["_rid"].clone());
    }
    let text = "SELECT * FROM c WHERE c.u > 0 ORDER BY c.u";
    let all = ids(&wire.query(text, &[]).await);
    assert_eq!(json!(all), json!(["0", "1", "2", "3", "4", "5", "6", "7"]));
    let filter = json!({"value": [1], "rid": rids[4], "exclude": true});
    assert_eq!(json!(ids(&resumed(&wire, text, filter).await)), json!(["5", "6", "7"]));
}

#[tokio::test]
async fn arrays_and_objects_are_behind_the_boundary_of_a_sorted_query() {
    let wire = Wire::lenient().await.with_container().await;
    for (id, x) in [("0", json!(1)), ("1", json!(2)), ("2", json!([1])), ("3", json!({"y": 1}))] {
        wire.create(json!({"id": id, "pk": "a", "x": x})).await;
    }
    let filter = json!({"value": [1], "exclude": true});
    let answer = resumed(&wire, "SELECT * FROM c ORDER BY c.x", filter.clone()).await;
    assert_eq!(json!(ids(&answer)), json!(["1", "2", "3"]));
    let text = "SELECT * FROM c WHERE c.x < 9 ORDER BY c.x";
    assert_eq!(json!(ids(&resumed(&wire, text, filter).await)), json!(["1"]));
}

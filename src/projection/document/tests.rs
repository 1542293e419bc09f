//! Tests: the stored form is frozen, and no two names get the same id.

use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::projection::Definition;

const SCHEMA_1: [(&str, &str); 5] = [
    ("view", include_str!("../../../tests/fixtures/read-model-schema-1-view.json")),
    ("guard", include_str!("../../../tests/fixtures/read-model-schema-1-guard.json")),
    ("contribution", include_str!("../../../tests/fixtures/read-model-schema-1-contribution.json")),
    ("total", include_str!("../../../tests/fixtures/read-model-schema-1-total.json")),
    ("part", include_str!("../../../tests/fixtures/read-model-schema-1-part.json")),
];

fn guard() -> Guard {
    Guard { last: 7, id: EventId::from(Uuid::from_u128(0x67e5_5044_10b1_426f_9247_bb68_0e5f_e0c8)) }
}

fn with_data(document: Document, value: &Value) -> Document {
    let raw = serde_json::value::to_raw_value(value).unwrap();
    let definition = Definition::new("loans", 1)
        .with_field("status", "/status")
        .with_field("cents", "/cents")
        .with_field("tags", "/tags");
    document.with_data(raw, value, &definition.fields)
}

/// The documents of the frozen files, as the code makes them.
fn made() -> Vec<Document> {
    let partition = "loans:1:0009";
    let value = json!({"status": "open", "cents": -1250, "note": "caf\u{e9}", "tags": ["a"]});
    let view = Document::of_stream(partition, Kind::View, "loan/1:a", guard());
    let part = Document::of_part(partition, Kind::Part, "loan/1:a", "line#1", guard());
    let mut contribution = Document::of_stream(partition, Kind::Contribution, "loan/1:a", guard());
    contribution.data = Some(serde_json::value::to_raw_value(&json!({"cents": 5})).unwrap());
    let mut adds = Adds::default();
    adds.to("red")
        .count("loans", 1)
        .sum("cents", 5)
        .min("first", "2026-11-20T09:59:59.500000Z")
        .max("most", 5)
        .set("cities", "Bengaluru")
        .set("cities", "Bengaluru")
        .list("each", "loan/1:a", json!({"cents": 5}));
    let total = Total { streams: 1, measures: adds.get("red").unwrap().clone() };
    contribution.adds = Some(adds);
    vec![
        with_data(view, &value),
        Document::of_stream(partition, Kind::Guard, "loan/1:a", guard()),
        contribution,
        Document::of_total(partition, "red", total),
        with_data(part, &value),
    ]
}

#[test]
fn documents_of_schema_1_are_written_byte_by_byte_and_read_back() {
    for ((name, frozen), made) in SCHEMA_1.into_iter().zip(made()) {
        let frozen = frozen.trim_end();
        assert_eq!(serde_json::to_string(&made).unwrap(), frozen, "{name}");
        let read: Document = serde_json::from_str(frozen).unwrap();
        assert_eq!(read, made, "{name}");
        assert_eq!(read.sort, made.sort, "{name}");
        assert_eq!(serde_json::to_string(&read.restored()).unwrap(), frozen, "{name}");
    }
}

#[test]
fn what_the_service_adds_and_prints_otherwise_is_read() {
    let mut json: Value = serde_json::from_str(SCHEMA_1[2].1).unwrap();
    json["_etag"] = "1".into();
    json["data"]["cents"] = json!(1_152_921_504_606_846_976.0_f64);
    json["adds"]["red"]["each"]["list"]["loan/1:a"] = json!(1_152_921_504_606_846_976.0_f64);
    let read: Document = serde_json::from_str(&json.to_string()).unwrap();
    let read = read.restored();
    assert_eq!(read.value(), json!({"cents": 1_u64 << 60}));
    let Some(Measure::List(entries)) = read.adds.as_ref().unwrap().get("red").unwrap().get("each")
    else {
        panic!("it is a list")
    };
    assert_eq!(entries["loan/1:a"], json!(1_u64 << 60));
}

#[test]
fn a_view_may_be_null() {
    let view = Document::of_stream("p", Kind::View, "a", guard());
    let view = with_data(view, &Value::Null);
    let read: Document = serde_json::from_str(&serde_json::to_string(&view).unwrap()).unwrap();
    assert_eq!(read.data.unwrap().get(), "null", "it is there, and not deleted");
}

#[test]
fn debug_shows_no_data() {
    for document in made() {
        let text = format!("{document:?}");
        for secret in ["open", "1250", "Bengaluru", "cents"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn ids_have_nothing_that_the_service_refuses() {
    assert_eq!(own_id("a/b\\c?d#e%f:g"), "s:a%2Fb%5Cc%3Fd%23e%25f%3Ag");
    assert_eq!(part_id("a:b", "c:d"), "s:a%3Ab:c%3Ad");
    assert_eq!(total_id("a:b"), "t:a%3Ab");
    assert!(
        is_own_id(&own_id("a:b")) && !is_own_id(&part_id("a", "b")) && !is_own_id(&total_id("s:"))
    );
    // A stream and a part of it, of the most characters that they may have, with four bytes each.
    let longest = part_id(&"\u{1f600}".repeat(128), &"\u{1f600}".repeat(64));
    let encoded = part_id(&":".repeat(128), &":".repeat(64));
    assert!(longest.len() <= 1023 && encoded.len() <= 1023);
}

#[test]
fn the_weight_grows_with_what_is_in_it() {
    let text = "x".repeat(10_000);
    let mut adds = Adds::default();
    adds.to("a")
        .set("set", text.as_str())
        .list("list", "s", json!([text]))
        .max("max", text.as_str());
    let total = Total { streams: 1, measures: adds.get("a").unwrap().clone() };
    let total = Document::of_total("p", "a", total);
    let size = serde_json::to_string(&total).unwrap().len();
    assert!(total.weight() >= size && total.weight() < 2 * size, "{} {size}", total.weight());
}

proptest! {
    #[test]
    fn no_two_names_have_the_same_id(names in proptest::array::uniform4("[ab:%/s3A]{0,5}")) {
        let [one, other, part, other_part] = &names;
        prop_assert_eq!(own_id(one) == own_id(other), one == other);
        prop_assert_eq!(total_id(one) == total_id(other), one == other);
        let same = (one, part) == (other, other_part);
        prop_assert_eq!(part_id(one, part) == part_id(other, other_part), same);
        prop_assert_ne!(part_id(one, part), own_id(other));
        prop_assert_ne!(own_id(one), total_id(other));
    }
}

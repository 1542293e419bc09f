//! Tests of what is found in documents.

use super::*;

fn fields() -> FeedFields {
    FeedFields::new("/aggregateId", "/sequenceNumber").unwrap()
}

fn change_of(fields: &FeedFields, text: &str) -> Change {
    fields.change(RawValue::from_string(text.to_owned()).unwrap(), Some(7), None, true)
}

#[test]
fn a_document_says_whose_change_it_is() {
    let text = r#"{"data":{"aggregateId":"no","deep":[{"_ts":1}]},"aggregateId":"a\"b",
        "sequenceNumber":12,"id":"x","_rid":"r","_ts":1700000000,"_lsn":3}"#;
    let change = change_of(&fields(), text);
    assert_eq!((change.key.as_str(), change.order, change.lsn), ("a\"b", 12, 7));
    assert_eq!((change.stored_at, change.problem), (1_700_000_000, None));
    assert_eq!(change.document.get(), text);
}

#[test]
fn what_is_not_beside_the_document_is_taken_from_it() {
    let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
    let text = r#"{"aggregateId":"a","sequenceNumber":1,"_lsn":3}"#;
    let change = fields().change(raw(text), None, Some(9), true);
    assert_eq!((change.lsn, change.stored_at, change.problem), (3, 9, None));
    let text = r#"{"aggregateId":"a","sequenceNumber":1}"#;
    assert_eq!(fields().change(raw(text), None, None, true).problem, Some("it has no transaction"));
    assert_eq!(fields().change(raw(text), None, None, false).problem, None);
}

#[test]
fn a_document_without_key_or_order_is_a_stream_of_its_own() {
    for (text, key, problem) in [
        (r#"{"id":"x","sequenceNumber":1}"#, "?x", "it has no key"),
        (r#"{"id":"x","aggregateId":null,"sequenceNumber":1}"#, "?x", "it has no key"),
        (r#"{"id":"x","aggregateId":["a"],"sequenceNumber":1}"#, "?x", "it has no key"),
        (r#"{"_rid":"r","aggregateId":"a"}"#, "?r", "it has no order"),
        (r#"{"id":"x","aggregateId":"a","sequenceNumber":"1"}"#, "?x", "it has no order"),
        (r#"{"id":"x","aggregateId":"a","sequenceNumber":-1}"#, "?x", "it has no order"),
        (r#"{"id":"x","aggregateId":"a","sequenceNumber":1.5}"#, "?x", "it has no order"),
        ("[1]", "?", "it is not an object"),
    ] {
        let change = change_of(&fields(), text);
        assert_eq!((change.key.as_str(), change.problem), (key, Some(problem)), "{text}");
        assert_eq!(change.order, 0);
    }
}

#[test]
fn keys_of_every_type_are_told_apart_and_read_back() {
    let mut keys = Vec::new();
    for (json, kind) in [
        (r#""a""#, KeyKind::Text("a".to_owned())),
        (r#""""#, KeyKind::Text(String::new())),
        (r#""5""#, KeyKind::Text("5".to_owned())),
        ("5", KeyKind::Number(5.0)),
        ("true", KeyKind::Flag(true)),
        (r#""=5.0""#, KeyKind::Text("=5.0".to_owned())),
        (r#""?x""#, KeyKind::Text("?x".to_owned())),
    ] {
        let text = format!(r#"{{"aggregateId":{json},"sequenceNumber":1}}"#);
        let key = change_of(&fields(), &text).key;
        assert_eq!(KeyKind::of(&key), Some(kind), "{json}");
        assert!(!keys.contains(&key), "{key}");
        keys.push(key);
    }
    let same = change_of(&fields(), r#"{"aggregateId":5.0,"sequenceNumber":1}"#);
    assert!(keys.contains(&same.key));
    assert_eq!(KeyKind::of("?x"), Some(KeyKind::Document("x".to_owned())));
    assert_eq!(KeyKind::of("=["), None);
}

#[test]
fn orders_may_be_written_as_binary64() {
    for (json, order) in [("3.0", Some(3)), ("1e3", Some(1000)), ("1e300", None)] {
        let text = format!(r#"{{"aggregateId":"a","sequenceNumber":{json}}}"#);
        let change = change_of(&fields(), &text);
        assert_eq!(change.problem.is_none().then_some(change.order), order, "{json}");
    }
}

#[test]
fn properties_may_be_inside_of_others() {
    let fields = FeedFields::new("/of/key", "/of/at/number").unwrap();
    let change = change_of(&fields, r#"{"of":{"key":"a","at":{"number":4}}}"#);
    assert_eq!((change.key.as_str(), change.order), ("a", 4));
    assert_eq!(fields.order_expression(), r#"c["of"]["at"]["number"]"#);
    let change = change_of(&fields, r#"{"id":"x","of":"a"}"#);
    assert_eq!(change.problem, Some("it has no key"));
}

#[test]
fn paths_are_checked() {
    for path in ["", "a", "/", "//a", "/a/", "/a//b"] {
        assert_eq!(FeedFields::new(path, "/a"), Err(InvalidPath), "{path}");
    }
    let quoted = FeedFields::new("/a", "/x\"] OR true").unwrap();
    assert_eq!(quoted.order_expression(), r#"c["x\"] OR true"]"#);
}

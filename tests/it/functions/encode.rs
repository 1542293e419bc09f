//! How the host packs inputs: an object stays one, everything else becomes its JSON text.

use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Map, Value, json};

/// What becomes of documents on the way through the Cosmos DB extension.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Rewrite {
    /// They come as they are stored.
    #[default]
    Nothing,
    /// Text that looks like a time is that time in the zone of the server, and numbers go through binary64.
    DatesAndNumbers,
}

/// A value of `Data` or `Metadata`.
pub(super) fn packed(value: &Value) -> Value {
    if value.is_object() { value.clone() } else { Value::String(value.to_string()) }
}

/// Documents as the Cosmos DB trigger has them: bound as text, and that text is packed once more.
pub(super) fn documents(documents: &[Value], rewrite: Rewrite) -> Value {
    let documents: Vec<Value> = match rewrite {
        Rewrite::Nothing => documents.to_vec(),
        Rewrite::DatesAndNumbers => documents.iter().map(rewritten).collect(),
    };
    packed(&Value::String(Value::Array(documents).to_string()))
}

fn rewritten(value: &Value) -> Value {
    match value {
        Value::String(text) => match text.parse::<Timestamp>() {
            Ok(time) => {
                let zone = TimeZone::fixed(jiff::tz::offset(5));
                json!(time.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
            }
            Err(_) => value.clone(),
        },
        Value::Number(number) => json!(number.as_f64().unwrap()),
        Value::Array(values) => values.iter().map(rewritten).collect(),
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| (name.clone(), rewritten(value)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

/// `Data.timer`.
pub(super) fn timer(is_past_due: bool) -> Value {
    let at = "2026-11-20T10:00:00+00:00";
    packed(&json!({
        "Schedule": {"AdjustForDST": true},
        "ScheduleStatus": {"Last": at, "LastUpdated": at, "Next": at},
        "IsPastDue": is_past_due,
    }))
}

/// `Metadata.sys`.
pub(super) fn sys(function: &str) -> Value {
    packed(&json!({
        "MethodName": function,
        "UtcNow": "2026-11-20T10:00:00.1234567Z",
        "RandGuid": "0b6cb2f2-7d0f-4f7a-8b0b-a4bcd5bd0f2f",
    }))
}

#[test]
fn values_are_packed_as_the_host_packs_them() {
    assert_eq!(packed(&json!({"a": 1})), json!({"a": 1}));
    assert_eq!(packed(&json!("abc")), json!("\"abc\""));
    assert_eq!(packed(&json!(1)), json!("1"));
    assert_eq!(packed(&json!(["a"])), json!("[\"a\"]"));
    let twice = documents(&[json!({"id": "1"})], Rewrite::Nothing);
    assert_eq!(twice, json!("\"[{\\\"id\\\":\\\"1\\\"}]\""));
}

#[test]
fn documents_are_rewritten_as_the_extension_does() {
    let document =
        json!({"time": "2026-11-20T10:00:00Z", "text": "2026", "n": 9_007_199_254_740_993_u64});
    let expected =
        json!({"time": "2026-11-20T15:00:00+05:00", "text": "2026", "n": 9_007_199_254_740_992.0});
    assert_eq!(rewritten(&document), expected);
}

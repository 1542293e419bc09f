//! Invocations as hosts of several versions pack them.

use serde_json::{Value, json};

use super::*;

/// A value as text, so often.
fn packed(value: &Value, times: usize) -> Value {
    (0..times).fold(value.clone(), |value, _| Value::String(value.to_string()))
}

fn named(data: &Value) -> Result<Vec<Named>, Unreadable> {
    let body = json!({ "Data": { "changes": data }, "Metadata": {} }).to_string();
    Envelope::read(body.as_bytes())?.trigger("changes")
}

#[test]
fn a_value_is_unpacked_until_it_is_no_text() {
    let documents = json!([
        {"id": "e-1", "aggregateId": "q-1", "sequenceNumber": 1, "data": {"secret": [1, {"a": "b"}]}},
        {"id": "e-2", "aggregateId": "q \"2\" \\ \u{e9}", "sequenceNumber": 7.0},
    ]);
    let first = Named {
        id: Some("e-1".to_owned()),
        aggregate_id: Some("q-1".to_owned()),
        sequence_number: Some(1),
    };
    for times in 0..=UNPACKED_MAX {
        let found = named(&packed(&documents, times)).unwrap();
        assert_eq!(found[0], first, "{times}");
        assert_eq!(found[1].aggregate_id.as_deref(), Some("q \"2\" \\ \u{e9}"));
        assert_eq!(found[1].sequence_number, Some(7));
    }
    assert_eq!(named(&packed(&documents, UNPACKED_MAX + 1)), Err(Unreadable::Packed));
}

#[test]
fn other_shapes_are_told_from_documents() {
    assert_eq!(named(&json!([])), Ok(Vec::new()));
    for other in [json!({}), json!(7), json!(null), json!("text"), json!("[1")] {
        assert_eq!(named(&other), Err(Unreadable::Shape), "{other}");
    }
    // A document of something else is one all the same.
    assert_eq!(named(&json!([{"id": "x", "sequenceNumber": {"a": 1}}])).unwrap().len(), 1);
    for body in ["", "[]", "null", "{\"Data\":[]}", "{\"Data\":{}", "nothing"] {
        assert_eq!(Envelope::read(body.as_bytes()).unwrap_err(), Unreadable::Envelope, "{body}");
    }
    assert_eq!(Envelope::read(b"\xff").unwrap_err(), Unreadable::Text);
    let none = Envelope::read(b"{}").unwrap();
    assert_eq!(none.trigger::<Timer>("timer"), Err(Unreadable::Missing));
}

#[test]
fn a_trigger_has_its_name_or_is_the_only_one() {
    let read = |body: &str| Envelope::read(body.as_bytes()).unwrap().trigger::<Timer>("timer");
    let due = r#"{"Schedule":{"AdjustForDST":true},"ScheduleStatus":null,"IsPastDue":true}"#;
    assert_eq!(read(&format!(r#"{{"Data":{{"timer":{due}}}}}"#)), Ok(Timer { is_past_due: true }));
    assert_eq!(read(&format!(r#"{{"data":{{"other":{due}}}}}"#)), Ok(Timer { is_past_due: true }));
    let two = read(&format!(r#"{{"Data":{{"a":{due},"b":{due}}}}}"#));
    assert_eq!(two, Err(Unreadable::Missing));
}

#[test]
fn what_the_host_says_of_an_invocation_decides_nothing() {
    let about = |metadata: Value| {
        let body = json!({ "Data": {}, "Metadata": metadata }).to_string();
        Envelope::read(body.as_bytes()).unwrap().about()
    };
    let sys = json!({"MethodName": "pump", "UtcNow": "2026-11-20T10:00:00Z", "RandGuid": "g"});
    let retry = json!({"RetryCount": 2, "MaxRetryCount": -1, "Exception": "has a payload"});
    let known = About {
        sys: Some(Sys { method_name: Some("pump".to_owned()) }),
        retry: Some(Retry { retry_count: Some(2), max_retry_count: Some(-1) }),
    };
    assert_eq!(about(json!({"sys": sys, "RetryContext": retry, "Id": "\"a\""})), known);
    let packed = json!({"sys": packed(&sys, 2), "RetryContext": packed(&retry, 1)});
    assert_eq!(about(packed), known);
    assert_eq!(about(json!({"sys": 7, "RetryContext": [1]})), About::default());
    let text = about(json!({"RetryContext": {"RetryCount": "3", "MaxRetryCount": 1e300}}));
    assert_eq!(text.retry, Some(Retry { retry_count: Some(3), max_retry_count: None }));
}

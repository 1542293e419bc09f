//! What the host makes of a reply, as strictly as it does, and more so where it would wait for ever.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

/// Why an invocation has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The handler does not answer: it has gone.
    Gone,
    /// Not a status of success. Nothing else of the reply counts.
    Status(u16),
    /// Nothing to parse, or `null`: the host would wait for ever.
    Hang,
    /// Something that is no reply.
    Invalid(String),
    /// The handler took longer than the host waits.
    Late,
}

/// A reply that the host takes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reply {
    /// By binding, as the host hands them on: text that is base64 is decoded.
    pub(super) outputs: Map<String, Value>,
    pub(super) logs: Vec<String>,
    pub(super) value: Value,
}

/// Reads an answer of the handler.
pub(super) fn read(status: u16, content_type: &str, body: &[u8]) -> Result<Reply, Failure> {
    let invalid = |reason: &str| Failure::Invalid(reason.to_owned());
    if !(200..300).contains(&status) {
        return Err(Failure::Status(status));
    }
    if body.is_empty() {
        return Err(Failure::Hang);
    }
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    if !["application/json", "text/json"].contains(&kind) {
        return Err(invalid("the type is not JSON"));
    }
    let parsed: Value = serde_json::from_slice(body).map_err(|_| invalid("it is no JSON"))?;
    let members = match parsed {
        Value::Null => return Err(Failure::Hang),
        Value::Object(members) => members,
        _ => return Err(invalid("it is no object")),
    };
    let member = |name: &str| members.get(name).cloned().unwrap_or_default();
    let outputs = match member("Outputs") {
        Value::Null => Map::new(),
        Value::Object(outputs) => {
            outputs.into_iter().map(|(name, value)| (name, decoded(value))).collect()
        }
        _ => return Err(invalid("Outputs is no object")),
    };
    let logs = match member("Logs") {
        Value::Null => Vec::new(),
        Value::Array(logs) => logs
            .into_iter()
            .map(|line| match line {
                Value::String(line) => Ok(line),
                _ => Err(invalid("a line of Logs is no text")),
            })
            .collect::<Result<_, _>>()?,
        _ => return Err(invalid("Logs is no list")),
    };
    Ok(Reply { outputs, logs, value: decoded(member("ReturnValue")) })
}

/// Text that happens to be base64 becomes bytes, which is what the host hands on.
fn decoded(value: Value) -> Value {
    match &value {
        Value::String(text) => STANDARD.decode(text).map_or(value, Value::from),
        _ => value,
    }
}

#[test]
fn the_driver_is_as_strict_as_the_host() {
    let read = |status, kind, body: &str| read(status, kind, body.as_bytes());
    let json = "application/json; charset=utf-8";
    let good = read(200, json, r#"{"Outputs":{"a":"abcd"},"Logs":["x"],"ReturnValue":{"b":1}}"#);
    let good = good.unwrap();
    assert_eq!(good.outputs["a"], serde_json::json!([105, 183, 29]), "the trap of base64");
    assert_eq!((good.logs, good.value["b"].as_u64()), (vec!["x".to_owned()], Some(1)));
    assert!(read(204, json, "{}").is_ok());
    assert_eq!(read(500, json, "{}"), Err(Failure::Status(500)));
    assert_eq!(read(301, json, "{}"), Err(Failure::Status(301)));
    assert_eq!(read(200, json, ""), Err(Failure::Hang));
    assert_eq!(read(200, json, "null"), Err(Failure::Hang));
    for (kind, body) in [
        ("text/plain", "{}"),
        (json, "[]"),
        (json, "ok"),
        (json, r#"{"Outputs":[]}"#),
        (json, r#"{"Logs":[1]}"#),
        (json, r#"{"Logs":"a"}"#),
    ] {
        assert!(matches!(read(200, kind, body), Err(Failure::Invalid(_))), "{kind} {body}");
    }
}

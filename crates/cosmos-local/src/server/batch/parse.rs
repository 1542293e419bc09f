//! Reads the body of a batch.

use serde::Deserialize;
use serde_json::Value;

use crate::json;
use crate::server::error::ServiceError;
use crate::server::patch::Patch;

/// What an operation of a batch does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Kind {
    Create,
    Upsert,
    Replace,
    Read,
    Delete,
    Patch,
}

/// One operation as it came.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BatchOperation {
    #[serde(rename = "operationType")]
    pub(super) kind: Kind,
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default, rename = "resourceBody")]
    pub(super) body: Option<Value>,
    #[serde(default)]
    pub(super) if_match: Option<String>,
    #[serde(default)]
    pub(super) if_none_match: Option<String>,
    /// The body of a patch, once read.
    #[serde(skip)]
    pub(super) patch: Option<Patch>,
}

/// Reads the operations. In strict mode the numbers of documents become binary64.
///
/// # Errors
///
/// 400 when the body is not an array of known operations that have what they need.
pub(super) fn operations(bytes: &[u8], strict: bool) -> Result<Vec<BatchOperation>, ServiceError> {
    let mut operations: Vec<BatchOperation> = if json::binary::is_binary(bytes) {
        serde_json::from_value(json::binary::decode(bytes)?).map_err(|error| malformed(&error))?
    } else {
        serde_json::from_slice(bytes).map_err(|error| malformed(&error))?
    };
    for operation in &mut operations {
        match operation.kind {
            Kind::Create | Kind::Upsert | Kind::Replace => match &mut operation.body {
                Some(document) if strict => json::normalise_numbers(document),
                Some(_) => {}
                None => return Err(missing("a resourceBody")),
            },
            Kind::Patch => match operation.body.take() {
                Some(body) => operation.patch = Some(Patch::parse(&body)?),
                None => return Err(missing("a resourceBody")),
            },
            Kind::Read | Kind::Delete => {}
        }
        let needs_id = !matches!(operation.kind, Kind::Create | Kind::Upsert);
        if needs_id && operation.id.is_none() {
            return Err(missing("an id"));
        }
    }
    Ok(operations)
}

fn malformed(error: &serde_json::Error) -> ServiceError {
    ServiceError::bad_request(format!("the batch is not an array of operations: {error}"))
}

fn missing(what: &str) -> ServiceError {
    ServiceError::bad_request(format!("an operation of the batch needs {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_read_with_what_they_need() {
        let body = br#"[{"operationType":"Create","resourceBody":{"id":"1"}},
            {"operationType":"Read","id":"1","ifNoneMatch":"x"},
            {"operationType":"Patch","id":"1","resourceBody":{"operations":[{"op":"remove","path":"/a"}]}}]"#;
        let operations = operations(body, false).unwrap();
        assert_eq!(operations[0].kind, Kind::Create);
        assert_eq!(operations[1].if_none_match.as_deref(), Some("x"));
        assert!(operations[2].patch.is_some());
    }

    #[test]
    fn incomplete_operations_are_refused() {
        for body in [
            r#"{"operationType":"Create"}"#,
            r#"[{"operationType":"Create"}]"#,
            r#"[{"operationType":"Read"}]"#,
            r#"[{"operationType":"Dance","id":"1"}]"#,
            r#"[{"operationType":"Patch","id":"1","resourceBody":[]}]"#,
        ] {
            assert!(operations(body.as_bytes(), false).is_err(), "{body}");
        }
    }
}

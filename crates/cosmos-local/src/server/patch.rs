//! Partial updates of a document: reading the operations and applying them. Pure.
//!
//! A patch is an object with `operations` and an optional `condition`, or (as the JavaScript SDK
//! sends it) the bare array of operations. Either all operations apply or none does.

mod pointer;

use hyper::StatusCode;
use serde_json::{Number, Value};

use self::pointer::Pointer;
use super::error::{ServiceError, substatus};
use crate::json;
use crate::query::{Candidate, PageLimits, Prepared};

/// Most operations in one patch, as on the service.
const OPERATIONS_MAX: usize = 10;

/// Properties of the system, which a patch cannot touch.
const SYSTEM_PROPERTIES: [&str; 5] = ["_rid", "_self", "_etag", "_attachments", "_ts"];

/// A patch that has been read and checked.
#[derive(Debug, Clone)]
pub(crate) struct Patch {
    condition: Option<String>,
    operations: Vec<PatchOperation>,
}

/// One change.
#[derive(Debug, Clone, PartialEq)]
enum PatchOperation {
    Add(Pointer, Value),
    Set(Pointer, Value),
    Replace(Pointer, Value),
    Remove(Pointer),
    Increment(Pointer, Number),
    Move { from: Pointer, to: Pointer },
}

impl Patch {
    /// Reads a patch from a request body.
    ///
    /// # Errors
    ///
    /// 400 for anything but a list of one to ten known operations.
    pub(crate) fn parse(body: &Value) -> Result<Self, ServiceError> {
        let (operations, condition) = match body {
            Value::Array(operations) => (operations, None),
            Value::Object(members) => {
                let Some(Value::Array(operations)) = members.get("operations") else {
                    return Err(invalid("a patch needs an array 'operations'"));
                };
                let condition = match members.get("condition") {
                    None | Some(Value::Null) => None,
                    Some(Value::String(text)) => Some(text.clone()),
                    Some(_) => return Err(invalid("the condition of a patch must be a string")),
                };
                (operations, condition)
            }
            _ => return Err(invalid("a patch must be an object or an array")),
        };
        if operations.is_empty() || operations.len() > OPERATIONS_MAX {
            return Err(invalid("a patch has one to ten operations"));
        }
        let operations =
            operations.iter().map(PatchOperation::parse).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { condition, operations })
    }

    /// The document after the patch.
    ///
    /// # Errors
    ///
    /// 412/1110 when the condition does not hold, 400 when an operation does not fit the document.
    pub(crate) fn apply(&self, stored: &Value, strict: bool) -> Result<Value, ServiceError> {
        if let Some(condition) = &self.condition
            && !condition_holds(condition, stored)?
        {
            return Err(ServiceError::new(
                StatusCode::PRECONDITION_FAILED,
                "the condition of the patch does not hold",
            )
            .with_substatus(substatus::PATCH_CONDITION));
        }
        let mut document = stored.clone();
        for operation in &self.operations {
            operation.apply(&mut document)?;
        }
        if strict {
            json::normalise_numbers(&mut document);
        }
        Ok(document)
    }
}

impl PatchOperation {
    fn parse(value: &Value) -> Result<Self, ServiceError> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let operation =
            text("op").ok_or_else(|| invalid("an operation of a patch needs a string 'op'"))?;
        let path = Pointer::parse(
            text("path").ok_or_else(|| invalid("an operation of a patch needs a string 'path'"))?,
        )?;
        let operand = || {
            value
                .get("value")
                .cloned()
                .ok_or_else(|| invalid("this operation of a patch needs a 'value'"))
        };
        if SYSTEM_PROPERTIES.contains(&path.first()) {
            return Err(invalid("a patch cannot change a system property"));
        }
        match operation.to_ascii_lowercase().as_str() {
            "add" => Ok(Self::Add(path, operand()?)),
            "set" => Ok(Self::Set(path, operand()?)),
            "replace" => Ok(Self::Replace(path, operand()?)),
            "remove" => Ok(Self::Remove(path)),
            "incr" | "increment" => match operand()? {
                Value::Number(number) => Ok(Self::Increment(path, number)),
                _ => Err(invalid("the value of an increment must be a number")),
            },
            "move" => {
                let from = text("from").ok_or_else(|| invalid("a move needs a string 'from'"))?;
                let from = Pointer::parse(from)?;
                if from.is_parent_of(&path) {
                    return Err(invalid("a value cannot be moved into itself"));
                }
                Ok(Self::Move { from, to: path })
            }
            other => Err(invalid(&format!("'{other}' is not an operation of a patch"))),
        }
    }

    fn apply(&self, document: &mut Value) -> Result<(), ServiceError> {
        match self {
            Self::Add(path, value) => path.insert(document, value.clone()),
            Self::Set(path, value) => path.set(document, value.clone()),
            Self::Replace(path, value) => {
                *path.find(document)? = value.clone();
                Ok(())
            }
            Self::Remove(path) => path.remove(document).map(|_removed| ()),
            Self::Increment(path, by) => increment(document, path, by),
            Self::Move { from, to } => {
                let value = from.remove(document)?;
                to.set(document, value)
            }
        }
    }
}

/// Adds to a number; a missing one begins at the increment.
fn increment(document: &mut Value, path: &Pointer, by: &Number) -> Result<(), ServiceError> {
    let Ok(slot) = path.find(document) else {
        return path.set(document, Value::Number(by.clone()));
    };
    let Value::Number(old) = slot else {
        return Err(invalid("only a number can be incremented"));
    };
    let whole = old.as_i64().zip(by.as_i64()).and_then(|(old, by)| old.checked_add(by));
    let sum = match whole {
        Some(sum) => Number::from(sum),
        None => {
            Number::from_f64(old.as_f64().unwrap_or_default() + by.as_f64().unwrap_or_default())
                .ok_or_else(|| invalid("the incremented number is out of range"))?
        }
    };
    *slot = Value::Number(sum);
    Ok(())
}

/// Whether a condition (`from c where ..`) selects the document.
fn condition_holds(condition: &str, stored: &Value) -> Result<bool, ServiceError> {
    let query = Prepared::new(&format!("SELECT VALUE 1 {condition}"), Vec::new())?;
    let resume = query.resume(None)?;
    let candidate = Candidate { position: vec![0], ordinal: 0, document: stored.clone() };
    let mut source = std::iter::once(Ok::<_, std::convert::Infallible>(candidate));
    let limits = PageLimits { max_items: 1, max_bytes: usize::MAX, source_is_ordered: true };
    let page = query
        .run(&resume, &mut source, limits)
        .map_err(|_| invalid("the condition of the patch cannot be evaluated"))?;
    Ok(!page.items.is_empty())
}

fn invalid(message: &str) -> ServiceError {
    ServiceError::bad_request(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(stored: &Value, operations: &Value, expected: Option<Value>) {
        let outcome = Patch::parse(operations).and_then(|patch| patch.apply(stored, false));
        match (outcome, expected) {
            (Ok(changed), Some(expected)) => assert_eq!(changed, expected),
            (Err(error), None) => assert_eq!(error.status, StatusCode::BAD_REQUEST),
            (outcome, _) => panic!("{operations}: {outcome:?}"),
        }
    }

    #[test]
    fn objects_are_changed_by_every_operation() {
        let stored = json!({"a": 1, "b": {"c": [1, 2]}, "s": "x"});
        let one = |op: Value| json!([op]);
        check(
            &stored,
            &one(json!({"op":"add","path":"/n","value":{"x":1}})),
            Some(json!({"a":1,"b":{"c":[1,2]},"s":"x","n":{"x":1}})),
        );
        check(
            &stored,
            &one(json!({"op":"replace","path":"/b/c/1","value":9})),
            Some(json!({"a":1,"b":{"c":[1,9]},"s":"x"})),
        );
        check(&stored, &one(json!({"op":"remove","path":"/b"})), Some(json!({"a":1,"s":"x"})));
        check(
            &stored,
            &one(json!({"op":"incr","path":"/a","value":2})),
            Some(json!({"a":3,"b":{"c":[1,2]},"s":"x"})),
        );
        check(
            &stored,
            &one(json!({"op":"incr","path":"/new","value":1.5})),
            Some(json!({"a":1,"b":{"c":[1,2]},"s":"x","new":1.5})),
        );
        check(
            &stored,
            &one(json!({"op":"move","from":"/b/c","path":"/a"})),
            Some(json!({"a":[1,2],"b":{},"s":"x"})),
        );
        check(&stored, &one(json!({"op":"replace","path":"/x/y","value":1})), None);
        check(&stored, &one(json!({"op":"incr","path":"/s","value":1})), None);
        check(&stored, &one(json!({"op":"remove","path":"/x"})), None);
        check(&stored, &one(json!({"op":"set","path":"/_ts","value":1})), None);
        check(&stored, &one(json!({"op":"move","from":"/b","path":"/b/d"})), None);
    }

    #[test]
    fn arrays_grow_by_add_and_change_by_set() {
        let stored = json!({"t": ["a", "b"]});
        check(
            &stored,
            &json!({"operations":[{"op":"add","path":"/t/-","value":"c"}]}),
            Some(json!({"t":["a","b","c"]})),
        );
        check(
            &stored,
            &json!([{"op":"add","path":"/t/0","value":"z"}]),
            Some(json!({"t":["z","a","b"]})),
        );
        check(
            &stored,
            &json!([{"op":"set","path":"/t/0","value":"z"}]),
            Some(json!({"t":["z","b"]})),
        );
        check(&stored, &json!([{"op":"add","path":"/t/5","value":"z"}]), None);
    }

    #[test]
    fn a_patch_has_one_to_ten_operations() {
        let operation = json!({"op":"set","path":"/a","value":1});
        check(&json!({}), &json!([]), None);
        check(&json!({}), &Value::Array(vec![operation.clone(); 11]), None);
        check(&json!({}), &Value::Array(vec![operation; 10]), Some(json!({"a":1})));
    }
}

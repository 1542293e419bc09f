//! Partition keys: their values, their effective partition key (the hash), and ranges of it.
//!
//! A partition key is read from a request header or taken out of a document. Its hash (V2) decides
//! the physical partition; its encoding is the prefix of every storage key of its items.
//!
//! Everything here is pure. Keys of several components (hierarchical keys) and V1 hashes are not
//! handled; they are refused where a container is created.

mod encode;
mod epk;
mod hash;
mod path;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub(crate) use epk::{Epk, EpkRange};
pub(crate) use path::parse_path;

/// Why a partition key, a path to it, or a range bound was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    /// The header is not a JSON array.
    #[error("the partition key header must be a JSON array, for example [\"a\"]")]
    NotAnArray,
    /// More than one component.
    #[error("the partition key has {0} components; hierarchical partition keys are not supported")]
    Hierarchical(usize),
    /// An array or an object (other than the `{}` of a header) where a scalar is needed.
    #[error("a partition key value must be a string, a number, a boolean or null, not {0}")]
    NotScalar(&'static str),
    /// A path that does not follow the `/a/b` or `/"a b"/c` form.
    #[error("the path {path:?} is not valid: {reason}")]
    Path {
        /// The path as given.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A bound of a range that is not hexadecimal, too long, or in the wrong order.
    #[error("the range bound {0:?} is not valid")]
    Bound(String),
}

/// One component of a partition key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum KeyValue {
    /// The document has no such property (`[{}]` in the header).
    Undefined,
    /// JSON `null`.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number as binary64; never a negative zero, which would hash apart from zero.
    Number(f64),
    /// A string.
    String(String),
}

impl KeyValue {
    /// The value of a JSON scalar.
    fn from_scalar(value: &Value) -> Result<Self, KeyError> {
        match value {
            Value::Null => Ok(Self::Null),
            Value::Bool(flag) => Ok(Self::Bool(*flag)),
            // Adding zero turns a negative zero into zero and changes nothing else.
            Value::Number(number) => Ok(Self::Number(number.as_f64().unwrap_or(0.0) + 0.0)),
            Value::String(text) => Ok(Self::String(text.clone())),
            Value::Array(_) => Err(KeyError::NotScalar("an array")),
            Value::Object(_) => Err(KeyError::NotScalar("an object")),
        }
    }
}

/// The partition key of an item or of a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PartitionKey(pub(crate) Vec<KeyValue>);

impl PartitionKey {
    /// Reads the `x-ms-documentdb-partitionkey` header; `[]` (every partition) gives `None`.
    pub(crate) fn from_header(json: &str) -> Result<Option<Self>, KeyError> {
        let value: Value = serde_json::from_str(json).map_err(|_| KeyError::NotAnArray)?;
        let Value::Array(components) = value else { return Err(KeyError::NotAnArray) };
        match components.as_slice() {
            [] => Ok(None),
            [Value::Object(members)] if members.is_empty() => {
                Ok(Some(Self(vec![KeyValue::Undefined])))
            }
            [component] => Ok(Some(Self(vec![KeyValue::from_scalar(component)?]))),
            more => Err(KeyError::Hierarchical(more.len())),
        }
    }

    /// Takes the key out of a document; a missing property, or a path through something that is no
    /// object, is the undefined key.
    pub(crate) fn from_document(document: &Value, path: &[String]) -> Result<Self, KeyError> {
        let mut value = document;
        for segment in path {
            match value.as_object().and_then(|members| members.get(segment)) {
                Some(member) => value = member,
                None => return Ok(Self(vec![KeyValue::Undefined])),
            }
        }
        Ok(Self(vec![KeyValue::from_scalar(value)?]))
    }

    /// The effective partition key: the place of this key in the hash space.
    pub(crate) fn epk(&self) -> Epk {
        hash::epk(&self.0)
    }

    /// Bytes that sort like the values within each type and never run into what follows them.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_into(&mut out);
        out
    }

    /// [`encode`](Self::encode) appended to `out`.
    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) {
        for value in &self.0 {
            encode::write(value, out);
        }
    }
}

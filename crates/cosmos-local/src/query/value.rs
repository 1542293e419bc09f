//! Comparison, order and canonical form of JSON values as Cosmos DB sees them.
//!
//! `None` stands for `undefined` throughout. Equality and order have two faces: the operators of the
//! language, which may answer `undefined`, and the total order of ORDER BY, which never does.

use std::cmp::Ordering;

use serde_json::{Number, Value};
use sha2::{Digest, Sha256};

/// The magnitude up to which binary64 holds every integer exactly.
const EXACT_INTEGER: f64 = 9_007_199_254_740_992.0;

/// A digest that is equal for values that DISTINCT regards as equal.
pub(super) type ValueDigest = [u8; 16];

/// The place of a value's type in the order of types.
fn rank(value: Option<&Value>) -> u8 {
    match value {
        None => 0,
        Some(Value::Null) => 1,
        Some(Value::Bool(_)) => 2,
        Some(Value::Number(_)) => 3,
        Some(Value::String(_)) => 4,
        Some(Value::Array(_)) => 5,
        Some(Value::Object(_)) => 6,
    }
}

/// The total order of ORDER BY: by type first, then by value.
///
/// Arrays and objects are ordered by their parts, which is stable but not the order of the service
/// (that one goes by an unpublished hash).
pub(super) fn compare_total(left: Option<&Value>, right: Option<&Value>) -> Ordering {
    match (left, right) {
        (Some(Value::Bool(a)), Some(Value::Bool(b))) => a.cmp(b),
        (Some(Value::Number(a)), Some(Value::Number(b))) => compare_numbers(a, b),
        (Some(Value::String(a)), Some(Value::String(b))) => compare_strings(a, b),
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            for (x, y) in a.iter().zip(b) {
                let order = compare_total(Some(x), Some(y));
                if order != Ordering::Equal {
                    return order;
                }
            }
            a.len().cmp(&b.len())
        }
        (Some(Value::Object(a)), Some(Value::Object(b))) => compare_objects(a, b),
        _ => rank(left).cmp(&rank(right)),
    }
}

fn compare_objects(
    left: &serde_json::Map<String, Value>,
    right: &serde_json::Map<String, Value>,
) -> Ordering {
    let sorted = |map: &serde_json::Map<String, Value>| {
        let mut names: Vec<String> = map.keys().cloned().collect();
        names.sort_by(|a, b| compare_strings(a, b));
        names
    };
    let (left_names, right_names) = (sorted(left), sorted(right));
    for (a, b) in left_names.iter().zip(&right_names) {
        let order = compare_strings(a, b).then_with(|| compare_total(left.get(a), right.get(b)));
        if order != Ordering::Equal {
            return order;
        }
    }
    left_names.len().cmp(&right_names.len())
}

/// Numeric order, exact also between integers and fractions beyond the precision of binary64.
pub(super) fn compare_numbers(left: &Number, right: &Number) -> Ordering {
    if let (Some(a), Some(b)) = (left.as_i64(), right.as_i64()) {
        return a.cmp(&b);
    }
    if let (Some(a), Some(b)) = (as_integer(left), as_integer(right)) {
        return a.cmp(&b);
    }
    let (a, b) = (to_f64(left), to_f64(right));
    let rough = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
    if rough != Ordering::Equal || a.abs() < EXACT_INTEGER {
        return rough;
    }
    // One side is an integer that binary64 may have rounded; the other is integral at this size.
    let exact = |number: &Number, value: f64| as_integer(number).or_else(|| integral(value));
    match (exact(left, a), exact(right, b)) {
        (Some(x), Some(y)) => x.cmp(&y),
        _ => rough,
    }
}

fn as_integer(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

/// The integer that an integral binary64 of moderate size stands for.
#[allow(clippy::as_conversions, clippy::cast_possible_truncation, reason = "the range is checked")]
pub(super) fn integral(value: f64) -> Option<i128> {
    (value.fract() == 0.0 && value.abs() < 1e30).then_some(value as i128)
}

/// The binary64 that the service would hold for a number.
pub(super) fn to_f64(number: &Number) -> f64 {
    number.as_f64().unwrap_or(0.0)
}

/// The order of strings by UTF-16 code units, which is that of the service and of its clients.
///
/// UTF-8 bytes sort the same but for characters outside the basic plane, which UTF-16 puts below
/// U+E000.
pub(super) fn compare_strings(left: &str, right: &str) -> Ordering {
    let difference = left.bytes().zip(right.bytes()).find(|(a, b)| a != b);
    match difference {
        None => left.len().cmp(&right.len()),
        Some((a @ 0xEE..=0xEF, b @ 0xF0..) | (a @ 0xF0.., b @ 0xEE..=0xEF)) => b.cmp(&a),
        Some((a, b)) => a.cmp(&b),
    }
}

/// The `=` operator: `undefined` unless both sides are of one type, or one of them is null.
///
/// The service's documentation calls every comparison across types undefined, yet its engine
/// answers `"x" != null` with true (queries of its object mappers depend on it), so null is
/// comparable with every defined value.
pub(super) fn equals(left: &Value, right: &Value) -> Option<bool> {
    if left.is_null() || right.is_null() {
        return Some(left.is_null() && right.is_null());
    }
    (rank(Some(left)) == rank(Some(right))).then(|| same(left, right))
}

/// The order that `<` and its kin go by: none across types, nor between arrays or objects.
pub(super) fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Null, Value::Null) => Some(Ordering::Equal),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Number(a), Value::Number(b)) => Some(compare_numbers(a, b)),
        (Value::String(a), Value::String(b)) => Some(compare_strings(a, b)),
        _ => None,
    }
}

/// Deep equality: numbers by value, objects regardless of the order of their properties.
pub(super) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => compare_numbers(a, b) == Ordering::Equal,
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(x, y)| same(x, y))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, x)| b.get(name).is_some_and(|y| same(x, y)))
        }
        _ => left == right,
    }
}

/// A number as JSON; integral values within binary64's exact range are written as integers.
/// `None` (undefined) for what JSON cannot hold: infinities and not-a-number.
pub(super) fn number(value: f64) -> Option<Value> {
    if value.fract() == 0.0
        && value.abs() <= EXACT_INTEGER
        && let Some(integer) = integral(value).and_then(|wide| i64::try_from(wide).ok())
    {
        return Some(Value::from(integer));
    }
    Number::from_f64(value).map(Value::Number)
}

/// A count as JSON.
pub(super) fn count(value: usize) -> Option<Value> {
    u64::try_from(value).ok().map(Value::from)
}

/// Whether binary64 tells this number apart from its neighbouring integers.
pub(super) fn is_exact(number: &Number) -> bool {
    to_f64(number).abs() < EXACT_INTEGER
}

/// The digest that DISTINCT compares by.
pub(super) fn digest(value: &Value) -> ValueDigest {
    let mut canonical = Vec::with_capacity(64);
    write_canonical(value, &mut canonical);
    truncated_sha256(&canonical)
}

/// The first 16 bytes of the SHA-256 of some bytes.
pub(super) fn truncated_sha256(bytes: &[u8]) -> ValueDigest {
    let mut out = ValueDigest::default();
    for (to, from) in out.iter_mut().zip(Sha256::digest(bytes)) {
        *to = from;
    }
    out
}

/// Writes a form that is equal for equal values and self-delimiting, so that parts cannot run
/// into each other.
pub(super) fn write_canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(b'n'),
        Value::Bool(flag) => out.push(if *flag { b't' } else { b'f' }),
        Value::Number(number) => {
            if let Some(integer) = as_integer(number).or_else(|| integral(to_f64(number))) {
                out.push(b'i');
                out.extend_from_slice(&integer.to_be_bytes());
            } else {
                out.push(b'd');
                out.extend_from_slice(&to_f64(number).to_be_bytes());
            }
        }
        Value::String(text) => {
            out.push(b's');
            write_text(text, out);
        }
        Value::Array(items) => {
            out.push(b'[');
            for item in items {
                write_canonical(item, out);
            }
            out.push(b']');
        }
        Value::Object(map) => {
            out.push(b'{');
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|a, b| a.0.cmp(b.0));
            for (name, item) in entries {
                write_text(name, out);
                write_canonical(item, out);
            }
            out.push(b'}');
        }
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&text.len().to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// About how many bytes a value takes as JSON text; exact for plain content, without escapes.
pub(super) fn json_size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(true) => 4,
        Value::Bool(false) => 5,
        Value::Number(number) => {
            if number.is_f64() {
                18
            } else {
                8
            }
        }
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.iter().map(|item| json_size(item) + 1).sum::<usize>(),
        Value::Object(map) => {
            2 + map.iter().map(|(name, item)| name.len() + 4 + json_size(item)).sum::<usize>()
        }
    }
}

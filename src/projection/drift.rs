//! What differs between two states of a read model: a version and another one, or what is stored and a replay.

use serde::Serialize;
use serde_json::Value;

use super::{Document, Total};
use crate::event::is_same_json;

/// The most differences that are kept; beyond, they are only counted.
const EXAMPLES_MAX: usize = 20;

/// What a comparison came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Drift {
    /// Documents and totals that were compared.
    pub compared: u64,
    /// Those that differ.
    pub different: u64,
    /// Those that changed all the time, so that they could not be compared.
    pub moving: u64,
    /// The first of the differences.
    pub examples: Vec<Difference>,
}

/// Something that differs. It says where, and never what is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Difference {
    /// The stream, or the key of the total.
    pub key: String,
    /// The part of the stream, where it is a view of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// What differs.
    pub what: What,
}

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum What {
    /// It is not there, and should be.
    Missing,
    /// It is there, and should not be.
    Extra,
    /// It was made from other events.
    Events,
    /// Its data differs, first at this JSON pointer.
    Data {
        /// Where.
        pointer: String,
    },
    /// What it adds to totals, or the total itself, differs.
    Total,
    /// An event can be read neither now nor then.
    Unreadable {
        /// Why, without payload.
        reason: String,
    },
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => f.write_str("is missing"),
            Self::Extra => f.write_str("should not be there"),
            Self::Events => f.write_str("was made from other events"),
            Self::Data { pointer } if pointer.is_empty() => f.write_str("has other data"),
            Self::Data { pointer } => write!(f, "has other data at {pointer}"),
            Self::Total => f.write_str("adds up to something else"),
            Self::Unreadable { reason } => write!(f, "cannot be made: {reason}"),
        }
    }
}

impl Drift {
    /// Whether nothing differs.
    pub fn is_none(&self) -> bool {
        self.different == 0
    }

    /// Counts something that was compared.
    pub(super) fn note(&mut self, key: &str, part: Option<&str>, what: Option<What>) {
        self.compared = self.compared.saturating_add(1);
        let Some(what) = what else { return };
        self.different = self.different.saturating_add(1);
        if self.examples.len() < EXAMPLES_MAX {
            let part = part.map(str::to_owned);
            self.examples.push(Difference { key: key.to_owned(), part, what });
        }
    }

    /// Adds another comparison.
    pub(super) fn add(&mut self, other: Self) {
        self.compared = self.compared.saturating_add(other.compared);
        self.different = self.different.saturating_add(other.different);
        self.moving = self.moving.saturating_add(other.moving);
        let place = EXAMPLES_MAX.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.into_iter().take(place));
    }
}

/// What differs between what should be there and what is.
pub(super) fn difference(expected: Option<&Document>, found: Option<&Document>) -> Option<What> {
    let (expected, found) = match (expected, found) {
        (None, None) => return None,
        (Some(_), None) => return Some(What::Missing),
        (None, Some(_)) => return Some(What::Extra),
        (Some(expected), Some(found)) => (expected, found),
    };
    if expected.guard() != found.guard() {
        return Some(What::Events);
    }
    if let Some(pointer) = first_difference(&expected.value(), &found.value(), String::new()) {
        return Some(What::Data { pointer });
    }
    let is_other = expected.kind != found.kind || expected.adds != found.adds;
    is_other.then_some(What::Total)
}

/// What differs between what streams add up to and the total that is stored.
pub(super) fn total_difference(expected: Option<&Total>, found: Option<&Total>) -> Option<What> {
    match (expected, found) {
        (None, Some(_)) => Some(What::Extra),
        (Some(_), None) => Some(What::Missing),
        (expected, found) => (expected != found).then_some(What::Total),
    }
}

fn first_difference(one: &Value, other: &Value, at: String) -> Option<String> {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let names = one.keys().chain(other.keys().filter(|name| !one.contains_key(*name)));
            names.into_iter().find_map(|name| {
                let escaped = name.replace('~', "~0").replace('/', "~1");
                let at = format!("{at}/{escaped}");
                match (one.get(name), other.get(name)) {
                    (Some(one), Some(other)) => first_difference(one, other, at),
                    _ => Some(at),
                }
            })
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let pairs = one.iter().zip(other).enumerate();
            pairs.into_iter().find_map(|(index, (one, other))| {
                first_difference(one, other, format!("{at}/{index}"))
            })
        }
        _ => (!is_same_json(one, other)).then_some(at),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_difference_has_a_pointer() {
        let found = |one: Value, other: Value| first_difference(&one, &other, String::new());
        assert_eq!(found(json!({"a": 1, "b": 2}), json!({"b": 2.0, "a": 1})), None);
        assert_eq!(found(json!({"a": {"b/c": 1}}), json!({"a": {}})).as_deref(), Some("/a/b~1c"));
        assert_eq!(found(json!({}), json!({"a~": 1})).as_deref(), Some("/a~0"));
        assert_eq!(found(json!([1, 2]), json!([1, 3])).as_deref(), Some("/1"));
        assert_eq!(found(json!([1]), json!([1, 3])).as_deref(), Some(""));
    }

    #[test]
    fn only_the_first_examples_are_kept() {
        let mut drift = Drift::default();
        (0..30).for_each(|key: u32| drift.note(&key.to_string(), None, Some(What::Missing)));
        drift.note("same", None, None);
        let mut both = Drift::default();
        both.add(drift.clone());
        both.add(drift);
        assert_eq!((both.compared, both.different, both.examples.len()), (62, 60, EXAMPLES_MAX));
        assert!(!both.is_none());
    }
}

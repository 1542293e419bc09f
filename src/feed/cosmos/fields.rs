//! Which properties of a document say whose change it is, and in which order.

use std::{borrow::Cow, fmt};

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Number, Value, value::RawValue};
use thiserror::Error;

use crate::feed::Change;

/// The first character of the key of a document that has none that can be used. Its id follows.
const NO_KEY: char = '?';
/// The first character of a key that is no plain text: its JSON follows.
const JSON_KEY: char = '=';
/// Numbers are binary64 in Cosmos DB; whole ones up to this are exact.
const ORDER_MAX: f64 = 9_007_199_254_740_992.0;

/// Where documents have their key and their order: paths of properties, such as `/aggregateId`.
///
/// The key is the partition key of the container: a text, a number or a boolean. In a [`Change`], a number
/// or boolean is its JSON behind a `=`, and so is a text that begins with `=` or `?`. The order is a whole
/// number, not negative, that rises within the changes of a key in one transaction, and, so that a key that
/// was parked can be tried again, over all of them: `/_ts` where there is nothing better. A document without one
/// of the two has a [problem](Change::problem), and is a stream of its own: its key is its id behind a `?`.
///
/// The container must index the path of the order: reading one key again sorts by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedFields {
    key: Path,
    order: Path,
    is_rising: bool,
}

/// A path that names no property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a path is a slash and the name of a property, once or more often")]
pub struct InvalidPath;

/// The names from the outside to the inside; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Path {
    first: String,
    inner: Vec<String>,
}

impl Path {
    fn new(path: &str) -> Result<Self, InvalidPath> {
        let names = path.strip_prefix('/').ok_or(InvalidPath)?;
        let mut names = names.split('/').map(str::to_owned);
        let first = names.next().unwrap_or_default();
        let path = Self { first, inner: names.collect() };
        let is_named = !path.first.is_empty() && path.inner.iter().all(|name| !name.is_empty());
        if is_named { Ok(path) } else { Err(InvalidPath) }
    }

    /// As a query names it.
    fn expression(&self) -> String {
        let mut expression = String::from("c");
        for name in std::iter::once(&self.first).chain(&self.inner) {
            expression.push('[');
            expression.push_str(&Value::from(name.as_str()).to_string());
            expression.push(']');
        }
        expression
    }

    /// What the property inside of the outermost one is.
    fn inside(&self, outermost: Value) -> Option<Value> {
        let mut value = outermost;
        for name in &self.inner {
            value = value.get_mut(name)?.take();
        }
        Some(value)
    }
}

impl FeedFields {
    /// The paths of the key and the order.
    ///
    /// # Errors
    ///
    /// [`InvalidPath`].
    pub fn new(key: &str, order: &str) -> Result<Self, InvalidPath> {
        Ok(Self { key: Path::new(key)?, order: Path::new(order)?, is_rising: false })
    }

    /// Says that every change of a key has a higher order than all that were stored before, as the sequence
    /// numbers of events have, and `/_ts` does not: nothing then comes twice because a parked key is tried
    /// again.
    #[must_use]
    pub fn with_rising_order(mut self) -> Self {
        self.is_rising = true;
        self
    }

    pub(super) fn has_rising_order(&self) -> bool {
        self.is_rising
    }

    /// The key as a query names it.
    pub(super) fn key_expression(&self) -> String {
        self.key.expression()
    }

    /// The order as a query names it.
    pub(super) fn order_expression(&self) -> String {
        self.order.expression()
    }

    /// The change that a document is. `lsn` and `stored_at` are what stands beside the document; where
    /// nothing does, they are taken from it. With `has_lsn`, a document without one has a problem.
    pub(super) fn change(
        &self,
        document: Box<RawValue>,
        lsn: Option<i64>,
        stored_at: Option<u64>,
        has_lsn: bool,
    ) -> Change {
        let mut found = Found::default();
        let mut json = serde_json::Deserializer::from_str(document.get());
        let is_object = Scan { fields: self, found: &mut found }.deserialize(&mut json).is_ok();
        let lsn = lsn.or(found.lsn);
        let problem = if !is_object {
            Some("it is not an object")
        } else if found.key.is_none() {
            Some("it has no key")
        } else if found.order.is_none() {
            Some("it has no order")
        } else if has_lsn && lsn.is_none() {
            Some("it has no transaction")
        } else {
            None
        };
        let (key, order) = if let (None, Some(key), Some(order)) = (problem, found.key, found.order)
        {
            (key, order)
        } else {
            let name = found.id.or(found.rid).unwrap_or_default();
            (format!("{NO_KEY}{name}"), 0)
        };
        Change {
            key,
            order,
            lsn: lsn.unwrap_or_default(),
            stored_at: found.stored_at.or(stored_at).unwrap_or_default(),
            document,
            problem,
        }
    }
}

/// What a key of a change stands for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum KeyKind {
    /// A text.
    Text(String),
    /// A number.
    Number(f64),
    /// A boolean.
    Flag(bool),
    /// A document without a key, by its id.
    Document(String),
}

impl KeyKind {
    /// Reads the key of a change; nothing where it is none.
    pub(super) fn of(key: &str) -> Option<Self> {
        if let Some(id) = key.strip_prefix(NO_KEY) {
            return Some(Self::Document(id.to_owned()));
        }
        let Some(json) = key.strip_prefix(JSON_KEY) else {
            return Some(Self::Text(key.to_owned()));
        };
        match serde_json::from_str(json).ok()? {
            Value::String(text) => Some(Self::Text(text)),
            Value::Number(number) => number.as_f64().map(Self::Number),
            Value::Bool(flag) => Some(Self::Flag(flag)),
            _ => None,
        }
    }
}

/// The key of a change from the property; nothing where it can be none.
fn key_of(value: Value) -> Option<String> {
    let json = match value {
        Value::String(text) if !text.starts_with([NO_KEY, JSON_KEY]) => return Some(text),
        Value::String(_) | Value::Bool(_) => value,
        // 5 and 5.0 are one partition key.
        Value::Number(number) => Value::Number(Number::from_f64(number.as_f64()?)?),
        _ => return None,
    };
    Some(format!("{JSON_KEY}{json}"))
}

/// The order of a change from the property; nothing where it can be none.
fn order_of(value: &Value) -> Option<u64> {
    let whole = |number: f64| {
        ((0.0..=ORDER_MAX).contains(&number) && number.fract() == 0.0)
            .then(|| format!("{number:.0}").parse().ok())
            .flatten()
    };
    value.as_u64().or_else(|| value.as_f64().and_then(whole))
}

/// What one pass over a document finds.
#[derive(Debug, Default)]
struct Found {
    key: Option<String>,
    order: Option<u64>,
    lsn: Option<i64>,
    stored_at: Option<u64>,
    id: Option<String>,
    rid: Option<String>,
}

/// The pass: it looks at the outermost names and skips everything else.
struct Scan<'a> {
    fields: &'a FeedFields,
    found: &'a mut Found,
}

/// A name, without a copy where it has no escapes.
struct Name<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl<'de> DeserializeSeed<'de> for Scan<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Scan<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (fields, found) = (self.fields, self.found);
        while let Some(Name(name)) = map.next_key()? {
            let name = name.as_ref();
            let (is_key, is_order) = (name == fields.key.first, name == fields.order.first);
            let is_own = matches!(name, "_lsn" | "_ts" | "id" | "_rid");
            if !is_key && !is_order && !is_own {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value: Value = map.next_value()?;
            match name {
                "_lsn" => found.lsn = value.as_i64(),
                "_ts" => found.stored_at = value.as_u64(),
                "id" => found.id = value.as_str().map(str::to_owned),
                "_rid" => found.rid = value.as_str().map(str::to_owned),
                _ => {}
            }
            if is_order {
                found.order = fields.order.inside(value.clone()).as_ref().and_then(order_of);
            }
            if is_key {
                found.key = fields.key.inside(value).and_then(key_of);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

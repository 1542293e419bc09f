//! What the Functions host sends with an invocation, as it really comes.
//!
//! The host turns every value that is no object into JSON text, and puts that text into JSON; what was text
//! before is then in text twice. How often depends on the binding and the version of the host, so a value is
//! unpacked until it is no text any more. Documents are reduced to what names them while they are read: the host
//! may have changed everything else (dates, numbers), and payloads are not for logs.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::value::RawValue;
use thiserror::Error;

/// How often a value is unpacked that is text: twice for documents, and once more for whoever packs again.
pub(super) const UNPACKED_MAX: usize = 3;
/// The largest number that a number through binary64 still names for sure.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Why an invocation cannot be read. Has no values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum Unreadable {
    #[error("the body is not UTF-8")]
    Text,
    #[error("the body is no invocation")]
    Envelope,
    #[error("the invocation has no value of a trigger")]
    Missing,
    #[error("a value has another shape")]
    Shape,
    #[error("a value is packed into text too often")]
    Packed,
    #[error("the body is too large")]
    Large,
    #[error("the body did not arrive")]
    Body,
}

/// What a value must begin with: types would take a list for an object, member by member.
pub(super) trait Shape: DeserializeOwned {
    const BEGIN: char = '{';
}

/// An invocation, with its values as they came.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(rename = "Data", alias = "data", borrow, default)]
    data: BTreeMap<Cow<'a, str>, &'a RawValue>,
    #[serde(rename = "Metadata", alias = "metadata", borrow, default)]
    metadata: BTreeMap<Cow<'a, str>, &'a RawValue>,
}

impl<'a> Envelope<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self, Unreadable> {
        let text = std::str::from_utf8(body).map_err(|_| Unreadable::Text)?;
        if !text.trim_start().starts_with('{') {
            return Err(Unreadable::Envelope);
        }
        serde_json::from_str(text).map_err(|_| Unreadable::Envelope)
    }

    /// The value of the trigger: the one with this name, or the only one.
    pub(super) fn trigger<T: Shape>(&self, name: &str) -> Result<T, Unreadable> {
        let only = || self.data.values().next().filter(|_| self.data.len() == 1);
        let value = self.data.get(name).or_else(only).ok_or(Unreadable::Missing)?;
        unpack(value)
    }

    /// What the host says of the invocation. It decides nothing, so what cannot be read is not there.
    pub(super) fn about(&self) -> About {
        fn of<T: Shape>(value: Option<&&RawValue>) -> Option<T> {
            unpack(value?).ok()
        }
        About { sys: of(self.metadata.get("sys")), retry: of(self.metadata.get("RetryContext")) }
    }
}

/// Unpacks a value while it is text, and reads it then.
fn unpack<T: Shape>(value: &RawValue) -> Result<T, Unreadable> {
    let mut text = Cow::Borrowed(value.get());
    for _ in 0..UNPACKED_MAX {
        if !is_text(&text) {
            break;
        }
        text = Cow::Owned(serde_json::from_str::<String>(&text).map_err(|_| Unreadable::Shape)?);
    }
    if is_text(&text) {
        return Err(Unreadable::Packed);
    }
    if !text.trim_start().starts_with(T::BEGIN) {
        return Err(Unreadable::Shape);
    }
    serde_json::from_str(&text).map_err(|_| Unreadable::Shape)
}

fn is_text(json: &str) -> bool {
    json.trim_start().starts_with('"')
}

/// What the host says of an invocation.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct About {
    pub(super) sys: Option<Sys>,
    pub(super) retry: Option<Retry>,
}

/// `Metadata.sys`.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Sys {
    pub(super) method_name: Option<String>,
}

/// `Metadata.RetryContext`, which is there when the function has a retry policy. The failure before is not read:
/// nobody knows what its text has in it.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Retry {
    #[serde(deserialize_with = "whole")]
    pub(super) retry_count: Option<i64>,
    #[serde(deserialize_with = "whole")]
    pub(super) max_retry_count: Option<i64>,
}

impl Shape for Sys {}
impl Shape for Retry {}
impl Shape for Timer {}
impl Shape for Vec<Named> {
    const BEGIN: char = '[';
}

/// A timer. Its schedule is in `function.json`, and does not matter here.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Timer {
    #[serde(alias = "isPastDue")]
    pub(super) is_past_due: bool,
}

/// What names a document of the container `events`. Nothing else of it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Named {
    pub(super) id: Option<String>,
    pub(super) aggregate_id: Option<String>,
    #[serde(deserialize_with = "whole")]
    pub(super) sequence_number: Option<i64>,
}

/// A whole number that may have been through binary64, or into text. What is none is not there.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Any {
        Whole(i64),
        Fraction(f64),
        Text(String),
        Other(serde::de::IgnoredAny),
    }
    Ok(match Any::deserialize(deserializer)? {
        Any::Whole(number) => Some(number),
        Any::Fraction(number) if number.fract() == 0.0 && number.abs() <= EXACT_MAX => {
            // The digits of a whole number of this size are those of an i64.
            format!("{number:.0}").parse().ok()
        }
        Any::Text(text) => text.trim_matches('"').parse().ok(),
        Any::Fraction(_) | Any::Other(_) => None,
    })
}

#[cfg(test)]
mod tests;

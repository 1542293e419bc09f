//! Times in snapshots and views: the form of the stored events, with six fraction digits.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serializer, de::Error};

use crate::event::{format_timestamp, parse_timestamp};

pub(super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_timestamp(*at))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_timestamp(&text).ok_or_else(|| D::Error::custom("not a time with six fraction digits"))
}

//! Streams: their ids, the places in them, and what an append expects of them.
//!
//! Pure; knows nothing of Cosmos DB.

use std::{borrow::Borrow, fmt, str::FromStr};

use crate::event::BadInput;

/// The longest stream id, in characters. A stream id is a partition key and part of other ids; both
/// have limits, and people type them.
pub const STREAM_ID_CHARS_MAX: usize = 128;
/// The longest aggregate type, in characters: as long as a stream id, of which it is usually a part.
pub const AGGREGATE_TYPE_CHARS_MAX: usize = 128;
/// The largest sequence number: the last integer before binary64 leaves one out.
pub const SEQUENCE_NUMBER_MAX: u64 = (1 << 53) - 1;
/// The digits of an item id.
const ITEM_ID_DIGITS: usize = 20;

/// The name of a stream: 1 to 128 characters, no control characters. The part before the first
/// hyphen is its category: `loan-173688` is a `loan`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(String);

impl StreamId {
    /// Checks the name.
    ///
    /// # Errors
    ///
    /// [`BadInput::StreamIdLength`] and [`BadInput::StreamIdControl`].
    pub fn new(name: impl Into<String>) -> Result<Self, BadInput> {
        let name = name.into();
        let characters = name.chars().count();
        if characters == 0 || characters > STREAM_ID_CHARS_MAX {
            return Err(BadInput::StreamIdLength { characters, max: STREAM_ID_CHARS_MAX });
        }
        if let Some(index) = name.chars().position(char::is_control) {
            return Err(BadInput::StreamIdControl { position: index.saturating_add(1) });
        }
        Ok(Self(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the first hyphen, or all of it where that part is empty or missing.
    pub fn category(&self) -> &str {
        match self.0.split_once('-') {
            Some((category, _)) if !category.is_empty() => category,
            _ => &self.0,
        }
    }

    /// The category as it is reported; empty where it would be the whole name, which may be the key of a
    /// person.
    pub(crate) fn reported_category(&self) -> &str {
        let category = self.category();
        if category.len() == self.0.len() { "" } else { category }
    }
}

impl TryFrom<&str> for StreamId {
    type Error = BadInput;

    fn try_from(name: &str) -> Result<Self, BadInput> {
        Self::new(name)
    }
}

impl TryFrom<String> for StreamId {
    type Error = BadInput;

    fn try_from(name: String) -> Result<Self, BadInput> {
        Self::new(name)
    }
}

impl TryFrom<&String> for StreamId {
    type Error = BadInput;

    fn try_from(name: &String) -> Result<Self, BadInput> {
        Self::new(name.as_str())
    }
}

impl From<&StreamId> for StreamId {
    fn from(id: &StreamId) -> Self {
        id.clone()
    }
}

impl FromStr for StreamId {
    type Err = BadInput;

    fn from_str(name: &str) -> Result<Self, BadInput> {
        Self::new(name)
    }
}

impl AsRef<str> for StreamId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for StreamId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The place of an event in its stream; the first is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber(u64);

impl SequenceNumber {
    /// The first place of a stream.
    pub const FIRST: Self = Self(1);

    /// Checks the number.
    ///
    /// # Errors
    ///
    /// [`BadInput::SequenceNumberRange`] for 0 and beyond 2^53 - 1.
    pub fn new(number: u64) -> Result<Self, BadInput> {
        if (1..=SEQUENCE_NUMBER_MAX).contains(&number) {
            Ok(Self(number))
        } else {
            Err(BadInput::SequenceNumberRange { number, max: SEQUENCE_NUMBER_MAX })
        }
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The item id of the event at a place: its number with leading zeros, so that ids sort as the
/// numbers do.
pub(crate) fn item_id(sequence_number: u64) -> String {
    format!("{sequence_number:0ITEM_ID_DIGITS$}")
}

/// The place that an item id stands for, if it is one.
pub(crate) fn parse_item_id(id: &str) -> Option<u64> {
    if id.len() == ITEM_ID_DIGITS && id.bytes().all(|byte| byte.is_ascii_digit()) {
        id.parse().ok().filter(|number| (1..=SEQUENCE_NUMBER_MAX).contains(number))
    } else {
        None
    }
}

/// What an append requires of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExpectedVersion {
    /// The stream has no events.
    NoStream,
    /// The last event of the stream has this sequence number; `Exact(0)` is [`NoStream`](Self::NoStream).
    Exact(u64),
    /// The stream has at least one event.
    StreamExists,
    /// Nothing: the events go to the end, wherever that is.
    Any,
}

impl ExpectedVersion {
    /// The version that the stream must have, where it is a definite one.
    pub const fn version(self) -> Option<u64> {
        match self {
            Self::NoStream => Some(0),
            Self::Exact(version) => Some(version),
            Self::StreamExists | Self::Any => None,
        }
    }
}

impl fmt::Display for ExpectedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoStream | Self::Exact(0) => f.write_str("no stream"),
            Self::Exact(version) => write!(f, "version {version}"),
            Self::StreamExists => f.write_str("an existing stream"),
            Self::Any => f.write_str("any version"),
        }
    }
}

/// Checks the name of an aggregate type.
pub(crate) fn check_aggregate_type(name: &str) -> Result<(), BadInput> {
    let characters = name.chars().count();
    if characters == 0 || characters > AGGREGATE_TYPE_CHARS_MAX {
        return Err(BadInput::AggregateTypeLength { characters, max: AGGREGATE_TYPE_CHARS_MAX });
    }
    match name.chars().position(char::is_control) {
        Some(index) => Err(BadInput::AggregateTypeControl { position: index.saturating_add(1) }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stream_ids_are_bounded() {
        assert!(StreamId::new("x".repeat(128)).is_ok());
        assert!(StreamId::new("a/b?c#d%e \\ \u{1f600}").is_ok());
        assert_eq!(
            StreamId::new("\u{e9}".repeat(129)),
            Err(BadInput::StreamIdLength { characters: 129, max: 128 })
        );
        assert_eq!(StreamId::new(""), Err(BadInput::StreamIdLength { characters: 0, max: 128 }));
        assert_eq!(StreamId::new("a\u{7f}"), Err(BadInput::StreamIdControl { position: 2 }));
        assert_eq!(StreamId::new("\u{85}"), Err(BadInput::StreamIdControl { position: 1 }));
    }

    #[test]
    fn the_category_is_what_stands_before_the_first_hyphen() {
        for (name, category) in
            [("loan-173688", "loan"), ("a-b-c", "a"), ("loan", "loan"), ("-1", "-1"), ("a-", "a")]
        {
            assert_eq!(StreamId::new(name).unwrap().category(), category);
        }
    }

    #[test]
    fn a_name_without_a_category_is_not_reported() {
        for (name, category) in [("loan-173688", "loan"), ("anna@example.com", ""), ("-1", "")] {
            assert_eq!(StreamId::new(name).unwrap().reported_category(), category);
        }
    }

    #[test]
    fn item_ids_have_twenty_digits() {
        assert_eq!(item_id(1), "00000000000000000001");
        assert_eq!(item_id(SEQUENCE_NUMBER_MAX), "00009007199254740991");
        for id in ["0", "00000000000000000000", "0000000000000000000a", "00009007199254740992"] {
            assert_eq!(parse_item_id(id), None, "{id}");
        }
    }

    #[test]
    fn sequence_numbers_count_from_one() {
        assert_eq!(SequenceNumber::new(1), Ok(SequenceNumber::FIRST));
        assert!(SequenceNumber::new(0).is_err());
        assert!(SequenceNumber::new(1 << 53).is_err());
    }

    #[test]
    fn exact_zero_is_no_stream() {
        assert_eq!(ExpectedVersion::Exact(0).version(), ExpectedVersion::NoStream.version());
        assert_eq!(ExpectedVersion::Exact(0).to_string(), "no stream");
    }

    proptest! {
        #[test]
        fn item_ids_sort_as_the_numbers(a in 1..=SEQUENCE_NUMBER_MAX, b in 1..=SEQUENCE_NUMBER_MAX) {
            prop_assert_eq!(a.cmp(&b), item_id(a).cmp(&item_id(b)));
            prop_assert_eq!(parse_item_id(&item_id(a)), Some(a));
        }
    }
}

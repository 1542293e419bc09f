//! Slices of the key-hash space.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The end of the key-hash space.
const END: &str = "FF";

/// A slice of the key-hash space: from `min` on, up to but without `max`.
///
/// Bounds are what the service calls effective partition keys: hexadecimal digits in capitals that
/// compare as texts. The space begins at the empty text and ends at `FF`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Bounds", into = "Bounds")]
pub struct FeedRange {
    min: String,
    max: String,
}

/// Bounds as they are stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Bounds {
    min: String,
    max: String,
}

/// Bounds that are no range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidRange {
    /// A bound has something else than hexadecimal digits in capitals.
    #[error("a bound has only hexadecimal digits in capitals")]
    Digits,
    /// Nothing is in it.
    #[error("a range begins before its end, and ends at FF at the latest")]
    Empty,
}

impl FeedRange {
    /// The range between two bounds.
    ///
    /// # Errors
    ///
    /// [`InvalidRange`].
    pub fn new(min: impl Into<String>, max: impl Into<String>) -> Result<Self, InvalidRange> {
        let (min, max) = (min.into(), max.into());
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
        if !min.bytes().chain(max.bytes()).all(is_digit) {
            return Err(InvalidRange::Digits);
        }
        if min >= max || max.as_str() > END {
            return Err(InvalidRange::Empty);
        }
        Ok(Self { min, max })
    }

    /// The whole space.
    pub fn full() -> Self {
        Self { min: String::new(), max: END.to_owned() }
    }

    /// Where it begins.
    pub fn begin(&self) -> &str {
        &self.min
    }

    /// Where it ends; the bound itself is not in it.
    pub fn end(&self) -> &str {
        &self.max
    }

    /// Whether all of the other range is in it.
    pub fn contains(&self, other: &Self) -> bool {
        self.min <= other.min && other.max <= self.max
    }

    /// Whether the two have something in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.min < other.max && other.min < self.max
    }

    /// What the two have in common.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let min = self.min.as_str().max(other.min.as_str());
        let max = self.max.as_str().min(other.max.as_str());
        (min < max).then(|| Self { min: min.to_owned(), max: max.to_owned() })
    }

    /// The smallest range that has both in it.
    #[must_use]
    pub fn hull(&self, other: &Self) -> Self {
        let min = self.min.as_str().min(other.min.as_str());
        let max = self.max.as_str().max(other.max.as_str());
        Self { min: min.to_owned(), max: max.to_owned() }
    }
}

impl TryFrom<Bounds> for FeedRange {
    type Error = InvalidRange;

    fn try_from(bounds: Bounds) -> Result<Self, InvalidRange> {
        Self::new(bounds.min, bounds.max)
    }
}

impl From<FeedRange> for Bounds {
    fn from(FeedRange { min, max }: FeedRange) -> Self {
        Self { min, max }
    }
}

impl fmt::Display for FeedRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.min, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(min: &str, max: &str) -> FeedRange {
        FeedRange::new(min, max).unwrap()
    }

    #[test]
    fn bounds_are_checked() {
        assert_eq!(FeedRange::new("", "FF").unwrap(), FeedRange::full());
        assert_eq!(FeedRange::new("0g", "FF"), Err(InvalidRange::Digits));
        assert_eq!(FeedRange::new("ab", "FF"), Err(InvalidRange::Digits));
        for (min, max) in [("05", "05"), ("06", "05"), ("", ""), ("05", "FF0")] {
            assert_eq!(FeedRange::new(min, max), Err(InvalidRange::Empty), "{min}-{max}");
        }
        let stored = serde_json::to_string(&range("05", "0A")).unwrap();
        assert_eq!(stored, r#"{"min":"05","max":"0A"}"#);
        assert_eq!(serde_json::from_str::<FeedRange>(&stored).unwrap(), range("05", "0A"));
        assert!(serde_json::from_str::<FeedRange>(r#"{"min":"0A","max":"05"}"#).is_err());
    }

    #[test]
    fn ranges_are_compared() {
        let (left, right, middle) = (range("", "08"), range("08", "FF"), range("05", "0A"));
        assert!(!left.overlaps(&right) && left.overlaps(&middle) && middle.overlaps(&right));
        assert_eq!(left.intersection(&middle), Some(range("05", "08")));
        assert_eq!(left.intersection(&right), None);
        assert_eq!(left.hull(&right), FeedRange::full());
        assert!(FeedRange::full().contains(&middle) && !left.contains(&middle));
    }
}

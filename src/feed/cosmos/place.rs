//! Places in the feed, as they are stored: with the range that they were reached in.

use std::fmt;

use crate::feed::FeedRange;

/// A place in a range. Its text is `begin-end:turns:token`.
///
/// The token alone would be accepted on any range, and on what it knows nothing of the SDK would begin
/// where the feed once began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The range that it was reached in.
    pub(super) range: FeedRange,
    /// Among how many partitions, or parts of one, the SDK took turns.
    pub(super) turns: usize,
    /// The token of the SDK.
    pub(super) token: String,
}

impl Place {
    /// Reads a place back; nothing where the text is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (range, rest) = text.split_once(':')?;
        let (turns, token) = rest.split_once(':')?;
        let (begin, end) = range.split_once('-')?;
        let range = FeedRange::new(begin, end).ok()?;
        Some(Self { range, turns: turns.parse().ok()?, token: token.to_owned() })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.range, self.turns, self.token)
    }
}

/// The middle of a range, as the bound of its lower half; nothing where there is none.
///
/// Bounds are compared in their first eight bytes, which tell 2^62 keys apart: hashes of keys begin with
/// two zero bits, so that the space ends at `40` in fact.
pub(super) fn middle(range: &FeedRange) -> Option<String> {
    const DIGITS: usize = 16;
    const HASHES_END: u64 = 0x40 << 56;
    let number = |bound: &str| {
        let digits: String = bound.chars().chain(std::iter::repeat('0')).take(DIGITS).collect();
        u64::from_str_radix(&digits, 16).ok()
    };
    let begin = number(range.begin())?;
    let end = number(range.end())?.min(HASHES_END);
    let middle = begin.checked_add(end.checked_sub(begin)? / 2)?;
    (middle > begin).then(|| format!("{middle:016X}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_read_back() {
        for (begin, end) in [("", "FF"), ("05", "0A80"), ("", "10")] {
            let range = FeedRange::new(begin, end).unwrap();
            let place = Place { range, turns: 2, token: "c1.a:b-c".to_owned() };
            assert_eq!(Place::parse(&place.to_string()), Some(place));
        }
        for text in ["", "c1.abc", "05:1:c1", "0A-05:1:c1", "-FF:x:c1", "-FF:c1"] {
            assert_eq!(Place::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_middle_is_inside() {
        for (begin, end, expected) in [
            ("", "FF", Some("2000000000000000")),
            ("20", "FF", Some("3000000000000000")),
            ("", "01", Some("0080000000000000")),
            ("0A", "0A0000000000000001", None),
            ("41", "42", None),
        ] {
            let range = FeedRange::new(begin, end).unwrap();
            assert_eq!(middle(&range).as_deref(), expected, "{range}");
            if let Some(middle) = middle(&range) {
                assert!(range.contains(&FeedRange::new(begin, middle).unwrap()));
            }
        }
    }
}

//! Effective partition keys and half-open ranges of them.

use std::fmt;
use std::fmt::Write as _;

use super::KeyError;

/// The exclusive end of the whole space, as clients write it.
const END: &str = "FF";
/// One above the greatest hash: the top two bits of a hash are clear.
const HASH_END: u128 = 1 << 126;

/// An effective partition key: the 16 bytes of the V2 hash (top two bits clear), or a bound of a
/// range.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Epk(pub(crate) [u8; 16]);

impl Epk {
    /// The least key, written as the empty string.
    pub(crate) const ZERO: Self = Self([0; 16]);

    /// Upper-case hexadecimal, always 32 characters.
    pub(crate) fn hex(self) -> String {
        let mut text = String::with_capacity(32);
        for byte in self.0 {
            // Writing to a string cannot fail.
            let _ok = write!(text, "{byte:02X}").is_ok();
        }
        text
    }

    /// Reads up to 32 hexadecimal characters, either case; a shorter text is extended with zeros.
    pub(crate) fn from_hex(text: &str) -> Result<Self, KeyError> {
        let invalid = || KeyError::Bound(text.to_owned());
        if text.len() > 32 || !text.len().is_multiple_of(2) {
            return Err(invalid());
        }
        let mut bytes = [0_u8; 16];
        for (slot, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let mut byte = 0_u32;
            for digit in pair {
                let digit = char::from(*digit).to_digit(16).ok_or_else(invalid)?;
                byte = byte * 16 + digit;
            }
            *slot = u8::try_from(byte).map_err(|_| invalid())?;
        }
        Ok(Self(bytes))
    }

    fn number(self) -> u128 {
        u128::from_be_bytes(self.0)
    }

    fn from_number(number: u128) -> Self {
        Self(number.to_be_bytes())
    }
}

impl fmt::Debug for Epk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

/// A half-open range of effective partition keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct EpkRange {
    /// Inclusive.
    pub min: Epk,
    /// Exclusive; `None` is the end of the space (`"FF"`).
    pub max: Option<Epk>,
}

impl EpkRange {
    /// The whole space.
    pub(crate) const fn full() -> Self {
        Self { min: Epk::ZERO, max: None }
    }

    /// Reads bounds as clients write them: `""` is the start, `"FF"` the end.
    pub(crate) fn from_hex(min: &str, max: &str) -> Result<Self, KeyError> {
        let start = Epk::from_hex(min)?;
        let end = if max.eq_ignore_ascii_case(END) { None } else { Some(Epk::from_hex(max)?) };
        if min.eq_ignore_ascii_case(END) || end.is_some_and(|end| end <= start) {
            return Err(KeyError::Bound(format!("{min}..{max}")));
        }
        Ok(Self { min: start, max: end })
    }

    /// The lower bound as clients expect it (`""` for the start).
    pub(crate) fn min_hex(&self) -> String {
        if self.min == Epk::ZERO { String::new() } else { self.min.hex() }
    }

    /// The upper bound as clients expect it (`"FF"` for the end).
    pub(crate) fn max_hex(&self) -> String {
        self.max.map_or_else(|| END.to_owned(), Epk::hex)
    }

    /// Whether `epk` lies in the range.
    pub(crate) fn contains(&self, epk: Epk) -> bool {
        self.min <= epk && self.max.is_none_or(|max| epk < max)
    }

    /// Whether `other` lies wholly in the range.
    pub(crate) fn contains_range(&self, other: &Self) -> bool {
        self.min <= other.min
            && match (self.max, other.max) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(max), Some(other_max)) => other_max <= max,
            }
    }

    /// Whether the two ranges have a key in common.
    pub(crate) fn intersects(&self, other: &Self) -> bool {
        self.max.is_none_or(|max| other.min < max) && other.max.is_none_or(|max| self.min < max)
    }

    /// What the two ranges have in common.
    pub(crate) fn intersection(&self, other: &Self) -> Option<Self> {
        let max = match (self.max, other.max) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        self.intersects(other).then(|| Self { min: self.min.max(other.min), max })
    }

    /// The two halves at `at`, or `None` when `at` is not strictly inside.
    pub(crate) fn split_at(&self, at: Epk) -> Option<(Self, Self)> {
        (self.min < at && self.contains(at))
            .then_some((Self { min: self.min, max: Some(at) }, Self { min: at, max: self.max }))
    }

    /// The two ranges as one, or `None` when `right` does not begin where this one ends.
    pub(crate) fn join(&self, right: &Self) -> Option<Self> {
        (self.max == Some(right.min)).then_some(Self { min: self.min, max: right.max })
    }

    /// The middle of the hashes that can lie in the range.
    pub(crate) fn midpoint(&self) -> Epk {
        let min = self.min.number();
        let last = self.max.map_or(HASH_END, Epk::number).max(min.saturating_add(1)) - 1;
        Epk::from_number(min + (last - min) / 2)
    }

    /// The whole space cut into `count` (at least one) ranges of equal size, in order.
    pub(crate) fn divide(count: u32) -> Vec<Self> {
        let count = u128::from(count.max(1));
        let bound = |index: u128| Epk::from_number(HASH_END / count * index);
        (0..count)
            .map(|index| Self {
                min: bound(index),
                max: (index + 1 < count).then(|| bound(index + 1)),
            })
            .collect()
    }
}

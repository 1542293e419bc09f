//! Partition keys: their values, their effective partition key (the hash), and ranges of it.
use std::fmt;

/// An effective partition key: the 16 bytes of the V2 hash (top two bits clear), or a bound of a range.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Epk(pub(crate) [u8; 16]);

impl fmt::Debug for Epk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Epk")
    }
}

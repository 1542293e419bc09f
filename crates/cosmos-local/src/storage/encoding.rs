//! Byte encodings of the storage file: log keys, pointers and index keys.
//!
//! All integers are big-endian so that the order of bytes is the order of values.

use serde_json::Value;

use super::error::StorageError;
use crate::key::Epk;

/// Length of an encoded [`Pointer`], which is the key of a row in the log of a container.
pub(crate) const POINTER_LEN: usize = 14;

/// Where a row stands: the log it was written to, its LSN, and its place within the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Pointer {
    /// The physical partition that took the write.
    pub(crate) log: u32,
    /// The LSN of the commit in that partition.
    pub(crate) lsn: u64,
    /// Place within the commit, from 0.
    pub(crate) place: u16,
}

impl Pointer {
    /// The key of the row.
    pub(crate) fn encode(self) -> [u8; POINTER_LEN] {
        let mut bytes = [0; POINTER_LEN];
        let (log, rest) = bytes.split_at_mut(4);
        let (lsn, place) = rest.split_at_mut(8);
        log.copy_from_slice(&self.log.to_be_bytes());
        lsn.copy_from_slice(&self.lsn.to_be_bytes());
        place.copy_from_slice(&self.place.to_be_bytes());
        bytes
    }

    /// Reads a pointer back.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, StorageError> {
        let mut reader = Reader::new(bytes);
        let pointer = Self { log: reader.u32()?, lsn: reader.u64()?, place: reader.u16()? };
        reader.end()?;
        Ok(pointer)
    }

    /// The first key of `log` with an LSN above `lsn`.
    pub(crate) fn first_after(log: u32, lsn: u64) -> Self {
        Self { log, lsn: lsn.saturating_add(1), place: 0 }
    }

    /// The last possible key of `log` with an LSN of at most `lsn`.
    pub(crate) fn last_of(log: u32, lsn: u64) -> Self {
        Self { log, lsn, place: u16::MAX }
    }
}

/// Reads fixed-size fields off a byte slice; too few bytes are damage, never a panic.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], StorageError> {
        let (head, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or_else(|| StorageError::Corrupt("a stored record is cut short".to_owned()))?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StorageError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, StorageError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, StorageError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, StorageError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn i32(&mut self) -> Result<i32, StorageError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, StorageError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub(crate) fn epk(&mut self) -> Result<Epk, StorageError> {
        Ok(Epk(self.array()?))
    }

    /// What has not been read.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn end(&self) -> Result<(), StorageError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(StorageError::Corrupt("a stored record is too long".to_owned()))
        }
    }
}

/// First byte of an index key: the index it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Logical partition and id to the row.
    Key,
    /// Indexed path and value to the row.
    Path,
    /// Expiry time to the row.
    Expiry,
    /// Unique key values within a logical partition to the row.
    Unique,
}

impl Family {
    /// The byte that starts every key of the family.
    pub(crate) fn byte(self) -> u8 {
        match self {
            Self::Key => b'K',
            Self::Path => b'S',
            Self::Expiry => b'T',
            Self::Unique => b'U',
        }
    }
}

/// The start of the key-index entries of one logical partition; the id follows.
pub(crate) fn key_prefix(epk: Epk, key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + 16 + key.len() + 24);
    out.push(Family::Key.byte());
    out.extend_from_slice(&epk.0);
    out.extend_from_slice(key);
    out
}

/// The key-index entry of one item.
pub(crate) fn item_key(epk: Epk, key: &[u8], id: &str) -> Vec<u8> {
    let mut out = key_prefix(epk, key);
    out.extend(encode_id(id));
    out
}

/// An id as the end of its key-index entry, in the order of `ORDER BY`.
pub(crate) fn encode_id(id: &str) -> impl Iterator<Item = u8> {
    id.bytes().map(by_utf16)
}

/// UTF-8 sorts like UTF-16, whose order is that of the service, but for characters outside the basic
/// plane (first bytes F0 to F4): UTF-16 has them before U+E000 to U+FFFF (first bytes EE and EF). Moving
/// those up to bytes that UTF-8 never uses gives the order of UTF-16.
fn by_utf16(byte: u8) -> u8 {
    match byte {
        0xEE => 0xF5,
        0xEF => 0xF6,
        other => other,
    }
}

/// The start of the key-index entries at or after `epk`.
pub(crate) fn range_prefix(epk: Epk) -> Vec<u8> {
    key_prefix(epk, &[])
}

/// The entry of unique key number `number` with these encoded values in one logical partition.
pub(crate) fn unique_key(number: u8, values: &[u8], epk: Epk, key: &[u8]) -> Vec<u8> {
    let mut out = unique_prefix(number);
    out.extend_from_slice(values);
    out.extend_from_slice(&epk.0);
    out.extend_from_slice(key);
    out
}

/// The start of all entries of one unique key.
pub(crate) fn unique_prefix(number: u8) -> Vec<u8> {
    vec![Family::Unique.byte(), number]
}

/// The start of all entries of one indexed path.
pub(crate) fn path_prefix(path: &[String]) -> Vec<u8> {
    let mut out = vec![Family::Path.byte()];
    for segment in path {
        out.push(b'/');
        for byte in segment.bytes() {
            match byte {
                // A zero ends the path, before the type of a value.
                0 => out.extend_from_slice(&[0, u8::MAX]),
                b'/' => out.extend_from_slice(&[0, u8::MAX - 1]),
                other => out.push(other),
            }
        }
    }
    out.push(0);
    out
}

/// Above all entries of an index, whose values follow `prefix`. Names with a zero are beyond.
pub(crate) fn after_values(prefix: &[u8]) -> Vec<u8> {
    [prefix, &[TYPES_END]].concat()
}

/// The entry of one value of an indexed path; `ordinal` breaks ties as clients do.
pub(crate) fn path_key(prefix: &[u8], value: &[u8], ordinal: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(prefix.len() + value.len() + 8);
    out.extend_from_slice(prefix);
    out.extend_from_slice(value);
    out.extend_from_slice(&ordinal.to_be_bytes());
    out
}

/// The entry of an item that expires at `at` (Unix seconds).
pub(crate) fn expiry_key(at: u32, pointer: Pointer) -> Vec<u8> {
    let mut out = vec![Family::Expiry.byte()];
    out.extend_from_slice(&at.to_be_bytes());
    out.extend_from_slice(&pointer.encode());
    out
}

/// The smallest byte string above every string that starts with `prefix`.
pub(crate) fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut out = prefix.to_vec();
    while let Some(last) = out.pop() {
        if last < u8::MAX {
            out.push(last + 1);
            break;
        }
    }
    out
}

/// Above the first bytes of all encoded values.
const TYPES_END: u8 = 8;

/// Appends a value so that byte order is the order of `ORDER BY`: undefined, null, false, true,
/// numbers, strings, arrays, objects. Self-delimiting. Arrays and objects are not told apart by content.
pub(crate) fn encode_value(value: Option<&Value>, out: &mut Vec<u8>) {
    match value {
        None => out.push(0),
        Some(Value::Null) => out.push(1),
        Some(Value::Bool(false)) => out.push(2),
        Some(Value::Bool(true)) => out.push(3),
        Some(Value::Number(number)) => {
            out.push(4);
            // The model's numbers are binary64; -0 and 0 are one value.
            let bits = (number.as_f64().unwrap_or(f64::MAX) + 0.0).to_bits();
            let sign = 1 << 63;
            let ordered = if bits & sign == 0 { bits | sign } else { !bits };
            out.extend_from_slice(&ordered.to_be_bytes());
        }
        Some(Value::String(text)) => {
            out.push(5);
            for byte in text.bytes() {
                out.push(by_utf16(byte));
                if byte == 0 {
                    out.push(u8::MAX);
                }
            }
            out.extend_from_slice(&[0, 0]);
        }
        Some(Value::Array(_)) => out.push(6),
        Some(Value::Object(_)) => out.push(7),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn encoded(value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        encode_value(Some(value), &mut out);
        out
    }

    #[test]
    fn values_sort_by_type_then_value() {
        let ordered = [
            json!(null),
            json!(false),
            json!(true),
            json!(-1e300),
            json!(-1),
            json!(0),
            json!(0.5),
            json!(7),
            json!(""),
            json!("\u{0}"),
            json!("a"),
            json!("a\u{0}b"),
            json!("ab"),
            json!("b"),
            json!([]),
            json!({}),
        ];
        for pair in ordered.windows(2) {
            assert!(encoded(&pair[0]) < encoded(&pair[1]), "{} < {}", pair[0], pair[1]);
        }
        assert_eq!(encoded(&json!(-0.0)), encoded(&json!(0)));
    }

    #[test]
    fn pointers_read_back_and_sort_by_lsn() {
        let pointer = Pointer { log: 3, lsn: 258, place: 7 };
        assert_eq!(Pointer::decode(&pointer.encode()).unwrap(), pointer);
        assert!(Pointer { place: 9, lsn: 1, ..pointer }.encode() < pointer.encode());
        assert!(Pointer::decode(&[1, 2, 3]).is_err());
        assert!(Pointer::decode(&[0; POINTER_LEN + 1]).is_err());
    }

    #[test]
    fn the_string_after_a_prefix_is_above_all_that_start_with_it() {
        assert_eq!(after_prefix(b"ab"), b"ac");
        assert_eq!(after_prefix(&[b'a', 0xff]), b"b");
        assert!(after_prefix(&[0xff]).is_empty());
    }

    proptest! {
        #[test]
        fn numbers_keep_their_order(a in any::<f64>(), b in any::<f64>()) {
            prop_assume!(a.is_finite() && b.is_finite());
            let order = encoded(&json!(a)).cmp(&encoded(&json!(b)));
            prop_assert_eq!(order, a.partial_cmp(&b).unwrap());
        }

        #[test]
        fn strings_have_the_order_of_utf_16(
            a in "[a\u{0}\u{D7FF}\u{E000}\u{FF01}\u{10000}\u{1F389}]*|.*",
            b in "[a\u{0}\u{D7FF}\u{E000}\u{FF01}\u{10000}\u{1F389}]*|.*",
        ) {
            let order = a.encode_utf16().cmp(b.encode_utf16());
            prop_assert_eq!(encoded(&json!(a)).cmp(&encoded(&json!(b))), order);
        }
    }
}

//! Decoder of the binary JSON that clients send as request bodies.
//!
//! A body begins with the byte `80`; one value follows. A value begins with a marker byte that
//! says what it is and how long. Multi-byte integers are little-endian.
//!
//! Input is hostile until decoded: every length is checked against what is left, nesting is
//! bounded, and what references and empty arrays may expand to is bounded too. Binary JSON is
//! never written; clients accept text.

mod numbers;
mod strings;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

/// The first byte of a binary body.
const PREAMBLE: u8 = 0x80;
/// Containers open at once; the service has the same bound.
const DEPTH_MAX: usize = 256;
/// What all references and empty arrays of a body may expand to. An item has at most 2 MiB, so
/// no honest body comes near.
const EXPANSION_MAX_BYTES: usize = 64 * 1024 * 1024;

/// Why a body is not binary JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason} (at byte {at})")]
pub(crate) struct BinaryError {
    /// Where in the body.
    at: usize,
    /// What is wrong there.
    reason: &'static str,
}

/// Whether a body is binary JSON rather than text.
pub(crate) fn is_binary(body: &[u8]) -> bool {
    body.first() == Some(&PREAMBLE)
}

/// Decodes a whole body.
pub(crate) fn decode(body: &[u8]) -> Result<Value, BinaryError> {
    let mut reader = Reader { bytes: body, at: 0, expansion_left: EXPANSION_MAX_BYTES };
    if reader.byte()? != PREAMBLE {
        return Err(BinaryError { at: 0, reason: "it does not begin with the byte 80" });
    }
    let value = reader.value(0)?;
    if reader.at < body.len() {
        return Err(reader.error("something follows the value"));
    }
    Ok(value)
}

/// Bytes in a length or count field.
#[derive(Debug, Clone, Copy)]
enum Width {
    One,
    Two,
    Four,
}

/// A checked cursor over a body. `at` counts from the preamble, as references do.
#[derive(Debug)]
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    expansion_left: usize,
}

impl<'a> Reader<'a> {
    fn error(&self, reason: &'static str) -> BinaryError {
        BinaryError { at: self.at, reason }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], BinaryError> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| self.error("the body ends too early"))?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BinaryError> {
        let too_short = self.error("the body ends too early");
        self.take(N)?.try_into().map_err(|_| too_short)
    }

    fn byte(&mut self) -> Result<u8, BinaryError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn length(&mut self, width: Width) -> Result<usize, BinaryError> {
        match width {
            Width::One => self.byte().map(usize::from),
            Width::Two => self.array().map(u16::from_le_bytes).map(usize::from),
            Width::Four => {
                let length = u32::from_le_bytes(self.array()?);
                usize::try_from(length).map_err(|_| self.error("a length is too large"))
            }
        }
    }

    /// Books `bytes` of output that no input stands behind.
    fn expand(&mut self, bytes: usize) -> Result<(), BinaryError> {
        let left = self.expansion_left.checked_sub(bytes);
        self.expansion_left = left.ok_or_else(|| self.error("the body expands without measure"))?;
        Ok(())
    }

    /// Reads one value; `depth` containers are open around it.
    fn value(&mut self, depth: usize) -> Result<Value, BinaryError> {
        if depth > DEPTH_MAX {
            return Err(self.error("it is nested too deeply"));
        }
        let marker = self.byte()?;
        match marker {
            0xE0 => Ok(Value::Array(Vec::new())),
            0xE1 => Ok(Value::Array(vec![self.value(depth + 1)?])),
            0xE2 => self.items(Width::One, false, depth),
            0xE3 => self.items(Width::Two, false, depth),
            0xE4 => self.items(Width::Four, false, depth),
            0xE5 => self.items(Width::One, true, depth),
            0xE6 => self.items(Width::Two, true, depth),
            0xE7 => self.items(Width::Four, true, depth),
            0xE8 => Ok(Value::Object(Map::new())),
            0xE9 => {
                let (name, value) = self.member(depth)?;
                Ok(Value::Object(Map::from_iter([(name, value)])))
            }
            0xEA => self.members(Width::One, false, depth),
            0xEB => self.members(Width::Two, false, depth),
            0xEC => self.members(Width::Four, false, depth),
            0xED => self.members(Width::One, true, depth),
            0xEE => self.members(Width::Two, true, depth),
            0xEF => self.members(Width::Four, true, depth),
            scalar => self.scalar(scalar),
        }
    }

    /// Reads what is neither an array of values nor an object. Kept apart so that the frame of the
    /// recursive function stays small.
    #[inline(never)]
    fn scalar(&mut self, marker: u8) -> Result<Value, BinaryError> {
        match marker {
            0xD0 => Ok(Value::Null),
            0xD1 => Ok(Value::Bool(false)),
            0xD2 => Ok(Value::Bool(true)),
            0x00..0x20 | 0xC7..=0xCE | 0xD7..=0xDC => self.number(marker),
            0x20..0xC7 | 0xD3 | 0xDD..=0xDF => self.string(marker).map(Value::String),
            0xF0..=0xF3 => self.uniform(marker),
            0xCF => Err(self.error("numbers of 16 bits have no JSON form")),
            _ => Err(self.error("the marker is not known")),
        }
    }

    /// Reads the frame of a container: where it ends, and how many children it announces.
    fn frame(
        &mut self,
        width: Width,
        counted: bool,
    ) -> Result<(usize, Option<usize>), BinaryError> {
        let length = self.length(width)?;
        let count = if counted { Some(self.length(width)?) } else { None };
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| self.error("a container is longer than the body"))?;
        Ok((end, count))
    }

    /// Checks that a container ended where and with as many children as announced.
    fn close(&self, end: usize, count: Option<usize>, children: usize) -> Result<(), BinaryError> {
        if self.at != end {
            return Err(self.error("a value runs over the end of its container"));
        }
        if count.is_some_and(|count| count != children) {
            return Err(self.error("a container does not have as many values as it says"));
        }
        Ok(())
    }

    fn items(&mut self, width: Width, counted: bool, depth: usize) -> Result<Value, BinaryError> {
        let (end, count) = self.frame(width, counted)?;
        let mut items = Vec::new();
        while self.at < end {
            items.push(self.value(depth + 1)?);
        }
        self.close(end, count, items.len())?;
        Ok(Value::Array(items))
    }

    fn members(&mut self, width: Width, counted: bool, depth: usize) -> Result<Value, BinaryError> {
        let (end, count) = self.frame(width, counted)?;
        let mut members = Map::new();
        // Counted apart from the map, in which a repeated name takes one place.
        let mut read = 0;
        while self.at < end {
            let (name, value) = self.member(depth)?;
            members.insert(name, value);
            read += 1;
        }
        self.close(end, count, read)?;
        Ok(Value::Object(members))
    }

    fn member(&mut self, depth: usize) -> Result<(String, Value), BinaryError> {
        let marker = self.byte()?;
        let Value::String(name) = self.scalar(marker)? else {
            return Err(self.error("the name of a property is not a string"));
        };
        Ok((name, self.value(depth + 1)?))
    }
}

//! The forms of a string: plain, from the fixed dictionary, by reference, and compressed.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::{BinaryError, Reader, Width};

/// The dictionary of the format: markers `20` to `3F` in this order.
const SYSTEM_STRINGS: [&str; 32] = [
    "$s",
    "$t",
    "$v",
    "_attachments",
    "_etag",
    "_rid",
    "_self",
    "_ts",
    "attachments/",
    "coordinates",
    "geometry",
    "GeometryCollection",
    "id",
    "url",
    "Value",
    "label",
    "LineString",
    "link",
    "MultiLineString",
    "MultiPoint",
    "MultiPolygon",
    "name",
    "Name",
    "Type",
    "Point",
    "Polygon",
    "properties",
    "type",
    "value",
    "Feature",
    "FeatureCollection",
    "_id",
];

const LOWER_HEX: &[u8; 16] = b"0123456789abcdef";
const UPPER_HEX: &[u8; 16] = b"0123456789ABCDEF";
const DATE_TIME: &[u8; 16] = b" 0123456789:-.TZ";

/// Bytes of a GUID before which its text has a dash.
const DASHES_BEFORE: [usize; 4] = [4, 6, 8, 10];
/// The order in which the bytes of a GUID *value* are written: its first three parts are
/// little-endian integers.
const GUID_VALUE_ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

impl Reader<'_> {
    /// Reads the string that `marker` introduces. Values that JSON has no form for (GUIDs, bytes)
    /// become strings as well.
    pub(super) fn string(&mut self, marker: u8) -> Result<String, BinaryError> {
        match marker {
            0xC3..=0xC6 => self.reference(marker),
            0x80..0xC0 => self.text(usize::from(marker & 0x7F)),
            0xC0 => self.counted_text(Width::One),
            0xC1 => self.counted_text(Width::Two),
            0xC2 => self.counted_text(Width::Four),
            0x20..0x40 => {
                let known = SYSTEM_STRINGS.get(usize::from(marker - 0x20));
                known.map(|text| (*text).to_owned()).ok_or_else(|| self.error("no such string"))
            }
            0x40..0x68 => Err(self.error("it needs a dictionary of user strings")),
            0x71 => self.base64(Width::One, false),
            0x72 => self.base64(Width::Two, false),
            0x73 => self.base64(Width::One, true),
            0x74 => self.base64(Width::Two, true),
            0x75 => self.guid_text(LOWER_HEX),
            0x76 => self.guid_text(UPPER_HEX),
            0x77 => self.guid_text(LOWER_HEX).map(|text| format!("\"{text}\"")),
            0x78 => self.nibbles(LOWER_HEX),
            0x79 => self.nibbles(UPPER_HEX),
            0x7A => self.nibbles(DATE_TIME),
            0x7B => self.packed(4, Width::One),
            0x7C => self.packed(5, Width::One),
            0x7D => self.packed(6, Width::One),
            0x7E => self.packed(7, Width::One),
            0x7F => self.packed(7, Width::Two),
            0xD3 => self.guid_value(),
            0xDD => self.blob(Width::One),
            0xDE => self.blob(Width::Two),
            0xDF => self.blob(Width::Four),
            _ => Err(self.error("the marker is not one of a string")),
        }
    }

    fn counted_text(&mut self, width: Width) -> Result<String, BinaryError> {
        let length = self.length(width)?;
        self.text(length)
    }

    fn text(&mut self, length: usize) -> Result<String, BinaryError> {
        let not_utf8 = self.error("a string is not UTF-8");
        std::str::from_utf8(self.take(length)?).map(str::to_owned).map_err(|_| not_utf8)
    }

    /// Reads a string that stands elsewhere in the body. The target must not be a reference, so
    /// there are no chains and no circles.
    fn reference(&mut self, marker: u8) -> Result<String, BinaryError> {
        let target = match marker {
            0xC3 => self.length(Width::One)?,
            0xC4 => self.length(Width::Two)?,
            0xC5 => {
                let [low, middle, high] = self.array()?;
                let target = u32::from_le_bytes([low, middle, high, 0]);
                usize::try_from(target).map_err(|_| self.error("a reference is too large"))?
            }
            _ => self.length(Width::Four)?,
        };
        let mut there = Reader { bytes: self.bytes, at: target, expansion_left: 0 };
        let text = match there.byte()? {
            marker @ (0x20..0xC3) => there.string(marker)?,
            _ => return Err(self.error("a reference does not point at a string")),
        };
        self.expand(text.len())?;
        Ok(text)
    }

    /// Reads bytes whose text was base64: the number of four-character groups, then the number of
    /// padding characters (or its complement, when the text came without them), then the bytes.
    fn base64(&mut self, width: Width, url_safe: bool) -> Result<String, BinaryError> {
        let characters = self.length(width)? * 4;
        let padding = self.byte()?;
        let (padding, is_padded) =
            if padding > 2 { (usize::from(!padding), false) } else { (usize::from(padding), true) };
        let impossible = self.error("a base64 string has an impossible length");
        let significant = characters.checked_sub(padding).ok_or_else(|| impossible.clone())?;
        let bytes = self.take(significant * 3 / 4)?;
        let mut text = if url_safe { URL_SAFE.encode(bytes) } else { STANDARD.encode(bytes) };
        let length = if is_padded { characters } else { significant };
        if length > text.len() {
            return Err(impossible);
        }
        text.truncate(length);
        Ok(text)
    }

    fn guid_text(&mut self, digits: &[u8; 16]) -> Result<String, BinaryError> {
        let bytes: [u8; 16] = self.array()?;
        Ok(guid(bytes.iter().map(|byte| [byte & 0x0F, byte >> 4]), digits))
    }

    fn guid_value(&mut self) -> Result<String, BinaryError> {
        let bytes: [u8; 16] = self.array()?;
        let ordered = GUID_VALUE_ORDER.iter().filter_map(|index| bytes.get(*index));
        Ok(guid(ordered.map(|byte| [byte >> 4, byte & 0x0F]), LOWER_HEX))
    }

    /// Reads characters of a 16-character alphabet, two in a byte, the low half first.
    fn nibbles(&mut self, alphabet: &[u8; 16]) -> Result<String, BinaryError> {
        let count = self.length(Width::One)?;
        let bytes = self.take(count.div_ceil(2))?;
        if count % 2 == 1 && bytes.last().is_some_and(|last| last >> 4 != 0) {
            return Err(self.error("a compressed string has bits after its end"));
        }
        let nibbles = bytes.iter().flat_map(|byte| [byte & 0x0F, byte >> 4]);
        Ok(nibbles.take(count).map(|nibble| letter(alphabet, nibble)).collect())
    }

    /// Reads characters of `bits` bits each, the lowest first; those of fewer than seven bits
    /// count from a base character.
    fn packed(&mut self, bits: usize, width: Width) -> Result<String, BinaryError> {
        let count = self.length(width)?;
        let base = if bits < 7 { self.byte()? } else { 0 };
        let bytes = self.take((count * bits).div_ceil(8))?;
        let character = |index: usize| {
            let start = index * bits;
            let at = |offset: usize| bytes.get(start / 8 + offset).copied().unwrap_or(0);
            // A character lies in at most two bytes.
            let window = u16::from_le_bytes([at(0), at(1)]) >> (start % 8);
            let [low, _] = (window & ((1 << bits) - 1)).to_le_bytes();
            char::from(low.wrapping_add(base))
        };
        Ok((0..count).map(character).collect())
    }

    fn blob(&mut self, width: Width) -> Result<String, BinaryError> {
        let length = self.length(width)?;
        Ok(STANDARD.encode(self.take(length)?))
    }
}

fn guid(bytes: impl Iterator<Item = [u8; 2]>, digits: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (index, halves) in bytes.enumerate() {
        if DASHES_BEFORE.contains(&index) {
            text.push('-');
        }
        text.extend(halves.map(|half| letter(digits, half)));
    }
    text
}

fn letter(alphabet: &[u8; 16], nibble: u8) -> char {
    // A nibble is below 16, so there always is a letter.
    char::from(alphabet.get(usize::from(nibble)).copied().unwrap_or(b'?'))
}

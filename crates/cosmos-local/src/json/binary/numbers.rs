//! Numbers, and arrays whose numbers share one marker.

use serde_json::{Number, Value};

use super::{BinaryError, Reader, Width};

/// Bytes that an empty array takes in memory.
const EMPTY_ARRAY_BYTES: usize = size_of::<Value>();
/// Reserved ahead at most, whatever a count says.
const RESERVE_MAX: usize = 1024;

impl Reader<'_> {
    /// Reads the number that `marker` introduces.
    pub(super) fn number(&mut self, marker: u8) -> Result<Value, BinaryError> {
        let number = match marker {
            0x00..0x20 => Number::from(marker),
            0xC7 => Number::from(u64::from_le_bytes(self.array()?)),
            0xC8 | 0xD7 => Number::from(self.byte()?),
            0xC9 | 0xD9 => Number::from(i16::from_le_bytes(self.array()?)),
            0xCA | 0xDA => Number::from(i32::from_le_bytes(self.array()?)),
            0xCB | 0xDB => Number::from(i64::from_le_bytes(self.array()?)),
            0xCC | 0xCE => return self.float(|reader| reader.array().map(f64::from_le_bytes)),
            0xCD => {
                return self.float(|reader| reader.array().map(f32::from_le_bytes).map(f64::from));
            }
            0xD8 => Number::from(i8::from_le_bytes(self.array()?)),
            0xDC => Number::from(u32::from_le_bytes(self.array()?)),
            _ => return Err(self.error("the marker is not one of a number")),
        };
        Ok(Value::Number(number))
    }

    fn float(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<f64, BinaryError>,
    ) -> Result<Value, BinaryError> {
        let number = Number::from_f64(read(self)?);
        number.map(Value::Number).ok_or_else(|| self.error("JSON has no such number"))
    }

    /// Reads an array of numbers of one kind, or an array of equally long such arrays.
    pub(super) fn uniform(&mut self, marker: u8) -> Result<Value, BinaryError> {
        let width = if matches!(marker, 0xF0 | 0xF2) { Width::One } else { Width::Two };
        if matches!(marker, 0xF0 | 0xF1) {
            let kind = self.number_kind()?;
            let count = self.length(width)?;
            return self.numbers(kind, count);
        }
        // The inner arrays' marker must be the one of the same width.
        if self.byte()? != marker - 2 {
            return Err(self.error("the inner arrays have another width"));
        }
        let kind = self.number_kind()?;
        let inner = self.length(width)?;
        let outer = self.length(width)?;
        if inner == 0 {
            self.expand(outer.saturating_mul(EMPTY_ARRAY_BYTES))?;
        }
        let mut arrays = Vec::with_capacity(outer.min(RESERVE_MAX));
        for _ in 0..outer {
            arrays.push(self.numbers(kind, inner)?);
        }
        Ok(Value::Array(arrays))
    }

    /// Reads the marker that the numbers of a uniform array share; only the sized ones may be.
    fn number_kind(&mut self) -> Result<u8, BinaryError> {
        let kind = self.byte()?;
        if matches!(kind, 0xCD | 0xCE | 0xD7..=0xDC) {
            Ok(kind)
        } else {
            Err(self.error("the marker is not one of a sized number"))
        }
    }

    fn numbers(&mut self, kind: u8, count: usize) -> Result<Value, BinaryError> {
        let mut numbers = Vec::with_capacity(count.min(RESERVE_MAX));
        for _ in 0..count {
            numbers.push(self.number(kind)?);
        }
        Ok(Value::Array(numbers))
    }
}

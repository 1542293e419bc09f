//! The storage encoding of key values: a tag byte, then a payload.
//!
//! Numbers are eight bytes whose unsigned order is the numeric order. Strings escape a zero byte
//! as `00 FF` and end with `00 00`, so a shorter string sorts before a longer one that it begins.

use super::KeyValue;

const UNDEFINED: u8 = 0x00;
const NULL: u8 = 0x01;
const FALSE: u8 = 0x02;
const TRUE: u8 = 0x03;
const NUMBER: u8 = 0x05;
const STRING: u8 = 0x08;

const SIGN: u64 = 1 << 63;

/// Appends the encoding of `value`.
pub(super) fn write(value: &KeyValue, out: &mut Vec<u8>) {
    match value {
        KeyValue::Undefined => out.push(UNDEFINED),
        KeyValue::Null => out.push(NULL),
        KeyValue::Bool(false) => out.push(FALSE),
        KeyValue::Bool(true) => out.push(TRUE),
        KeyValue::Number(number) => {
            out.push(NUMBER);
            out.extend_from_slice(&ordered_bits(*number).to_be_bytes());
        }
        KeyValue::String(text) => {
            out.push(STRING);
            for byte in text.bytes() {
                out.push(byte);
                if byte == 0 {
                    out.push(0xFF);
                }
            }
            out.extend_from_slice(&[0, 0]);
        }
    }
}

/// Binary64 orders like a sign-and-magnitude integer: flip the sign bit of positive numbers and
/// every bit of negative ones, and unsigned order is numeric order.
fn ordered_bits(number: f64) -> u64 {
    let bits = number.to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

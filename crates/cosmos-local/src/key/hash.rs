//! The V2 hash of a partition key: `MurmurHash3` x64 with 128 bits over a tagged encoding.

use super::{Epk, KeyValue};

/// Hashes lie below this: the top two bits of the first byte are always clear.
const TOP_BYTE_MASK: u8 = 0x3F;

/// The effective partition key of `values`.
pub(super) fn epk(values: &[KeyValue]) -> Epk {
    let mut bytes = Vec::new();
    for value in values {
        write(value, &mut bytes);
    }
    let (first, second) = murmur3_x64_128(&bytes);
    let mut hash = (u128::from(second) << 64 | u128::from(first)).to_be_bytes();
    if let Some(top) = hash.first_mut() {
        *top &= TOP_BYTE_MASK;
    }
    Epk(hash)
}

/// The encoding that is hashed; unlike the storage encoding it keeps no order.
fn write(value: &KeyValue, out: &mut Vec<u8>) {
    match value {
        KeyValue::Undefined => out.push(0x00),
        KeyValue::Null => out.push(0x01),
        KeyValue::Bool(false) => out.push(0x02),
        KeyValue::Bool(true) => out.push(0x03),
        KeyValue::Number(number) => {
            out.push(0x05);
            out.extend_from_slice(&number.to_le_bytes());
        }
        KeyValue::String(text) => {
            out.push(0x08);
            out.extend_from_slice(text.as_bytes());
            out.push(0xFF);
        }
    }
}

const C1: u64 = 0x87c3_7b91_1142_53d5;
const C2: u64 = 0x4cf5_ad43_2745_937f;

/// The public-domain hash of Austin Appleby, seed 0; gives the two 64-bit halves.
fn murmur3_x64_128(bytes: &[u8]) -> (u64, u64) {
    let (mut h1, mut h2) = (0_u64, 0_u64);
    let (blocks, tail) = bytes.as_chunks::<16>();
    for block in blocks {
        let (k1, k2) = halves(block);
        h1 ^= scramble_first(k1);
        h1 = h1.rotate_left(27).wrapping_add(h2).wrapping_mul(5).wrapping_add(0x52dc_e729);
        h2 ^= scramble_second(k2);
        h2 = h2.rotate_left(31).wrapping_add(h1).wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    let mut padded = [0_u8; 16];
    for (slot, byte) in padded.iter_mut().zip(tail) {
        *slot = *byte;
    }
    // Scrambling zero gives zero, so an absent half changes nothing.
    let (k1, k2) = halves(&padded);
    h2 ^= scramble_second(k2);
    h1 ^= scramble_first(k1);

    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    h1 ^= length;
    h2 ^= length;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    h1 = finish(h1);
    h2 = finish(h2);
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    (h1, h2)
}

fn halves(block: &[u8; 16]) -> (u64, u64) {
    let both = u128::from_le_bytes(*block);
    let low = u64::try_from(both & u128::from(u64::MAX)).unwrap_or(0);
    let high = u64::try_from(both >> 64).unwrap_or(0);
    (low, high)
}

fn scramble_first(k: u64) -> u64 {
    k.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2)
}

fn scramble_second(k: u64) -> u64 {
    k.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1)
}

fn finish(mut k: u64) -> u64 {
    k ^= k >> 33;
    k = k.wrapping_mul(0xff51_afd7_ed55_8ccd);
    k ^= k >> 33;
    k = k.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    k ^ (k >> 33)
}

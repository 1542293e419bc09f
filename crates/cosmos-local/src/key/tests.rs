//! Tests of keys, hashes, ranges and paths.
//!
//! Nothing else reads an encoded key back; the reader here shows that it can be done.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn key(header: &str) -> PartitionKey {
    PartitionKey::from_header(header).unwrap().unwrap()
}

#[test]
fn hashes_match_the_published_check_values() {
    let check = |header, expected: &str| assert_eq!(key(header).epk().hex(), expected, "{header}");
    check("[\"q1\"]", "0F66AB55719EDB9375B9A938F780E316");
    check("[\"\"]", "32E9366E637A71B4E710384B2F4970A0");
    check("[5]", "19C08621B135968252FB34B4CF66F811");
    check("[null]", "378867E4430E67857ACE5C908374FE16");
}

#[test]
fn headers_are_read() {
    assert_eq!(PartitionKey::from_header("[]"), Ok(None));
    assert_eq!(key("[{}]"), PartitionKey(vec![KeyValue::Undefined]));
    assert_eq!(key(" [ null ] "), PartitionKey(vec![KeyValue::Null]));
    assert_eq!(key("[\"\\u00e9\"]"), PartitionKey(vec![KeyValue::String("\u{e9}".into())]));
    assert_eq!(key("[-0.0]").epk(), key("[0]").epk());
    assert_eq!(key("[5.0]").epk(), key("[5]").epk());
    for bad in ["", "a", "{}", "\"a\"", "[1"] {
        assert_eq!(PartitionKey::from_header(bad), Err(KeyError::NotAnArray), "{bad}");
    }
    assert_eq!(PartitionKey::from_header("[1,2]"), Err(KeyError::Hierarchical(2)));
    assert_eq!(PartitionKey::from_header("[[]]"), Err(KeyError::NotScalar("an array")));
    assert_eq!(PartitionKey::from_header("[{\"a\":1}]"), Err(KeyError::NotScalar("an object")));
}

#[test]
fn keys_are_taken_out_of_documents() {
    let document = json!({"a": {"b": 7, "c": []}, "s": "x"});
    let at = |path: &str| PartitionKey::from_document(&document, &parse_path(path).unwrap());
    assert_eq!(at("/a/b"), Ok(PartitionKey(vec![KeyValue::Number(7.0)])));
    assert_eq!(at("/s"), Ok(PartitionKey(vec![KeyValue::String("x".into())])));
    assert_eq!(at("/s/t"), Ok(PartitionKey(vec![KeyValue::Undefined])));
    assert_eq!(at("/missing"), Ok(PartitionKey(vec![KeyValue::Undefined])));
    assert_eq!(at("/a"), Err(KeyError::NotScalar("an object")));
    assert_eq!(at("/a/c"), Err(KeyError::NotScalar("an array")));
}

#[test]
fn paths_are_parsed() {
    assert_eq!(parse_path("/a/b").unwrap(), ["a", "b"]);
    assert_eq!(parse_path("/\"a b\"/c").unwrap(), ["a b", "c"]);
    assert_eq!(parse_path("/\"a/\\\"b\"").unwrap(), ["a/\"b"]);
    for bad in ["", "a", "/", "//a", "/a/", "/\"a", "/\"a\"b"] {
        assert!(parse_path(bad).is_err(), "{bad}");
    }
}

#[test]
fn range_bounds_are_read_and_written() {
    let full = EpkRange::from_hex("", "FF").unwrap();
    assert_eq!(full, EpkRange::full());
    assert_eq!((full.min_hex().as_str(), full.max_hex().as_str()), ("", "FF"));
    let part = EpkRange::from_hex("05", "0f66ab55719edb9375b9a938f780e316").unwrap();
    assert_eq!(part.min_hex(), "05000000000000000000000000000000");
    assert_eq!(part.max_hex(), "0F66AB55719EDB9375B9A938F780E316");
    assert!(!part.contains(key("[\"q1\"]").epk()));
    for (min, max) in [("FF", "FF"), ("10", "10"), ("20", "10"), ("0", "FF"), ("zz", "FF")] {
        assert!(EpkRange::from_hex(min, max).is_err(), "{min}..{max}");
    }
    assert!(EpkRange::from_hex("", &"0".repeat(34)).is_err());
    assert!(Epk::from_hex("\u{20ac}1").is_err());
}

#[test]
fn the_space_is_divided_split_and_joined() {
    let half = EpkRange::full().midpoint();
    assert_eq!(half.hex(), "1FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF");
    let (left, right) = EpkRange::full().split_at(half).unwrap();
    assert_eq!(left.join(&right), Some(EpkRange::full()));
    assert_eq!(right.join(&left), None);
    assert!(!left.intersects(&right) && left.intersects(&EpkRange::full()));
    assert_eq!(left.intersection(&EpkRange::full()), Some(left));
    assert_eq!(left.intersection(&right), None);
    assert!(EpkRange::full().contains_range(&right) && !left.contains_range(&right));
    assert_eq!(EpkRange::full().split_at(Epk::ZERO), None);
    for count in [0, 1, 2, 3, 7] {
        let parts = EpkRange::divide(count);
        let joined = parts.iter().copied().reduce(|left, right| left.join(&right).unwrap());
        assert_eq!(joined, Some(EpkRange::full()), "{count}");
    }
}

/// Reads one value and gives what follows it.
fn read(bytes: &[u8]) -> Option<(KeyValue, &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    match *tag {
        0x00 => Some((KeyValue::Undefined, rest)),
        0x01 => Some((KeyValue::Null, rest)),
        0x02 => Some((KeyValue::Bool(false), rest)),
        0x03 => Some((KeyValue::Bool(true), rest)),
        0x05 => {
            let (bits, rest) = rest.split_first_chunk::<8>()?;
            Some((KeyValue::Number(from_ordered_bits(u64::from_be_bytes(*bits))), rest))
        }
        0x08 => read_string(rest),
        _ => None,
    }
}

fn read_string(bytes: &[u8]) -> Option<(KeyValue, &[u8])> {
    let mut text = Vec::new();
    let mut rest = bytes;
    loop {
        match rest {
            [0, 0xFF, tail @ ..] => {
                text.push(0);
                rest = tail;
            }
            [0, 0, tail @ ..] => {
                return Some((KeyValue::String(String::from_utf8(text).ok()?), tail));
            }
            [byte, tail @ ..] if *byte != 0 => {
                text.push(*byte);
                rest = tail;
            }
            _ => return None,
        }
    }
}

fn from_ordered_bits(bits: u64) -> f64 {
    f64::from_bits(if bits >> 63 == 0 { !bits } else { bits << 1 >> 1 })
}

fn any_value() -> impl Strategy<Value = KeyValue> {
    prop_oneof![
        Just(KeyValue::Undefined),
        Just(KeyValue::Null),
        any::<bool>().prop_map(KeyValue::Bool),
        any::<f64>()
            .prop_filter("JSON has no such number", |number| number.is_finite())
            .prop_map(|number| KeyValue::Number(number + 0.0)),
        "[\\x00\\x01a-c\u{e9}\u{ffff}]{0,4}".prop_map(KeyValue::String),
    ]
}

proptest! {
    #[test]
    fn the_encoding_reads_back_whatever_follows(value in any_value(), tail: Vec<u8>) {
        let key = PartitionKey(vec![value]);
        let mut bytes = key.encode();
        bytes.extend_from_slice(&tail);
        let PartitionKey(values) = key;
        prop_assert_eq!(read(&bytes), values.into_iter().next().map(|value| (value, tail.as_slice())));
    }

    #[test]
    fn the_encoding_keeps_order_within_a_type(one in any_value(), two in any_value()) {
        let expected = match (&one, &two) {
            (KeyValue::Number(one), KeyValue::Number(two)) => one.partial_cmp(two),
            (KeyValue::String(one), KeyValue::String(two)) => Some(one.as_bytes().cmp(two.as_bytes())),
            (KeyValue::Bool(one), KeyValue::Bool(two)) => Some(one.cmp(two)),
            _ => None,
        };
        let encoded = |value| PartitionKey(vec![value]).encode();
        if let Some(expected) = expected {
            prop_assert_eq!(encoded(one).cmp(&encoded(two)), expected);
        }
    }

    #[test]
    fn every_hash_lies_below_the_end(value in any_value()) {
        let epk = PartitionKey(vec![value]).epk();
        prop_assert!(epk.0[0] < 0x40);
        prop_assert!(EpkRange::divide(5).iter().filter(|range| range.contains(epk)).count() == 1);
    }
}

//! Tests against hand-made bodies, and against the decoder of the client's driver.

use azure_data_cosmos_driver::binary_json as driver;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn check(body: &[u8], expected: &Value) {
    let body = [&[PREAMBLE], body].concat();
    assert_eq!(decode(&body).as_ref(), Ok(expected), "{body:02X?}");
    assert_eq!(driver::decode(&body).as_ref(), Ok(expected), "driver: {body:02X?}");
}

fn check_refused(body: &[u8]) {
    let body = [&[PREAMBLE], body].concat();
    assert!(decode(&body).is_err(), "{body:02X?}");
    assert!(driver::decode(&body).is_err(), "driver: {body:02X?}");
}

#[test]
fn scalars() {
    check(&[0xD0], &Value::Null);
    check(&[0xD1], &json!(false));
    check(&[0xD2], &json!(true));
    check(&[0x1F], &json!(31));
    check(&[0xC7, 255, 255, 255, 255, 255, 255, 255, 255], &json!(u64::MAX));
    check(&[0xC8, 200], &json!(200));
    check(&[0xC9, 0xFE, 0xFF], &json!(-2));
    check(&[0xCA, 0, 0, 0, 0x80], &json!(i32::MIN));
    check(&[0xCB, 0, 0, 0, 0, 0, 0, 0, 0x80], &json!(i64::MIN));
    check(&[0xCC, 0, 0, 0, 0, 0, 0, 0xF8, 0x3F], &json!(1.5));
    check(&[0xCD, 0, 0, 0xC0, 0x3F], &json!(1.5));
    check(&[0xD8, 0xFF], &json!(-1));
    check(&[0xDC, 255, 255, 255, 255], &json!(u32::MAX));
    check_refused(&[0xCC, 0, 0, 0, 0, 0, 0, 0xF0, 0x7F]);
    check_refused(&[0xCF, 0, 0]);
    for unknown in [0x68, 0x70, 0xD4, 0xD6, 0xF4, 0xFF] {
        check_refused(&[unknown]);
    }
}

#[test]
fn every_system_string_is_the_drivers() {
    for marker in 0x20..0x40 {
        let body = [PREAMBLE, marker];
        assert_eq!(decode(&body).unwrap(), driver::decode(&body).unwrap());
    }
}

#[test]
fn strings() {
    check(&[0x80], &json!(""));
    check(&[0x83, b'a', 0xC3, 0xA9], &json!("a\u{e9}"));
    check(&[0xC0, 1, b'a'], &json!("a"));
    check(&[0xC1, 1, 0, b'a'], &json!("a"));
    check(&[0xC2, 1, 0, 0, 0, b'a'], &json!("a"));
    check(&[0x78, 3, 0xBA, 0x0C], &json!("abc"));
    check(&[0x79, 2, 0xBA], &json!("AB"));
    check(&[0x7A, 4, 0x32, 0xDB], &json!("12:."));
    check(&[0x7B, 2, b'a', 0x10], &json!("ab"));
    check(&[0x7C, 2, b'a', 0x20, 0x00], &json!("ab"));
    check(&[0x7D, 2, b'a', 0x40, 0x00], &json!("ab"));
    check(&[0x7E, 2, 0xE1, 0x31], &json!("ac"));
    check(&[0x7F, 2, 0, 0xE1, 0x31], &json!("ac"));
    check(&[0x71, 1, 0, 1, 2, 3], &json!("AQID"));
    check(&[0x72, 1, 0, 2, 1], &json!("AQ=="));
    check(&[0x73, 1, 1, 0xFB, 0xEF], &json!("--8="));
    check(&[0x74, 1, 0, 0xFD, 1], &json!("AQ"));
    check(&[0xDD, 3, 1, 2, 3], &json!("AQID"));
    check(&[0xDE, 1, 0, 1], &json!("AQ=="));
    check(&[0xDF, 1, 0, 0, 0, 1], &json!("AQ=="));
    check_refused(&[0x78, 3, 0xBA, 0x1C]);
    check_refused(&[0x81, 0xFF]);
    check_refused(&[0xC0, 5, b'a']);
    check_refused(&[0x40]);
    check_refused(&[0x60, 1]);
    check_refused(&[0x71, 0, 1]);
}

#[test]
fn guids() {
    let bytes: Vec<u8> = (0x10..0x20).collect();
    let with = |marker: u8| [&[marker], bytes.as_slice()].concat();
    check(&with(0xD3), &json!("13121110-1514-1716-1819-1a1b1c1d1e1f"));
    check(&with(0x75), &json!("01112131-4151-6171-8191-a1b1c1d1e1f1"));
    check(&with(0x76), &json!("01112131-4151-6171-8191-A1B1C1D1E1F1"));
    check(&with(0x77), &json!("\"01112131-4151-6171-8191-a1b1c1d1e1f1\""));
}

#[test]
fn references_point_at_strings_only() {
    check(&[0xE2, 4, 0x81, b'a', 0xC3, 3], &json!(["a", "a"]));
    check(&[0xE2, 5, 0x81, b'a', 0xC4, 3, 0], &json!(["a", "a"]));
    check(&[0xE2, 6, 0x81, b'a', 0xC5, 3, 0, 0], &json!(["a", "a"]));
    check(&[0xE2, 7, 0x81, b'a', 0xC6, 3, 0, 0, 0], &json!(["a", "a"]));
    check(&[0xE2, 3, 0x2C, 0xC3, 3], &json!(["id", "id"]));
    check_refused(&[0xC3, 1]);
    check_refused(&[0xC3, 9]);
    check_refused(&[0xE2, 4, 0xC3, 5, 0xC3, 3]);
    check_refused(&[0xE2, 3, 0x05, 0xC3, 3]);
}

#[test]
fn containers() {
    check(&[0xE0], &json!([]));
    check(&[0xE1, 1], &json!([1]));
    check(&[0xE3, 2, 0, 1, 2], &json!([1, 2]));
    check(&[0xE4, 1, 0, 0, 0, 1], &json!([1]));
    check(&[0xE5, 2, 2, 1, 2], &json!([1, 2]));
    check(&[0xE6, 1, 0, 1, 0, 1], &json!([1]));
    check(&[0xE7, 1, 0, 0, 0, 1, 0, 0, 0, 1], &json!([1]));
    check(&[0xE8], &json!({}));
    check(&[0xE9, 0x2C, 1], &json!({"id": 1}));
    check(&[0xEA, 4, 0x3B, 0xE0, 0x2C, 1], &json!({"type": [], "id": 1}));
    check(&[0xEB, 2, 0, 0x2C, 1], &json!({"id": 1}));
    check(&[0xEC, 2, 0, 0, 0, 0x2C, 1], &json!({"id": 1}));
    check(&[0xED, 4, 2, 0x2C, 1, 0x2C, 2], &json!({"id": 2}));
    check(&[0xEE, 2, 0, 1, 0, 0x2C, 1], &json!({"id": 1}));
    check(&[0xEF, 2, 0, 0, 0, 1, 0, 0, 0, 0x2C, 1], &json!({"id": 1}));
    check_refused(&[0xE5, 2, 3, 1, 2]);
    check_refused(&[0xE2, 1, 0x81, b'a']);
    check_refused(&[0xE2, 9, 1]);
    check_refused(&[0xED, 2, 2, 0x2C, 1]);
    check_refused(&[0xE9, 1, 1]);
    check_refused(&[0xE9, 0xE0, 1]);
    check_refused(&[1, 2]);
    check_refused(&[]);
}

#[test]
fn property_order_is_kept() {
    let body = [PREAMBLE, 0xEA, 4, 0x3B, 1, 0x2C, 1];
    assert_eq!(decode(&body).unwrap().to_string(), r#"{"type":1,"id":1}"#);
}

#[test]
fn uniform_arrays() {
    check(&[0xF0, 0xD8, 2, 1, 0xFF], &json!([1, -1]));
    check(&[0xF1, 0xD9, 1, 0, 1, 0], &json!([1]));
    check(&[0xF2, 0xF0, 0xD7, 2, 2, 1, 2, 3, 4], &json!([[1, 2], [3, 4]]));
    check(&[0xF3, 0xF1, 0xD7, 1, 0, 2, 0, 1, 2], &json!([[1], [2]]));
    check(&[0xF2, 0xF0, 0xD7, 0, 2], &json!([[], []]));
    check_refused(&[0xF0, 0xC8, 1, 1]);
    check_refused(&[0xF2, 0xF1, 0xD7, 1, 1, 1]);
    check_refused(&[0xF0, 0xD8, 200, 1]);
}

#[test]
fn nesting_and_expansion_are_bounded() {
    let nested = |depth| [&[PREAMBLE], vec![0xE1; depth].as_slice(), &[1]].concat();
    assert!(decode(&nested(DEPTH_MAX)).is_ok());
    assert!(decode(&nested(DEPTH_MAX + 1)).is_err());
    assert!(decode(&nested(2_000_000)).is_err());

    // 64 KiB of text and 2,000 references to it would be 128 MiB.
    let mut items = vec![0xC1, 0xFF, 0xFF];
    items.extend(vec![b'a'; 0xFFFF]);
    items.extend([0xC3, 6].repeat(2_000));
    let length = u32::try_from(items.len()).unwrap().to_le_bytes();
    assert!(decode(&[&[PREAMBLE, 0xE4], length.as_slice(), &items].concat()).is_err());

    let items = [0xF3, 0xF1, 0xD7, 0, 0, 0xFF, 0xFF].repeat(1_000);
    let length = u32::try_from(items.len()).unwrap().to_le_bytes();
    assert!(decode(&[&[PREAMBLE, 0xE4], length.as_slice(), &items].concat()).is_err());
}

#[test]
fn text_is_not_binary() {
    assert!(!is_binary(b"{}") && !is_binary(b"") && is_binary(&[PREAMBLE]));
    assert!(decode(b"{}").is_err() && decode(b"").is_err() && decode(&[PREAMBLE]).is_err());
}

fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        any::<String>(),
        "[0-9a-f]{0,40}",
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z",
        "[A-Za-z0-9+/]{4,40}={0,2}",
        Just("id".to_owned()),
        "a{60,300}",
    ];
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-300_i64..300).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    scalar.prop_recursive(5, 60, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::vec((text.clone(), inner), 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
            prop::collection::vec(any::<i8>().prop_map(Value::from), 0..8).prop_map(Value::from),
        ]
    })
}

/// No bytes make the decoder panic, and where both it and the driver read a body, they read the same. Bytes
/// that no writer produces may be refused here and pass there: the driver does not look at the kind of the
/// items of an empty number array, for one.
fn agrees(body: &[u8]) -> Result<(), TestCaseError> {
    if let (Ok(ours), Ok(theirs)) = (decode(body), driver::decode(body)) {
        prop_assert_eq!(ours.to_string(), theirs.to_string());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_the_driver_writes_is_read(value in any_json()) {
        let body = driver::encode(&value);
        let theirs = driver::decode(&body).unwrap();
        prop_assert_eq!(decode(&body), Ok(theirs));
    }

    #[test]
    fn damaged_bodies_agree_with_the_driver(
        value in any_json(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut body = driver::encode(&value);
        for (index, byte) in damage {
            let index = index.index(body.len());
            body[index] = byte;
        }
        agrees(&body)?;
        agrees(&body[..cut.index(body.len())])?;
    }

    #[test]
    fn any_bytes_agree_with_the_driver(bytes: Vec<u8>) {
        agrees(&[&[PREAMBLE], bytes.as_slice()].concat())?;
        agrees(&bytes)?;
    }
}

//! Tests of the JSON check.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn refused(text: &str) -> (String, JsonProblem) {
    match parse(Part::Data, text) {
        Err(BadInput::Json { part: Part::Data, pointer, problem }) => (pointer, problem),
        other => panic!("{text}: {other:?}"),
    }
}

fn inexact(token: &str) -> JsonProblem {
    JsonProblem::InexactInteger { token: token.to_owned() }
}

#[test]
fn integers_that_binary64_holds_are_taken() {
    for text in [
        "0",
        "-0",
        "9007199254740992",
        "-9007199254740992",
        "9007199254740994",
        "1152921504606846976",
        "9223372036854775808",
        "-9223372036854775808",
        "18446744073709551616",
        "100000000000000000000",
        "-147573952589676412928",
    ] {
        assert!(parse(Part::Data, text).is_ok(), "{text}");
    }
}

#[test]
fn integers_that_binary64_rounds_are_refused_with_their_place() {
    for token in [
        "9007199254740993",
        "-9007199254740993",
        "18446744073709551615",
        "9223372036854775807",
        "-9223372036854775807",
        "18446744073709551617",
        "123456789012345678901",
        "-123456789012345678901234567890",
    ] {
        assert_eq!(refused(token), (String::new(), inexact(token)));
        assert_eq!(
            refused(&format!("{{\"a\":[1,{{\"x/y~z\":{token}}}]}}")),
            ("/a/1/x~1y~0z".to_owned(), inexact(token))
        );
    }
}

#[test]
fn fractions_and_exponents_are_rounded_as_everywhere() {
    let value = parse(Part::Data, "[0.1, 1.0000000000000000000001, 1e23, 123456789012345678901.5]");
    assert_eq!(value.unwrap(), json!([0.1, 1.0, 1e23, 123_456_789_012_345_678_901.5]));
}

#[test]
fn overflow_is_refused_with_its_place() {
    assert_eq!(refused("[0, 1e400]"), ("/1".to_owned(), JsonProblem::Overflow));
    assert_eq!(refused("{\"a\":-1e999}"), ("/a".to_owned(), JsonProblem::Overflow));
    let digits = "9".repeat(400);
    assert_eq!(refused(&digits).1, JsonProblem::Overflow);
}

#[test]
fn duplicate_keys_are_refused_with_their_place() {
    assert_eq!(
        refused(r#"{"a":{"b":1,"c":2,"b":3}}"#),
        ("/a/b".to_owned(), JsonProblem::DuplicateKey)
    );
    assert_eq!(refused(r#"{"a":1,"\u0061":2}"#), ("/a".to_owned(), JsonProblem::DuplicateKey));
}

#[test]
fn what_is_not_json_is_refused() {
    for text in ["", "{", "[1,]", "nul", "1 2", "{\"a\":}", "NaN"] {
        assert!(matches!(refused(text).1, JsonProblem::Invalid(_)), "{text}");
    }
}

#[test]
fn the_depth_is_bounded() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(parse(Part::Data, &nested(JSON_DEPTH_MAX)).is_ok());
    assert_eq!(refused(&nested(JSON_DEPTH_MAX + 1)).1, JsonProblem::TooDeep);
    let value: Value = serde_json::from_str(&nested(JSON_DEPTH_MAX + 1)).unwrap();
    assert!(matches!(
        check(Part::Metadata, &value),
        Err(BadInput::Json { part: Part::Metadata, problem: JsonProblem::TooDeep, .. })
    ));
}

#[test]
fn values_are_checked_like_texts() {
    assert!(from_serialize(Part::Data, json!({"n": 1_u64 << 60})).is_ok());
    assert_eq!(
        from_serialize(Part::Data, json!({"n": [0, u64::MAX]})),
        Err(BadInput::Json {
            part: Part::Data,
            pointer: "/n/1".to_owned(),
            problem: inexact("18446744073709551615"),
        })
    );
    assert!(matches!(
        from_serialize(Part::Data, u128::MAX),
        Err(BadInput::Json { problem: JsonProblem::Overflow, .. })
    ));
}

#[test]
fn the_order_of_properties_is_kept() {
    let text = r#"{"z":1,"a":{"y":2,"b":3}}"#;
    assert_eq!(parse(Part::Data, text).unwrap().to_string(), text);
}

#[test]
fn stored_integers_get_their_exact_value_again() {
    let text = "[1152921504606847000, 1.152921504606847e18, -9223372036854776000, 7, 1.5, 1e300]";
    let mut value: Value = serde_json::from_str(text).unwrap();
    restore_integers(&mut value);
    assert_eq!(value, json!([1_u64 << 60, 1_u64 << 60, i64::MIN, 7, 1.5, 1e300]));
}

proptest! {
    #[test]
    fn an_integer_is_taken_exactly_when_it_survives(number: i128) {
        let token = number.to_string();
        #[allow(clippy::as_conversions, clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "the conversion is what the test is about")]
        let survives = number as f64 as i128 == number && (number as f64) < 1.7e38;
        prop_assert_eq!(parse(Part::Data, &token).is_ok(), survives, "{}", token);
    }

    #[test]
    fn an_integer_of_64_bits_is_taken_exactly_when_it_survives(number: u64, shift in 0_u32..64) {
        let number = number << shift;
        #[allow(clippy::as_conversions, clippy::cast_precision_loss, reason = "the conversion is what the test is about")]
        let survives = format!("{:.0}", number as f64) == number.to_string();
        prop_assert_eq!(parse(Part::Data, &number.to_string()).is_ok(), survives);
        prop_assert_eq!(check(Part::Data, &json!(number)).is_ok(), survives);
    }

    #[test]
    fn what_is_taken_is_what_serde_json_reads(text in "[\\[\\]{},:\"0-9a.eE+-]{0,24}") {
        if let Ok(value) = parse(Part::Data, &text) {
            prop_assert_eq!(value, serde_json::from_str::<Value>(&text).unwrap());
        }
    }
}

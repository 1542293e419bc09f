//! JSON bodies: the binary encoding that some clients send, and the numbers that the service keeps.

pub(crate) mod binary;

use serde_json::{Number, Value};

/// Integers up to here, both signs, are the ones that binary64 can tell apart.
const EXACT_MAX: i64 = 1 << 53;

/// Turns every number into the nearest binary64, as the service stores it.
///
/// Whole numbers within 2^53 of zero stay integers, so that they are printed without a fraction.
pub(crate) fn normalise_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => normalise(number),
        Value::Array(items) => items.iter_mut().for_each(normalise_numbers),
        Value::Object(members) => members.values_mut().for_each(normalise_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn normalise(number: &mut Number) {
    if number.as_i64().is_some_and(|whole| (-EXACT_MAX..=EXACT_MAX).contains(&whole)) {
        return;
    }
    let Some(nearest) = number.as_f64() else { return };
    if let Some(whole) = exact_whole(nearest) {
        *number = Number::from(whole);
    } else if let Some(nearest) = Number::from_f64(nearest) {
        *number = nearest;
    }
}

/// `nearest` as an integer, when it is one within 2^53 of zero (a negative zero is zero).
fn exact_whole(nearest: f64) -> Option<i64> {
    #[allow(
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        reason = "float-to-integer `as` saturates, and the range is checked next"
    )]
    let whole = nearest as i64;
    let is_whole = nearest.fract() == 0.0 && (-EXACT_MAX..=EXACT_MAX).contains(&whole);
    is_whole.then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_what_binary64_holds() {
        let check = |text: &str, expected: &str| {
            let mut value: Value = serde_json::from_str(text).unwrap();
            normalise_numbers(&mut value);
            assert_eq!(value.to_string(), expected, "{text}");
        };
        check("1", "1");
        check("1.0", "1");
        check("-0.0", "0");
        check("-2.50", "-2.5");
        check("1e3", "1000");
        check("9007199254740992", "9007199254740992");
        check("9007199254740993", "9007199254740992");
        check("-9007199254740993", "-9007199254740992");
        check("18446744073709551615", "1.8446744073709552e+19");
        check("9223372036854775807", "9.223372036854776e+18");
        check("0.1", "0.1");
        check("5e-324", "5e-324");
        check(r#"{"b":[1.0,{"a":2.0}],"a":"1.0"}"#, r#"{"b":[1,{"a":2}],"a":"1.0"}"#);
    }
}

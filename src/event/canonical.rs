//! The canonical JSON of RFC 8785: keys sorted by UTF-16 code units, no white space, numbers as
//! ECMAScript writes them.
//!
//! Numbers are taken as the binary64 that Cosmos DB stores, so the form does not depend on how a
//! number was written, nor on whether it has been stored in between.

use std::{cmp::Ordering, fmt::Write};

use serde_json::{Map, Number, Value};

/// The largest integer up to which every integer is a binary64 and ECMAScript writes its digits
/// without an exponent and without rounding.
const PLAIN_INTEGER_MAX: u64 = 1 << 53;

/// Whether two values are stored as the same: neither the order of properties counts nor how a
/// number is written.
pub(crate) fn is_same_json(a: &Value, b: &Value) -> bool {
    let canonical = |value| {
        let mut text = String::new();
        write_value(&mut text, value);
        text
    };
    a == b || canonical(a) == canonical(b)
}

/// Appends the canonical form of a value.
pub(crate) fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(out, item);
            }
            out.push(']');
        }
        Value::Object(members) => write_object(out, members),
    }
}

fn write_object(out: &mut String, members: &Map<String, Value>) {
    let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
    sorted.sort_unstable_by(|(a, _), (b, _)| compare_keys(a, b));
    out.push('{');
    for (index, (key, value)) in sorted.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_string(out, key);
        out.push(':');
        write_value(out, value);
    }
    out.push('}');
}

/// Compares by UTF-16 code units. UTF-8 sorts the same way unless a surrogate pair is involved.
fn compare_keys(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
}

/// Appends a string with its quotes, escaping only what must be escaped.
pub(crate) fn write_string(out: &mut String, text: &str) {
    out.push('"');
    let mut plain_from = 0;
    for (index, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            0x08 => "\\b",
            b'\t' => "\\t",
            b'\n' => "\\n",
            0x0c => "\\f",
            b'\r' => "\\r",
            0x00..=0x1f => "",
            _ => continue,
        };
        out.push_str(text.get(plain_from..index).unwrap_or_default());
        if escape.is_empty() {
            write_infallibly(out, format_args!("\\u{byte:04x}"));
        } else {
            out.push_str(escape);
        }
        plain_from = index.saturating_add(1);
    }
    out.push_str(text.get(plain_from..).unwrap_or_default());
    out.push('"');
}

fn write_number(out: &mut String, number: &Number) {
    let magnitude = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
    if magnitude.is_some_and(|magnitude| magnitude <= PLAIN_INTEGER_MAX) {
        write_infallibly(out, format_args!("{number}"));
    } else {
        // Without arbitrary precision every number of serde_json is a finite binary64 here.
        write_binary64(out, number.as_f64().unwrap_or_default());
    }
}

/// Appends a finite number as ECMAScript's `Number::toString` does.
fn write_binary64(out: &mut String, number: f64) {
    if number == 0.0 {
        out.push('0');
        return;
    }
    if number < 0.0 {
        out.push('-');
    }
    let Decimal { digits, point } = Decimal::of(number.abs());
    let count = i32::try_from(digits.len()).unwrap_or_default();
    if (count..=21).contains(&point) {
        out.push_str(&digits);
        push_zeros(out, point.saturating_sub(count));
    } else if (1..=21).contains(&point) {
        let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or_default());
        write_infallibly(out, format_args!("{whole}.{fraction}"));
    } else if (-5..=0).contains(&point) {
        out.push_str("0.");
        push_zeros(out, point.saturating_neg());
        out.push_str(&digits);
    } else {
        let (first, rest) = digits.split_at(1);
        out.push_str(first);
        if !rest.is_empty() {
            write_infallibly(out, format_args!(".{rest}"));
        }
        write_infallibly(out, format_args!("e{:+}", point.saturating_sub(1)));
    }
}

/// The shortest decimal digits that read back as a number, and how many of them stand before the
/// decimal point (none or fewer than none for small numbers).
struct Decimal {
    digits: String,
    point: i32,
}

impl Decimal {
    /// Takes the digits from [`serde_json`], which like ECMAScript breaks ties to even; Rust's own
    /// formatting does not. Only the arrangement differs, so it is taken apart here.
    fn of(number: f64) -> Self {
        let text = Number::from_f64(number).map(|number| number.to_string()).unwrap_or_default();
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let exponent: i32 = exponent.parse().unwrap_or_default();
        let padded = format!("{whole}{fraction}");
        let significant = padded.trim_start_matches('0');
        let leading_zeros = padded.len().saturating_sub(significant.len());
        let before_point = whole.len().saturating_sub(leading_zeros.min(whole.len()));
        let zeros_behind_point = leading_zeros.saturating_sub(whole.len());
        let point = i32::try_from(before_point)
            .unwrap_or_default()
            .saturating_sub(i32::try_from(zeros_behind_point).unwrap_or_default())
            .saturating_add(exponent);
        Self { digits: significant.trim_end_matches('0').to_owned(), point }
    }
}

fn push_zeros(out: &mut String, count: i32) {
    out.extend(std::iter::repeat_n('0', usize::try_from(count).unwrap_or_default()));
}

/// Writing to a string cannot fail.
pub(crate) fn write_infallibly(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(arguments);
    debug_assert!(written.is_ok(), "a String takes whatever fits into memory");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn canonical(value: &Value) -> String {
        let mut out = String::new();
        write_value(&mut out, value);
        out
    }

    fn number(bits: u64) -> String {
        let mut out = String::new();
        write_binary64(&mut out, f64::from_bits(bits));
        out
    }

    /// The sample numbers of RFC 8785, appendix B.
    #[test]
    fn rfc_8785_numbers() {
        for (bits, text) in [
            (0x0000_0000_0000_0000, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0xc340_0000_0000_0000, "-9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
            (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
            (0x41b3_de43_5555_5554, "333333333.33333325"),
            (0x41b3_de43_5555_5555, "333333333.3333333"),
            (0x41b3_de43_5555_5556, "333333333.3333334"),
            (0x41b3_de43_5555_5557, "333333333.33333343"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
            (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
        ] {
            assert_eq!(number(bits), text, "{bits:016x}");
        }
    }

    /// The example of RFC 8785, section 3.2.2.
    #[test]
    fn rfc_8785_literals() {
        let given = r#"{
            "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
            "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
            "literals": [null, true, false]
        }"#;
        let expected = "{\"literals\":[null,true,false],\
            \"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\
            \"string\":\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}";
        let value: Value = serde_json::from_str(given).unwrap();
        assert_eq!(canonical(&value), expected);
    }

    /// The sorting example of RFC 8785, section 3.2.3.
    #[test]
    fn rfc_8785_sorting() {
        let given = r#"{
            "\u20ac": "Euro Sign",
            "\r": "Carriage Return",
            "\ufb33": "Hebrew Letter Dalet With Dagesh",
            "1": "One",
            "\ud83d\ude00": "Emoji: Grinning Face",
            "\u0080": "Control",
            "\u00f6": "Latin Small Letter O With Diaeresis"
        }"#;
        let value: Value = serde_json::from_str(given).unwrap();
        let text = canonical(&value);
        let places: Vec<usize> = ["Carriage", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew"]
            .iter()
            .map(|name| text.find(name).unwrap())
            .collect();
        assert!(places.is_sorted(), "{text}");
    }

    #[test]
    fn numbers_that_are_equal_when_stored_have_one_form() {
        assert_eq!(canonical(&json!(1.0)), "1");
        assert_eq!(canonical(&json!(-0.0)), "0");
        assert_eq!(canonical(&json!(1_u64 << 60)), "1152921504606847000");
        assert_eq!(canonical(&json!(1_152_921_504_606_847_000_u64)), "1152921504606847000");
        assert_eq!(canonical(&json!(i64::MIN)), "-9223372036854776000");
        assert_eq!(canonical(&json!(-7)), "-7");
    }

    proptest! {
        #[test]
        fn numbers_read_back_as_themselves(bits: u64) {
            let given = f64::from_bits(bits);
            prop_assume!(given.is_finite());
            let read: f64 = number(bits).parse().unwrap();
            prop_assert_eq!(read.total_cmp(&(given + 0.0)), std::cmp::Ordering::Equal);
        }

        #[test]
        fn strings_read_back_as_themselves(text: String) {
            let mut out = String::new();
            write_string(&mut out, &text);
            let read: String = serde_json::from_str(&out).unwrap();
            prop_assert_eq!(read, text);
        }
    }
}

//! Texts that sort as values do, so that lists can be filtered, sorted and paged by one indexed property.
//!
//! The form is ASCII, so that every comparison of texts agrees on it, and it ends with the id of its document,
//! so that no two are equal and a page can go on behind any of them.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::event::write_infallibly;

/// The characters that a text has at most; a longer one keeps its beginning, and its hash tells it apart.
const CHARACTERS_MAX: usize = 128;
/// The characters of the beginning of a longer one.
const BEGINNING: usize = 112;
/// Stands before the id, and sorts before everything that a text can have.
const END: char = '\u{1}';
/// Stands before a code point below the printable ones.
const LOW: char = '\u{2}';
/// Stands before a code point above the printable ones.
const HIGH: char = '\u{7f}';

/// The form of a value of a document: nothing, truth values, numbers, texts, in this order.
pub(super) fn sort_text(value: &Value, id: &str) -> String {
    let mut out = value_text(value);
    out.push(END);
    push_text(&mut out, id);
    out
}

/// From which text on, and up to before which one, documents have a value.
pub(super) fn range_of(value: &Value) -> (String, String) {
    let text = value_text(value);
    (format!("{text}{END}"), format!("{text}{LOW}"))
}

fn value_text(value: &Value) -> String {
    let mut out = String::with_capacity(48);
    match value {
        Value::Bool(false) => out.push_str("1f"),
        Value::Bool(true) => out.push_str("1t"),
        Value::Number(number) => {
            out.push('2');
            push_number(&mut out, number.as_f64().unwrap_or_default());
        }
        Value::String(text) => {
            out.push('3');
            if text.chars().nth(CHARACTERS_MAX).is_none() {
                push_text(&mut out, text);
            } else {
                push_text(&mut out, &text.chars().take(BEGINNING).collect::<String>());
                push_digest(&mut out, text);
            }
        }
        // What is not a scalar cannot be sorted by, and comes first.
        Value::Null | Value::Array(_) | Value::Object(_) => out.push('0'),
    }
    out
}

/// What tells a text apart that is cut: the first eight bytes of its SHA-256, in hexadecimal digits.
pub(super) fn push_digest(out: &mut String, text: &str) {
    for byte in Sha256::digest(text.as_bytes()).iter().take(8) {
        write_infallibly(out, format_args!("{byte:02x}"));
    }
}

/// The bits of a number in an order that is that of the numbers.
fn push_number(out: &mut String, number: f64) {
    // Both zeros are one number.
    let bits = (number + 0.0).to_bits();
    let is_negative = bits >> 63 == 1;
    let ordered = if is_negative { !bits } else { bits | (1 << 63) };
    write_infallibly(out, format_args!("{ordered:016x}"));
}

fn push_text(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            ' '..='~' => out.push(character),
            other => {
                out.push(if other < ' ' { LOW } else { HIGH });
                let code = u32::from(other);
                write_infallibly(out, format_args!("{code:06x}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn kinds_have_an_order() {
        let values = [
            json!(null),
            json!(false),
            json!(true),
            json!(-2.5),
            json!(-1),
            json!(0),
            json!(0.5),
            json!(3),
            json!(1e300),
            json!(""),
            json!("\n"),
            json!("a"),
            json!("a b"),
            json!("ab"),
            json!("~"),
            json!("\u{e9}"),
            json!("\u{20ac}"),
            json!("\u{1f600}"),
        ];
        let texts: Vec<_> = values.iter().map(|value| sort_text(value, "id")).collect();
        let mut sorted = texts.clone();
        sorted.sort();
        assert_eq!(texts, sorted);
        assert!(texts.iter().all(|text| text.is_ascii()));
        assert!(sort_text(&json!("a"), "1") < sort_text(&json!("a"), "2"));
        assert_eq!(sort_text(&json!(-0.0), "1"), sort_text(&json!(0), "1"));
    }

    #[test]
    fn the_range_of_a_value_has_its_documents_only() {
        let long = |end: &str| json!(format!("{}{end}", "t".repeat(200)));
        let values = [
            json!(null),
            json!(true),
            json!(1),
            json!(10),
            json!("a"),
            json!("a\u{1}"),
            json!("a\u{2}"),
            json!("ab"),
            json!("\u{20ac}"),
            long("a"),
            long("b"),
        ];
        for one in &values {
            let (from, to) = range_of(one);
            for other in &values {
                for id in ["", "s:1", "\u{7f}"] {
                    let text = sort_text(other, id);
                    let is_in = from <= text && text < to;
                    assert_eq!(is_in, one == other, "{one} {other} {id}");
                }
            }
        }
        assert!(sort_text(&long("a"), "id").len() < 140);
    }

    proptest! {
        #[test]
        fn numbers_sort_as_numbers(one in any::<f64>(), other in any::<f64>()) {
            prop_assume!(one.is_finite() && other.is_finite() && one < other);
            prop_assert!(sort_text(&json!(one), "b") < sort_text(&json!(other), "a"));
        }

        #[test]
        fn texts_sort_by_code_points(one in ".{0,20}", other in ".{0,20}") {
            prop_assume!(one < other);
            prop_assert!(sort_text(&json!(one), "b") < sort_text(&json!(other), "a"));
        }
    }
}

//! Texts that sort as values do, so that lists can be sorted and paged by one indexed property.
//!
//! The form is ASCII, so that every comparison of texts agrees on it, and it ends with the id of its document,
//! so that no two are equal and a page can go on behind any of them.

use serde_json::Value;

/// The characters of a text that count; longer ones sort by their beginning and then by id.
const CHARACTERS_MAX: usize = 128;
/// Stands before the id, and sorts before everything that a text can have.
const END: char = '\u{1}';
/// Stands before a code point below the printable ones.
const LOW: char = '\u{2}';
/// Stands before a code point above the printable ones.
const HIGH: char = '\u{7f}';

/// The form of a value of a document: nothing, truth values, numbers, texts, in this order.
pub(super) fn sort_text(value: &Value, id: &str) -> String {
    let mut out = String::with_capacity(32);
    match value {
        Value::Bool(false) => out.push_str("1f"),
        Value::Bool(true) => out.push_str("1t"),
        Value::Number(number) => {
            out.push('2');
            push_number(&mut out, number.as_f64().unwrap_or_default());
        }
        Value::String(text) => {
            out.push('3');
            push_text(&mut out, text, CHARACTERS_MAX);
        }
        // What is not a scalar cannot be sorted by, and comes first.
        Value::Null | Value::Array(_) | Value::Object(_) => out.push('0'),
    }
    out.push(END);
    push_text(&mut out, id, usize::MAX);
    out
}

/// The bits of a number in an order that is that of the numbers.
fn push_number(out: &mut String, number: f64) {
    // Both zeros are one number.
    let bits = (number + 0.0).to_bits();
    let is_negative = bits >> 63 == 1;
    let ordered = if is_negative { !bits } else { bits | (1 << 63) };
    crate::event::write_infallibly(out, format_args!("{ordered:016x}"));
}

fn push_text(out: &mut String, text: &str, characters_max: usize) {
    for character in text.chars().take(characters_max) {
        match character {
            ' '..='~' => out.push(character),
            other => {
                out.push(if other < ' ' { LOW } else { HIGH });
                let code = u32::from(other);
                crate::event::write_infallibly(out, format_args!("{code:06x}"));
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

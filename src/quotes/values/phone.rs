//! Telephone numbers.

use super::text_form;
use crate::quotes::problem::ValueProblem;

/// The digits of a number: 15 is the limit of E.164, fewer than 7 reach nobody from outside.
const DIGITS_MIN: usize = 7;
const DIGITS_MAX: usize = 15;
/// What people write between digits.
const SEPARATORS: [char; 5] = [' ', '-', '.', '(', ')'];

/// A telephone number: 7 to 15 digits, with `+` and the country's code before them or without.
///
/// Spaces, hyphens, dots and parentheses are taken and not kept: `+91 00000 12345` is kept as
/// `+910000012345`, so that the same number is the same text.
#[derive(Clone, PartialEq, Eq)]
pub struct Phone(String);

impl Phone {
    /// Checks the number.
    ///
    /// # Errors
    ///
    /// [`ValueProblem::Phone`].
    pub fn new(number: &str) -> Result<Self, ValueProblem> {
        check(number).map(Self).map_err(ValueProblem::Phone)
    }
}

fn check(number: &str) -> Result<String, &'static str> {
    let (plus, rest) = match number.strip_prefix('+') {
        Some(rest) => ("+", rest),
        None => ("", number),
    };
    if rest.chars().any(|one| !one.is_ascii_digit() && !SEPARATORS.contains(&one)) {
        return Err(
            "it has digits, spaces, hyphens, dots and parentheses, and one + at most, first",
        );
    }
    // The zero is dialled at home only. It cannot be cut either: in some countries it is not.
    if !plus.is_empty() && rest.contains("(0)") {
        return Err("with a country's code there is no (0)");
    }
    let digits: String = rest.chars().filter(char::is_ascii_digit).collect();
    if !(DIGITS_MIN..=DIGITS_MAX).contains(&digits.len()) {
        return Err("it has 7 to 15 digits");
    }
    if !plus.is_empty() && digits.starts_with('0') {
        return Err("a country's code does not begin with 0");
    }
    Ok(format!("{plus}{digits}"))
}

text_form!(Phone);
hidden_debug!(Phone);

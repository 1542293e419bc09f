//! Postal codes, by country.
//!
//! Only the shape is checked, not whether anybody gets letters there.

use super::{country::CountryCode, text_form};
use crate::quotes::problem::ValueProblem;

/// What is known of a country's postal codes. In a shape, `9` is a digit, `N` a digit but 0, `A` a
/// letter; a space may be left out, and anything else stands for itself.
struct Row {
    country: &'static str,
    example: &'static str,
    shapes: &'static [&'static str],
}

const fn row(country: &'static str, example: &'static str, shapes: &'static [&'static str]) -> Row {
    Row { country, example, shapes }
}

const TABLE: &[Row] = &[
    row("AT", "1010", &["N999"]),
    row("AU", "2000", &["9999"]),
    row("BE", "1000", &["N999"]),
    row("BR", "01001-000", &["99999-999", "99999999"]),
    row("CA", "K1A 0B1", &["A9A 9A9"]),
    row("CH", "8001", &["N999"]),
    row("DE", "10115", &["99999"]),
    row("DK", "1050", &["9999"]),
    row("ES", "28001", &["99999"]),
    row("FI", "00100", &["99999"]),
    row("FR", "75001", &["99999"]),
    row("GB", "SW1A 1AA", &["A9 9AA", "A99 9AA", "A9A 9AA", "AA9 9AA", "AA99 9AA", "AA9A 9AA"]),
    row("IN", "560001", &["N99 999"]),
    row("IT", "00118", &["99999"]),
    row("JP", "100-0001", &["999-9999", "9999999"]),
    row("NL", "1012 AB", &["N999 AA"]),
    row("NO", "0150", &["9999"]),
    row("PL", "00-001", &["99-999"]),
    row("PT", "1000-001", &["9999-999"]),
    row("SE", "111 22", &["N99 99"]),
    row("SG", "018956", &["999999"]),
    row("US", "20500", &["99999", "99999-9999"]),
];

/// Countries that have no postal codes.
const WITHOUT: [&str; 11] = ["AE", "AO", "BS", "BW", "BZ", "FJ", "HK", "MO", "QA", "UG", "ZW"];

/// The characters of a postal code in a country that is not in the table.
const OTHER_MIN: usize = 2;
const OTHER_MAX: usize = 12;
const OTHER_EXAMPLE: &str = "1000 or AB-12 (2 to 12 letters, digits, spaces and hyphens)";

/// A postal code in the shape of its country, kept in capital letters.
#[derive(Clone, PartialEq, Eq)]
pub struct PostalCode(String);

impl PostalCode {
    /// Checks the code of a country; spaces around it are cut, and small letters become capital.
    ///
    /// # Errors
    ///
    /// [`ValueProblem::PostalCode`].
    pub fn new(country: &CountryCode, code: &str) -> Result<Self, ValueProblem> {
        let row = TABLE.iter().find(|row| row.country == country.as_str());
        let code = code.trim_matches(' ').to_ascii_uppercase();
        let (fits, example) = match row {
            Some(row) => (row.shapes.iter().any(|shape| fits(&code, shape)), row.example),
            None => (fits_other(&code), OTHER_EXAMPLE),
        };
        if fits { Ok(Self(code)) } else { Err(ValueProblem::PostalCode { example }) }
    }

    /// Whether an address in the country must have one.
    pub fn is_required(country: &CountryCode) -> bool {
        !WITHOUT.contains(&country.as_str())
    }
}

fn fits(code: &str, shape: &str) -> bool {
    let mut code = code.bytes().peekable();
    for place in shape.bytes() {
        if place == b' ' {
            code.next_if_eq(&b' ');
            continue;
        }
        let is_right = |byte: &u8| match place {
            b'9' => byte.is_ascii_digit(),
            b'N' => matches!(byte, b'1'..=b'9'),
            b'A' => byte.is_ascii_uppercase(),
            other => *byte == other,
        };
        if code.next_if(is_right).is_none() {
            return false;
        }
    }
    code.next().is_none()
}

fn fits_other(code: &str) -> bool {
    let is_right = |byte: u8| byte.is_ascii_alphanumeric() || byte == b' ' || byte == b'-';
    (OTHER_MIN..=OTHER_MAX).contains(&code.len())
        && code.bytes().all(is_right)
        && code.bytes().any(|byte| byte.is_ascii_alphanumeric())
}

text_form!(PostalCode);
hidden_debug!(PostalCode);

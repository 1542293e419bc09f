//! Times as they are stored: RFC 3339 in UTC with exactly six fraction digits, so that they sort as
//! text.

use jiff::Timestamp;

use super::BadInput;

/// The bytes of `2026-11-20T10:00:00.123456Z`.
const LENGTH: usize = 27;

/// Cuts what is finer than a microsecond, so that what is stored is what was meant.
pub(crate) fn whole_microseconds(at: Timestamp) -> Result<Timestamp, BadInput> {
    // Rounded down on both sides of 1970.
    let microseconds =
        i64::try_from(at.as_nanosecond().div_euclid(1000)).map_err(|_| BadInput::TimeRange)?;
    let at = Timestamp::from_microsecond(microseconds).map_err(|_| BadInput::TimeRange)?;
    if format_timestamp(at).len() == LENGTH { Ok(at) } else { Err(BadInput::TimeRange) }
}

/// Writes a time of the years 0 to 9999.
pub(crate) fn format_timestamp(at: Timestamp) -> String {
    format!("{at:.6}")
}

/// Reads a stored time; any other form than the stored one is refused.
pub(crate) fn parse_timestamp(text: &str) -> Option<Timestamp> {
    let stored_form = text.len() == LENGTH
        && text.bytes().enumerate().all(|(index, byte)| match index {
            4 | 7 => byte == b'-',
            10 => byte == b'T',
            13 | 16 => byte == b':',
            19 => byte == b'.',
            26 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
    if stored_form { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn always_six_digits() {
        for (given, stored) in [
            ("2026-11-20T10:00:00Z", "2026-11-20T10:00:00.000000Z"),
            ("2026-11-20T10:00:00.1Z", "2026-11-20T10:00:00.100000Z"),
            ("2026-11-20T10:00:00.123456789Z", "2026-11-20T10:00:00.123456Z"),
            ("2026-11-20T10:00:00+05:30", "2026-11-20T04:30:00.000000Z"),
            ("1969-07-20T20:17:40.123456789Z", "1969-07-20T20:17:40.123456Z"),
        ] {
            let at = whole_microseconds(given.parse().unwrap()).unwrap();
            assert_eq!(format_timestamp(at), stored);
            assert_eq!(parse_timestamp(stored), Some(at));
        }
    }

    #[test]
    fn other_forms_are_not_stored_times() {
        for text in [
            "2026-11-20T10:00:00Z",
            "2026-11-20T10:00:00.123Z",
            "2026-11-20T10:00:00.123456+00:00",
            "2026-11-20 10:00:00.123456Z",
            "2026-13-20T10:00:00.123456Z",
            "",
        ] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }

    #[test]
    fn years_without_four_digits_are_refused() {
        let early: Timestamp = "-000001-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(whole_microseconds(early), Err(BadInput::TimeRange));
    }

    proptest! {
        #[test]
        fn stored_times_sort_as_text(a in -62_000_000_000_000_000_i64..250_000_000_000_000_000, b in -62_000_000_000_000_000_i64..250_000_000_000_000_000) {
            let (a, b) = (Timestamp::from_microsecond(a).unwrap(), Timestamp::from_microsecond(b).unwrap());
            prop_assert_eq!(a.cmp(&b), format_timestamp(a).cmp(&format_timestamp(b)));
            prop_assert_eq!(parse_timestamp(&format_timestamp(a)), Some(a));
        }
    }
}

//! What each value takes, what it keeps, and what it refuses.

use super::*;
use crate::quotes::problem::ValueProblem;

fn country(code: &str) -> CountryCode {
    CountryCode::new(code).unwrap()
}

#[test]
fn addresses_of_mail() {
    let local = "a".repeat(64);
    // 64, the @, and labels of 63, 63 and 61 with the dots between: 254.
    let labels = ["b".repeat(63), "c".repeat(63), "d".repeat(61)].join(".");
    let longest = format!("{local}@{labels}");
    assert_eq!(longest.len(), 254);
    for address in [
        "asha.rao@example.com",
        "a@b.co",
        "first+tag@sub.example.org",
        "o'neil_{x}~!#$%&*/=?^`|-@example.com",
        "1@xn--bcher-kva.example",
        "a@1.2.example",
        longest.as_str(),
    ] {
        assert_eq!(Email::new(address).map(String::from), Ok(address.to_owned()));
    }
    let too_long = format!("{local}@{labels}d");
    let long_local = format!("{local}a@example.com");
    let long_label = format!("a@{}.com", "b".repeat(64));
    for address in [
        "",
        "@",
        "a",
        "a@",
        "@b.co",
        "a@b",
        "a@b@c.co",
        "a.@b.co",
        ".a@b.co",
        "a..b@c.co",
        "a b@c.co",
        " a@b.co",
        "a@b.co ",
        "\"a b\"@c.co",
        "a@-b.co",
        "a@b-.co",
        "a@b..co",
        "a@.b.co",
        "a@b.co.",
        "a@b_c.co",
        "a@[127.0.0.1]",
        "a@127.0.0.1",
        "a@b.co\n",
        "\u{e9}@b.co",
        "a@\u{e9}.co",
        &too_long,
        &long_local,
        &long_label,
    ] {
        assert!(matches!(Email::new(address), Err(ValueProblem::Email(_))), "{address:?}");
    }
}

#[test]
fn the_domain_of_an_address_is_kept_in_lower_case() {
    assert_eq!(Email::new("Asha@EXAMPLE.Com").unwrap().as_str(), "Asha@example.com");
}

#[test]
fn telephone_numbers() {
    for (number, kept) in [
        ("+91 00000 12345", "+910000012345"),
        ("+1 (555) 010-9999", "+15550109999"),
        ("080.1234.5678", "08012345678"),
        ("1234567", "1234567"),
        ("+123456789012345", "+123456789012345"),
    ] {
        let phone = Phone::new(number).unwrap();
        assert_eq!(phone.as_str(), kept);
        assert_eq!(Phone::new(kept), Ok(phone), "what is kept is taken again");
    }
    for number in [
        "",
        "+",
        "123456",
        "1234567890123456",
        "+1234567890123456",
        "+012345678",
        "12+34567890",
        "++1234567",
        "123456x",
        "1234567 ext 8",
        "+44 (0)20 7946 0000",
        "123456\u{0661}",
        "1234567\n",
        " +1234567",
    ] {
        assert!(matches!(Phone::new(number), Err(ValueProblem::Phone(_))), "{number:?}");
    }
}

#[test]
fn countries() {
    assert!(country("IN").has_states());
    assert!(!country("DE").has_states());
    for code in ["", "I", "IND", "in", "In", "I1", "\u{c9}", "IN "] {
        assert_eq!(CountryCode::new(code), Err(ValueProblem::Country), "{code:?}");
    }
}

#[test]
fn postal_codes_by_country() {
    let table: &[(&str, &[&str], &[&str])] = &[
        ("AT", &["1010", "9999"], &["0101", "101", "10100"]),
        ("AU", &["2000", "0800"], &["200", "20000"]),
        ("BE", &["1000"], &["0100", "B-1000"]),
        ("BR", &["01001-000", "01001000"], &["01001", "0100-1000", "01001 000"]),
        ("CA", &["K1A 0B1", "K1A0B1"], &["K1A", "1K1 A0A", "K1A-0B1", "K1A  0B1"]),
        ("CH", &["8001"], &["0800", "80010"]),
        ("DE", &["10115", "01067"], &["1011", "101150", "D-10115", "1O115"]),
        ("ES", &["28001"], &["2800"]),
        ("FR", &["75001"], &["7500", "75 001"]),
        (
            "GB",
            &["SW1A 1AA", "M1 1AE", "B33 8TH", "CR2 6XH", "DN55 1PT", "W1A 0AX", "EC1A1BB"],
            &["SW1A", "1AA SW1", "SW1A 1A", "SW1AA 1AA"],
        ),
        ("IN", &["560001", "560 001"], &["060001", "56001", "5600011", "56-0001", "ABCDEF"]),
        ("IT", &["00118"], &["118"]),
        ("JP", &["100-0001", "1000001"], &["100-001", "10-00001"]),
        ("NL", &["1012 AB", "1012AB"], &["0012 AB", "1012", "1012 A"]),
        ("SE", &["111 22", "11122"], &["011 22", "1112"]),
        ("SG", &["018956"], &["18956", "S018956"]),
        ("US", &["20500", "20500-0003"], &["2050", "205000003", "20500-", "20500-003"]),
        // Not in the table.
        ("ZZ", &["10", "AB-12 XYZ", "123456789012"], &["1", "1234567890123", "1_2", "--", ""]),
    ];
    for (code, right, wrong) in table {
        for postal in *right {
            let kept = PostalCode::new(&country(code), postal).map(String::from);
            assert_eq!(kept.as_deref(), Ok(*postal), "{code}");
        }
        for postal in wrong.iter().chain(&["", "\u{0661}0115", "1\n23"]) {
            let refused = PostalCode::new(&country(code), postal);
            assert!(matches!(refused, Err(ValueProblem::PostalCode { .. })), "{code} {postal:?}");
        }
    }
    assert_eq!(PostalCode::new(&country("NL"), " 1012 ab ").unwrap().as_str(), "1012 AB");
    assert!(PostalCode::is_required(&country("IN")) && PostalCode::is_required(&country("ZZ")));
    assert!(!PostalCode::is_required(&country("AE")) && !PostalCode::is_required(&country("HK")));
}

#[test]
fn the_table_of_postal_codes_is_right() {
    for row in postal::TABLE {
        let country = country(row.country);
        assert!(PostalCode::new(&country, row.example).is_ok(), "{}", row.country);
        assert!(PostalCode::is_required(&country), "{} stands in both tables", row.country);
    }
    assert!(postal::TABLE.is_sorted_by_key(|row| row.country), "keep it sorted");
}

#[test]
fn texts_are_trimmed_and_have_limits() {
    fn check<T>(new: fn(&str) -> Result<T, ValueProblem>, max: usize)
    where
        T: Into<String> + PartialEq + std::fmt::Debug,
    {
        let keeps = |text: &str| new(text).map(Into::into);
        assert_eq!(keeps(" D'Arc y  "), Ok("D'Arc y".to_owned()));
        let longest = "\u{0915}".repeat(max);
        assert_eq!(keeps(&longest), Ok(longest.clone()));
        for text in ["", "  ", &format!("{longest}x")] {
            assert_eq!(new(text), Err(ValueProblem::Length { max }));
        }
        for text in ["a\nb", "a\u{7f}", "\t", "\u{85}a"] {
            assert_eq!(new(text), Err(ValueProblem::ControlCharacter));
        }
    }
    check(Actor::new, 128);
    check(PersonName::new, 100);
    check(City::new, 100);
    check(Region::new, 100);
    check(Reason::new, 500);
    check(PolicyNumber::new, 64);
}

#[test]
fn short_names() {
    for name in ["health-basic", "web", "0", "A.b_c-1", &"a".repeat(64)] {
        assert_eq!(ShortName::new(name).map(String::from), Ok(name.to_owned()));
    }
    for name in ["", "-a", ".a", "a b", "a/b", "a\n", "\u{e9}", &"a".repeat(65)] {
        assert_eq!(ShortName::new(name), Err(ValueProblem::ShortName { max: 64 }), "{name:?}");
    }
}

#[test]
fn money() {
    let max = (1 << 53) - 1;
    assert_eq!(Amount::new(0).map(Amount::units), Ok(0));
    assert_eq!(Amount::new(max).map(Amount::units), Ok(max));
    assert_eq!(Amount::new(max + 1), Err(ValueProblem::Range { min: 0, max }));
    assert_eq!(CurrencyCode::new("INR").map(String::from), Ok("INR".to_owned()));
    for code in ["", "IN", "INRS", "inr", "IN1"] {
        assert_eq!(CurrencyCode::new(code), Err(ValueProblem::Currency), "{code}");
    }
    assert_eq!(Period::new("year"), Ok(Period::Year));
    for name in ["", "Year", "decade"] {
        assert_eq!(Period::new(name), Err(ValueProblem::Period), "{name}");
    }
}

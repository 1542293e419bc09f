//! The document says what the code does.

use super::*;
use crate::quotes::{QuoteRejection, SCHEMA};

/// The rows of the table that has this heading, in the words of its cells.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/quotes.md");
    let text = std::fs::read_to_string(path).unwrap();
    let table = text.lines().skip_while(|line| *line != heading);
    let rows = table.skip(2).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| {
        row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect()
    };
    rows.map(cells).collect()
}

#[test]
fn the_document_has_the_transitions() {
    let written: Vec<Vec<String>> = TRANSITIONS
        .iter()
        .map(|(from, by, to)| vec![from.to_string(), by.to_string(), to.to_string()])
        .collect();
    assert_eq!(rows("| from | action | to |"), written);
}

#[test]
fn the_document_has_the_rules() {
    let all = [
        QuoteRejection::NotInitiated,
        QuoteRejection::AlreadyInitiated,
        QuoteRejection::DetailsMissing { missing: vec![Section::Geographic, Section::Family] },
        QuoteRejection::FinalizedCannotBeEdited,
        QuoteRejection::AlreadyFinalized,
        QuoteRejection::NotFinalized,
        QuoteRejection::AlreadyDecided { status: Status::Expired },
        QuoteRejection::NotYetExpired { days_left: 3 },
    ];
    let written: Vec<String> =
        rows("| rule | meaning |").into_iter().map(|mut row| row.remove(0)).collect();
    assert_eq!(written, all.each_ref().map(QuoteRejection::rule));
    assert_eq!(all[2].to_string(), "details are missing: geographic, family");
    assert_eq!(all[6].to_string(), "the quote is already expired");
}

#[test]
fn the_document_has_the_events() {
    let written: Vec<Vec<String>> =
        rows("| type | version | data |").into_iter().map(|row| row[..2].to_vec()).collect();
    let declared: Vec<Vec<String>> = SCHEMA
        .types()
        .iter()
        .map(|(name, version)| vec![String::from(*name), version.to_string()])
        .collect();
    assert_eq!(written, declared);
}

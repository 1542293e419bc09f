//! What `docs/telemetry.md` says of names, against the code.

use cosmos_event_store::{
    feed, http, projection,
    telemetry::{self, figures::Named, operations},
};

use super::{
    markdown::{code_words, table},
    tree,
};

const DOCUMENT: &str = "docs/telemetry.md";

#[test]
fn every_figure_is_documented_under_its_name() {
    let sections: [(&str, Vec<Named>); 4] = [
        ("### The store", operations::NAMES.to_vec()),
        ("### The service", http::figures::NAMES.to_vec()),
        ("### Change-feed processors", feed::metrics::NAMES.to_vec()),
        ("### Read models", projection::metrics::NAMES.to_vec()),
    ];
    for (heading, names) in sections {
        let rows = table(tree::file(DOCUMENT), heading);
        let described: Vec<(&str, &str, &str)> =
            rows.iter().map(|row| (row[0].trim_matches('`'), row[1], row[2])).collect();
        let named: Vec<(&str, &str, &str)> =
            names.iter().map(|named| (named.name, named.kind.as_str(), named.help)).collect();
        assert_eq!(described, named, "{heading}");
        // A name says whose it is, what it counts, and a unit.
        let is_named_well = |named: &&Named| {
            named.name.starts_with("cosmos_es_")
                && (named.kind.as_str() == "counter") == named.name.ends_with("_total")
                && (named.kind.as_str() != "histogram" || named.name.ends_with("_seconds"))
        };
        assert_eq!(names.iter().find(|named| !is_named_well(named)), None);
    }
}

#[test]
fn the_fields_of_an_operation_are_documented() {
    let text = &tree::file(DOCUMENT).text;
    let (_, section) = text.split_once("cosmos_event_store::operation`").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let is_row = |line: &&str| line.starts_with("| `");
    let first = |line: &'static str| code_words(line).next().unwrap();
    let described: Vec<&str> = section.lines().filter(is_row).map(first).collect();
    let fields = [
        telemetry::FIELD_OPERATION,
        telemetry::FIELD_CATEGORY,
        telemetry::FIELD_OUTCOME,
        telemetry::FIELD_REQUEST_CHARGE,
        telemetry::FIELD_ROUND_TRIPS,
        telemetry::FIELD_RETRIES,
        telemetry::FIELD_THROTTLES,
        telemetry::FIELD_ITEMS,
        telemetry::FIELD_BYTES,
        telemetry::FIELD_ELAPSED,
    ];
    assert_eq!(described, fields);
}

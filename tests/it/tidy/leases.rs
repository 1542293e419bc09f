//! What the documentation says about the documents of a processor, against them.

use std::collections::BTreeSet;

use cosmos_event_store::feed::{
    ProcessorOptions,
    documents::{Document, SCHEMA},
};
use serde_json::{Map, Value};

use super::{
    markdown::{code_words, table},
    tree,
};

const DOCUMENT: &str = "docs/leases-format.md";

/// The fields that stand around every document.
const AROUND: [&str; 4] = ["id", "processor", "schema", "ttl"];

/// The example below a heading.
fn example(heading: &str) -> Map<String, Value> {
    let text = &tree::file(DOCUMENT).text;
    let (_, section) = text.split_once(&format!("\n## {heading}\n")).expect("the heading is there");
    let (_, example) = section.split_once("```json\n").expect("it has an example");
    let (example, _) = example.split_once("```").expect("the example ends");
    serde_json::from_str(example).unwrap()
}

fn named(heading: &str) -> BTreeSet<String> {
    let rows = table(tree::file(DOCUMENT), heading);
    rows.iter().flat_map(|row| code_words(row[0])).map(str::to_owned).collect()
}

#[test]
fn the_format_of_the_leases_is_documented() {
    let around = named("# The documents of the leases container");
    for heading in ["Topology", "Lease", "Host", "Parked", "Discarded", "Saved"] {
        let example = example(heading);
        assert_eq!(example["schema"], SCHEMA, "{heading}");
        let mut inner = example.clone();
        inner.retain(|name, _| !AROUND.contains(&name.as_str()));
        let document: Document = serde_json::from_value(Value::Object(inner.clone())).unwrap();
        // What is stored has exactly the fields of the example, and their values.
        assert_eq!(serde_json::to_value(&document).unwrap(), Value::Object(inner), "{heading}");
        assert_eq!(example["id"], document.id(), "{heading}");
        let ttl = document.time_to_live().map(Value::from);
        assert_eq!(example.get("ttl"), ttl.as_ref(), "{heading}");
        let mut described = named(&format!("## {heading}"));
        described.extend(around.iter().cloned());
        let mut fields: BTreeSet<String> = example.keys().cloned().collect();
        fields.insert("ttl".to_owned());
        assert_eq!(described, fields, "{heading}");
    }
}

#[test]
fn the_limits_of_a_processor_are_documented() {
    let options = ProcessorOptions::new("a");
    let seconds = |time: std::time::Duration| format!("{} s", time.as_secs_f64());
    let expected = [
        ("beat", seconds(options.beat)),
        ("expiry", seconds(options.expiry)),
        ("checkpoint_interval", seconds(options.checkpoint_interval)),
        ("read_ahead_pages", options.read_ahead_pages.to_string()),
        ("runs_max", options.runs_max.to_string()),
        ("run_changes_max", options.run_changes_max.to_string()),
        ("attempt_time_max", seconds(options.attempt_time_max)),
        ("run_time_max", seconds(options.run_time_max)),
        ("attempts_max", options.attempts_max.to_string()),
        ("backoff", seconds(options.backoff)),
        ("poll_min", seconds(options.poll_min)),
        ("poll_max", seconds(options.poll_max)),
        ("list_interval", seconds(options.list_interval)),
        ("drain_time_max", seconds(options.drain_time_max)),
    ];
    let rows = table(tree::file("docs/processor.md"), "## Limits");
    let described: Vec<(&str, String)> =
        rows.iter().map(|row| (row[0].trim_matches('`'), row[1].to_owned())).collect();
    assert_eq!(described, expected);
}

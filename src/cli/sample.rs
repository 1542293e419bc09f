//! `cosmos-es sample`: a made-up log of insurance quotes, for trying things out.
//!
//! The same arguments always give the same bytes. People, places and prices are invented.

mod quote;
mod random;

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::{CliError, output::Output};
use crate::event::format_timestamp;

pub(super) use self::quote::Event;
use self::random::Random;

/// The quotes of `samples/quotes.jsonl`.
const QUOTES_DEFAULT: u32 = 40;
/// The seed of `samples/quotes.jsonl`.
const SEED_DEFAULT: u64 = 1;

const EXAMPLES: &str = "\
The log goes to standard output, sorted by time, in the format that `cosmos-es import` reads. Without
arguments it is the file samples/quotes.jsonl.

Examples:
  cosmos-es sample | cosmos-es import -
  cosmos-es sample --quotes 10000 --seed 7 > quotes.jsonl";

/// Print a made-up log of insurance quotes
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct SampleArgs {
    /// How many quotes; each has about seven events
    #[arg(long, env = "COSMOS_ES_SAMPLE_QUOTES", default_value_t = QUOTES_DEFAULT, value_name = "N")]
    quotes: u32,
    /// What the log follows from
    #[arg(long, env = "COSMOS_ES_SAMPLE_SEED", default_value_t = SEED_DEFAULT, value_name = "S")]
    seed: u64,
}

/// A line of the log.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SampleLine<'a> {
    aggregate_id: String,
    sequence_number: u64,
    r#type: &'static str,
    time: String,
    data: &'a Value,
    metadata: &'a Value,
}

/// The stream of a quote.
pub(super) fn stream(quote: u32) -> String {
    format!("quote-{quote}")
}

/// The events of so many quotes, by time: each with the number of the quote and its own.
pub(super) fn events(quotes: u32, seed: u64) -> Vec<(u32, u64, Event)> {
    let mut random = Random::new(seed);
    let mut events: Vec<(u32, u64, Event)> = Vec::new();
    for quote in 1..=quotes {
        let history = quote::history(quote, &mut random);
        events.extend((1..).zip(history).map(|(number, event)| (quote, number, event)));
    }
    events.sort_by_key(|(quote, number, event)| (event.time, *quote, *number));
    events
}

pub(super) fn run(args: &SampleArgs, out: &mut Output<'_>) -> Result<(), CliError> {
    events(args.quotes, args.seed).iter().try_for_each(|(quote, number, event)| {
        out.json(&SampleLine {
            aggregate_id: stream(*quote),
            sequence_number: *number,
            r#type: event.name,
            time: format_timestamp(event.time),
            data: &event.data,
            metadata: &event.metadata,
        })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::cli::{args::Format, line};

    fn sample(quotes: u32, seed: u64) -> String {
        let mut bytes = Vec::new();
        let mut out = Output::new(Format::Table, &mut bytes);
        run(&SampleArgs { quotes, seed }, &mut out).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_shipped_sample_is_what_the_generator_prints() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/quotes.jsonl");
        let shipped = std::fs::read_to_string(path).unwrap();
        assert!(
            shipped == sample(QUOTES_DEFAULT, SEED_DEFAULT),
            "make it again: cargo run -- sample > samples/quotes.jsonl"
        );
        assert!((270..=330).contains(&shipped.lines().count()), "{}", shipped.lines().count());
    }

    #[test]
    fn every_line_can_be_imported_and_follows_the_one_before() {
        let mut versions = BTreeMap::new();
        for text in sample(200, 3).lines() {
            let (stream, line) = line::parse(text, 1, "").unwrap();
            let version = versions.entry(stream).or_insert(0);
            assert_eq!(line.sequence_number, *version + 1);
            *version += 1;
        }
        assert_eq!(versions.len(), 200);
    }

    #[test]
    fn every_type_occurs() {
        let text = sample(QUOTES_DEFAULT, SEED_DEFAULT);
        for name in quote::TYPES {
            assert!(text.contains(&format!("\"type\":\"{name}\"")), "{name}");
        }
    }

    #[test]
    fn another_seed_is_another_log() {
        assert_ne!(sample(5, 1), sample(5, 2));
        assert_eq!(sample(0, 1), "");
    }
}

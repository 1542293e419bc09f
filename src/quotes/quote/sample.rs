//! The histories of `samples/quotes.jsonl`, as an import brings them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{properties::judge, *};
use crate::{
    aggregate::DomainEvent,
    event::{Metadata, NewEvent},
    quotes::examples::recorded,
};

/// The events of each quote, from what the log says to what the program knows.
fn histories() -> BTreeMap<String, Vec<QuoteEvent>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/quotes.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let mut histories: BTreeMap<String, Vec<QuoteEvent>> = BTreeMap::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let field = |name: &str| line[name].as_str().unwrap();
        let new = NewEvent::new(field("type"), &line["data"])
            .unwrap()
            .with_metadata(Metadata::from_json(&line["metadata"].to_string()).unwrap())
            .unwrap()
            .with_occurred_at(field("time").parse().unwrap())
            .unwrap();
        let number = line["sequenceNumber"].as_u64().unwrap();
        let event = QuoteEvent::decode(&recorded(&new, number)).unwrap().unwrap();
        assert_eq!(event.by.as_str(), line["metadata"]["actor"]);
        // Written again, it is of the current version, and comes back as it was.
        let again = recorded(&event.encode().unwrap(), number);
        assert!(QuoteEvent::decode(&again).unwrap().as_ref() == Some(&event), "{event:?}");
        histories.entry(field("aggregateId").to_owned()).or_default().push(event);
    }
    histories
}

#[test]
fn every_history_is_folded_to_what_its_last_event_says() {
    let histories = histories();
    assert_eq!(histories.len(), 40);
    for (quote_id, events) in &histories {
        let quote = events.iter().fold(Quote::initial(), Quote::evolve);
        let last = events.last().unwrap();
        let expected = match last.change.name() {
            "QuoteFinalized" => Status::Finalized,
            "QuoteApproved" => Status::Approved,
            "QuoteRejected" => Status::Rejected,
            "QuoteWithdrawn" => Status::Withdrawn,
            "QuoteExpired" => Status::Expired,
            other => panic!("{quote_id} ends with {other}"),
        };
        assert_eq!(quote.status(), expected, "{quote_id}");
        assert_eq!(quote.changed, Some(Stamp { by: last.by.clone(), at: last.at }), "{quote_id}");
    }
}

#[test]
fn every_history_keeps_the_rules() {
    for (quote_id, events) in histories() {
        let names: Vec<&str> = events.iter().map(|event| event.change.name()).collect();
        assert_eq!(judge(&names), Ok(()), "{quote_id}");
        let mut quote = Quote::initial();
        for event in &events {
            if matches!(event.change, Change::QuoteExpired { .. }) {
                assert_eq!(quote.permits(ActionKind::Expire, event.at), Ok(()), "{quote_id}");
            }
            quote = quote.evolve(event);
        }
    }
}

//! The names, the versions, the envelope, and the frozen examples of every version.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::json;

use super::*;
use crate::{
    aggregate::{DecodeProblem, kit::read_stored},
    quotes::examples::{at, recorded},
};

/// A frozen event, and the data of today that it is read as.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Fixture {
    r#type: String,
    schema_version: u32,
    data: Value,
    reads: Value,
}

fn fixtures() -> Vec<Fixture> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/quotes");
    let files = fs::read_dir(folder).unwrap();
    let texts = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    texts.map(|text| serde_json::from_str(&text).unwrap()).collect()
}

fn read(event_type: &str, version: u32, data: Value) -> Result<QuoteEvent, DecodeProblem> {
    match read_stored::<QuoteEvent>(event_type, version, data) {
        Ok(event) => Ok(event.expect("no event of a quote is skipped")),
        Err(error) => Err(error.problem),
    }
}

#[test]
fn the_schema_is_right() {
    assert_eq!(SCHEMA.check(), Ok(()));
}

#[test]
fn every_frozen_event_is_read_as_it_should_be() {
    for Fixture { r#type, schema_version, data, reads } in fixtures() {
        let event = read(&r#type, schema_version, data).unwrap();
        assert_eq!(event.change.name(), r#type);
        let encoded = event.encode().unwrap();
        assert_eq!(encoded.event_type(), &r#type.as_str());
        assert_eq!(encoded.data(), &reads, "{type} version {schema_version}");
    }
}

#[test]
fn every_version_of_every_event_has_a_frozen_example() {
    let frozen: BTreeSet<(String, u32)> =
        fixtures().into_iter().map(|one| (one.r#type, one.schema_version)).collect();
    let versions = |(name, current): &(&str, u32)| {
        (1..=*current).map(|version| (String::from(*name), version)).collect::<Vec<_>>()
    };
    let declared: BTreeSet<(String, u32)> = SCHEMA.types().iter().flat_map(versions).collect();
    assert_eq!(frozen, declared);
}

#[test]
fn who_and_when_travel_in_the_envelope() {
    let by = Actor::new("agent-1").unwrap();
    let event = QuoteEvent { by, at: at(3), change: Change::QuoteSaved { page: None } };
    let encoded = event.encode().unwrap();
    assert_eq!(encoded.metadata(), &Metadata::default().with_actor("agent-1"));
    assert_eq!(encoded.occurred_at(), Some(at(3)));
    assert_eq!(encoded.data(), &json!({}));
    assert_eq!(QuoteEvent::decode(&recorded(&encoded, 1)).unwrap(), Some(event));
}

#[test]
fn whoever_was_stored_is_read() {
    let read_by = |metadata| {
        let new = NewEvent::new("QuoteSaved", json!({})).unwrap().with_metadata(metadata).unwrap();
        QuoteEvent::decode(&recorded(&new, 1)).unwrap().unwrap().by
    };
    assert_eq!(read_by(Metadata::default()).as_str(), "unknown");
    let long = "a\n".repeat(200);
    assert_eq!(read_by(Metadata::default().with_actor(long.as_str())).as_str(), long);
}

#[test]
fn what_todays_rules_refuse_is_read_when_it_has_happened() {
    let contact = json!({
        "firstName": "", "lastName": "\u{7}", "email": "nobody", "phone": "none", "fax": "7",
    });
    let event = read("ContactDetailsSet", 1, contact).unwrap();
    assert!(
        matches!(event.change, Change::ContactDetailsSet(Contact { email, .. }) if email == "nobody")
    );
    let family = json!({"dependants": 1, "children": 70, "childAges": [99]});
    assert!(read("FamilyDetailsSet", 2, family).is_ok());
    let place = json!({"country": "Atlantis", "state": null, "city": "", "zipCode": ""});
    assert!(read("GeographicDetailsSet", 1, place).is_ok());
}

#[test]
fn an_event_that_is_not_known_is_an_error() {
    assert_eq!(read("QuoteArchived", 1, json!({})), Err(DecodeProblem::UnknownType));
    let newer = read("FamilyDetailsSet", 3, json!({}));
    assert_eq!(newer, Err(DecodeProblem::UnknownVersion { current: 2 }));
}

#[test]
fn adults_become_dependants() {
    let family = |data| match read("FamilyDetailsSet", 1, data)?.change {
        Change::FamilyDetailsSet(family) => Ok((family.dependants, family.children)),
        other => panic!("{other:?}"),
    };
    let ages = json!([1, 2, 3]);
    assert_eq!(family(json!({"adults": 1, "children": 0, "childAges": []})), Ok((0, 0)));
    assert_eq!(family(json!({"adults": 2, "children": 3, "childAges": ages})), Ok((4, 3)));
    assert_eq!(family(json!({"adults": 0, "children": 3, "childAges": ages})), Ok((3, 3)));
    let max: u64 = (1 << 53) - 1;
    let many = family(json!({"adults": max, "children": max, "childAges": []}));
    assert_eq!(many, Ok((max, max)), "what can be shown again");
    for (damaged, reason) in [
        (json!({"adults": "2", "children": 0, "childAges": []}), "adults is not a whole number"),
        (json!({"adults": 2, "children": 0.5, "childAges": []}), "children is not a whole number"),
        (json!([]), "it is not an object"),
    ] {
        let problem = DecodeProblem::Upcast(UpcastError::new(reason));
        assert_eq!(family(damaged), Err(problem));
    }
}

#[test]
fn nobodys_data_is_in_debug() {
    for Fixture { r#type, schema_version, data, .. } in fixtures() {
        let event = read(&r#type, schema_version, data).unwrap();
        let inside = match &event.change {
            Change::GeographicDetailsSet(geographic) => format!("{geographic:?}"),
            Change::ContactDetailsSet(contact) => format!("{contact:?}"),
            Change::FamilyDetailsSet(family) => format!("{family:?}"),
            Change::QuoteFinalized(offer) => format!("{offer:?} {:?}", offer.premium),
            _ => String::new(),
        };
        let text = format!("{event:?} {inside}");
        for secret in
            ["Mysuru", "Asha", "example.com", "36950", "too-expensive", "sum-too-high", "4", "INR"]
        {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

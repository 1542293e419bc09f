//! The names, the versions and the way up the chain.

use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::aggregate::kit::recorded;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Event {
    Opened,
    Paid {
        amount: u64,
        currency: String,
    },
    Noted(String),
    #[serde(skip)]
    Unknown(String),
}

fn with_currency(mut data: Value) -> Result<Value, UpcastError> {
    let fields = data.as_object_mut().ok_or(UpcastError::new("it is not an object"))?;
    fields.insert("currency".to_owned(), json!("INR"));
    Ok(data)
}

fn in_cents(mut data: Value) -> Result<Value, UpcastError> {
    let amount = data.get("amount").and_then(Value::as_u64);
    let amount = amount.ok_or(UpcastError::new("amount is not a whole number"))?;
    data["amount"] = json!(amount * 100);
    Ok(data)
}

const TYPES: &[(&str, u32)] = &[("Opened", 1), ("Paid", 3), ("Noted", 1)];
static SCHEMA: EventSchema = EventSchema::new(TYPES).upcasting(&[
    Upcaster::new("Paid", 2, in_cents),
    Upcaster::new("Paid", 1, with_currency),
    Upcaster::renaming(("PaymentMade", 1), ("Paid", 1), Ok),
]);

static CIRCLE: [Upcaster; 2] =
    [Upcaster::renaming(("B", 1), ("C", 1), Ok), Upcaster::renaming(("C", 1), ("B", 1), Ok)];
static SAME: [Upcaster; 2] = [Upcaster::new("A", 1, Ok), Upcaster::new("A", 1, Ok)];

fn stored(event_type: &str, version: u32, data: Value) -> RecordedEvent {
    let new = NewEvent::new(event_type, data).unwrap().with_schema_version(version).unwrap();
    recorded(&new, 7)
}

fn paid(amount: u64) -> Event {
    Event::Paid { amount, currency: "INR".to_owned() }
}

#[test]
fn events_are_written_with_their_names_and_versions() {
    let event = SCHEMA.encode(&paid(5)).unwrap();
    assert_eq!(event.event_type(), &"Paid");
    assert_eq!(event.schema_version(), 3);
    assert_eq!(event.data(), &json!({"amount": 5, "currency": "INR"}));
    assert_eq!(SCHEMA.encode(&Event::Opened).unwrap().data(), &json!({}));
    assert_eq!(SCHEMA.encode(&Event::Noted("n".to_owned())).unwrap().data(), &json!("n"));
}

#[test]
fn what_is_not_declared_is_not_written() {
    let schema = EventSchema::new(&[("Opened", 1)]);
    let event_type = "Paid".to_owned();
    assert_eq!(schema.encode(&paid(5)), Err(EncodeError::Undeclared { event_type }));
    assert_eq!(schema.encode(&5), Err(EncodeError::Shape));
    assert!(matches!(
        SCHEMA.encode(&paid(u64::MAX)),
        Err(EncodeError::BadInput(BadInput::Json { pointer, .. })) if pointer == "/amount"
    ));
}

#[test]
fn every_old_version_is_read() {
    let old = [
        stored("Paid", 3, json!({"amount": 500, "currency": "INR"})),
        stored("Paid", 2, json!({"amount": 5, "currency": "INR"})),
        stored("Paid", 1, json!({"amount": 5})),
        stored("PaymentMade", 1, json!({"amount": 5})),
    ];
    for event in old {
        assert_eq!(SCHEMA.decode_or_fail(&event).unwrap(), Some(paid(500)), "{event:?}");
    }
    let opened = stored("Opened", 1, json!({"by": "a field of the past"}));
    assert_eq!(SCHEMA.decode_or_fail(&opened).unwrap(), Some(Event::Opened));
}

#[test]
fn an_unknown_event_is_an_explicit_choice() {
    let unknown_type = stored("Closed", 1, json!({}));
    let newer = stored("Paid", 4, json!({}));
    for (event, problem) in [
        (&unknown_type, DecodeProblem::UnknownType),
        (&newer, DecodeProblem::UnknownVersion { current: 3 }),
    ] {
        let error = SCHEMA.decode_or_fail::<Event>(event).unwrap_err();
        assert_eq!((error.problem, error.sequence_number), (problem, 7));
        assert_eq!(SCHEMA.decode_or_skip::<Event>(event).unwrap(), None);
        let keep = |event: &RecordedEvent| Event::Unknown(event.event_type().as_str().to_owned());
        let name = event.event_type().as_str().to_owned();
        assert_eq!(SCHEMA.decode_or_keep(event, keep).unwrap(), Some(Event::Unknown(name)));
    }
}

#[test]
fn damaged_data_is_never_skipped() {
    let missing = stored("Paid", 3, json!({"amount": 1}));
    let other = stored("Paid", 3, json!({"amount": "secret", "currency": "INR"}));
    let refused = stored("Paid", 2, json!({"amount": "secret"}));
    let reason = "missing field `currency`".to_owned();
    for (event, problem) in [
        (missing, DecodeProblem::Data { reason }),
        (other, DecodeProblem::Data { reason: "a field is not as expected".to_owned() }),
        (refused, DecodeProblem::Upcast(UpcastError::new("amount is not a whole number"))),
    ] {
        let error = SCHEMA.decode_or_skip::<Event>(&event).unwrap_err();
        assert_eq!(error.problem, problem);
        assert!(!error.to_string().contains("secret"));
        let keep = |_: &RecordedEvent| Event::Unknown(String::new());
        assert!(SCHEMA.decode_or_keep(&event, keep).is_err());
    }
}

#[test]
fn a_schema_is_checked() {
    assert_eq!(SCHEMA.check(), Ok(()));
    assert_eq!(
        EventSchema::new(&[("A", 1), ("A", 1)]).check(),
        Err(SchemaProblem::DeclaredTwice("A"))
    );
    let missing = EventSchema::new(&[("A", 3)]).upcasting(&[Upcaster {
        from: ("A", 2),
        to: ("A", 3),
        upcast: Ok,
    }]);
    assert_eq!(missing.check(), Err(SchemaProblem::Missing("A", 1)));
    let circle = EventSchema::new(&[("A", 1)]).upcasting(&CIRCLE);
    assert_eq!(circle.check(), Err(SchemaProblem::LeadsNowhere("B", 1)));
    let event = stored("B", 1, json!({}));
    let problem = circle.decode_or_fail::<Event>(&event).unwrap_err().problem;
    assert_eq!(problem, DecodeProblem::UnknownType);
    let ambiguous = EventSchema::new(&[("A", 2)]).upcasting(&SAME);
    assert_eq!(ambiguous.check(), Err(SchemaProblem::Ambiguous("A", 1)));
}

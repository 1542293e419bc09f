//! The kit passes what holds and notices what does not.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::*;
use crate::aggregate::{EncodeError, EventSchema};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Event {
    Added {
        count: u32,
    },
    #[serde(skip_deserializing)]
    Lost,
    NotDeclared,
}

static SCHEMA: EventSchema = EventSchema::new(&[("Added", 1), ("Lost", 1)]);

impl DomainEvent for Event {
    fn encode(&self) -> Result<NewEvent, EncodeError> {
        SCHEMA.encode(self)
    }

    fn decode(event: &RecordedEvent) -> Result<Option<Self>, DecodeError> {
        SCHEMA.decode_or_fail(event)
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Sum(u32);

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("it is full")]
struct Full;

impl Aggregate for Sum {
    type Event = Event;
    type Command = u32;
    type Rejection = Full;

    const TYPE: &'static str = "sum";

    fn initial() -> Self {
        Self(0)
    }

    fn evolve(self, event: &Event) -> Self {
        match event {
            Event::Added { count } => Self(self.0 + count),
            Event::Lost | Event::NotDeclared => self,
        }
    }

    fn decide(&self, command: &u32) -> Result<Vec<Event>, Full> {
        match self.0 + command {
            0..10 if *command == 0 => Ok(vec![]),
            0..10 => Ok(vec![Event::Added { count: *command }]),
            _ => Err(Full),
        }
    }
}

#[test]
fn what_holds_passes() {
    let then = given::<Sum>([Event::Added { count: 2 }])
        .and([Event::Added { count: 1 }])
        .when(&5)
        .then([Event::Added { count: 5 }])
        .and_again_then_nothing_new();
    assert_eq!(then.state(), &Sum(8));
    then.going_on().when(&2).then_rejected(&Full);
    given_nothing::<Sum>().when(&0).then_nothing();
    assert!(given_nothing::<Sum>().when(&10).decision().is_err());
}

#[test]
#[should_panic(expected = "the command leads to other events")]
fn other_events_are_noticed() {
    let _then = given_nothing::<Sum>().when(&1).then([Event::Added { count: 2 }]);
}

#[test]
#[should_panic(expected = "the command is rejected: it is full")]
fn a_rejection_is_noticed() {
    let _then = given_nothing::<Sum>().when(&10).then_nothing();
}

#[test]
#[should_panic(expected = "the command is accepted, and leads to [Added { count: 1 }]")]
fn an_acceptance_is_noticed() {
    given_nothing::<Sum>().when(&1).then_rejected(&Full);
}

#[test]
#[should_panic(expected = "given again, the command leads to [Added { count: 1 }]")]
fn a_command_that_does_it_again_is_noticed() {
    let then = given_nothing::<Sum>().when(&1).then([Event::Added { count: 1 }]);
    let _then = then.and_again_then_nothing_new();
}

#[test]
#[should_panic(expected = "NotDeclared cannot be stored")]
fn an_event_that_cannot_be_stored_is_noticed() {
    let _given = given::<Sum>([Event::NotDeclared]);
}

#[test]
#[should_panic(expected = "Lost cannot be read back")]
fn an_event_that_cannot_be_read_is_noticed() {
    let _given = given::<Sum>([Event::Lost]);
}

#[test]
fn stored_events_of_any_version_are_read() {
    let read = |version| read_stored::<Event>("Added", version, json!({"count": 3}));
    assert_eq!(read(1).unwrap(), Some(Event::Added { count: 3 }));
    assert!(read(2).is_err());
}

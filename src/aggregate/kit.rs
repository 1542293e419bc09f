//! Given, when, then: tests of aggregates that read like the rules.
//!
//! No store is needed. Every event that is given or comes out also makes the way to its stored form
//! and back, so that a test of a rule finds an event that cannot be stored as well.
//!
//! ```
//! # use cosmos_event_store::aggregate::{Aggregate, DecodeError, DomainEvent, EncodeError, EventSchema};
//! # use cosmos_event_store::{NewEvent, RecordedEvent};
//! # #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
//! # enum DoorEvent { Opened, Closed }
//! # static SCHEMA: EventSchema = EventSchema::new(&[("Opened", 1), ("Closed", 1)]);
//! # impl DomainEvent for DoorEvent {
//! #     fn encode(&self) -> Result<NewEvent, EncodeError> { SCHEMA.encode(self) }
//! #     fn decode(event: &RecordedEvent) -> Result<Option<Self>, DecodeError> { SCHEMA.decode_or_fail(event) }
//! # }
//! # #[derive(Debug, Clone, PartialEq)]
//! # struct Door { is_open: bool }
//! # enum Command { Open }
//! # impl Aggregate for Door {
//! #     type Event = DoorEvent;
//! #     type Command = Command;
//! #     type Rejection = std::fmt::Error;
//! #     const TYPE: &'static str = "door";
//! #     fn initial() -> Self { Self { is_open: false } }
//! #     fn evolve(self, event: &DoorEvent) -> Self { Self { is_open: *event == DoorEvent::Opened } }
//! #     fn decide(&self, _: &Command) -> Result<Vec<DoorEvent>, std::fmt::Error> {
//! #         Ok(if self.is_open { vec![] } else { vec![DoorEvent::Opened] })
//! #     }
//! # }
//! use cosmos_event_store::aggregate::kit::given;
//!
//! given::<Door>([DoorEvent::Opened, DoorEvent::Closed])
//!     .when(&Command::Open)
//!     .then([DoorEvent::Opened])
//!     .and_again_then_nothing_new();
//! ```
#![allow(clippy::panic, reason = "a kit for tests says by a panic what is wrong")]

use std::fmt::Debug;

use jiff::Timestamp;
use serde_json::Value;

use super::{Aggregate, DecodeError, DomainEvent, foresight::Foresight};
use crate::event::{NewEvent, RecordedEvent};

/// The stream that the events of a test are in.
const STREAM: &str = "given-1";

/// What has happened before.
#[derive(Debug, Clone)]
#[must_use = "nothing is checked before a `then`"]
pub struct Given<A> {
    state: A,
    events: u64,
}

/// What a command leads to.
#[must_use = "nothing is checked before a `then`"]
pub struct When<'a, A: Aggregate> {
    before: Given<A>,
    command: &'a A::Command,
    decision: Result<Vec<A::Event>, A::Rejection>,
}

/// What holds afterwards.
pub struct Then<'a, A: Aggregate> {
    after: Given<A>,
    command: &'a A::Command,
}

/// These events have happened, oldest first.
///
/// # Panics
///
/// When an event cannot be stored, or comes back differently.
#[track_caller]
pub fn given<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> Given<A>
where
    A::Event: PartialEq + Debug,
{
    Given { state: A::initial(), events: 0 }.and(events)
}

/// Nothing has happened yet.
pub fn given_nothing<A: Aggregate>() -> Given<A> {
    Given { state: A::initial(), events: 0 }
}

impl<A: Aggregate> Given<A> {
    /// These events have happened as well.
    ///
    /// # Panics
    ///
    /// When an event cannot be stored, or comes back differently.
    #[track_caller]
    pub fn and(mut self, events: impl IntoIterator<Item = A::Event>) -> Self
    where
        A::Event: PartialEq + Debug,
    {
        for event in events {
            self.events = self.events.saturating_add(1);
            let stored = match event.encode() {
                Ok(new) => recorded(&new, self.events),
                Err(error) => panic!("{event:?} cannot be stored: {error}"),
            };
            match A::Event::decode(&stored) {
                Ok(Some(read)) => assert_eq!(read, event, "the event comes back differently"),
                Ok(None) => panic!("{event:?} is skipped when it is read"),
                Err(error) => panic!("{event:?} cannot be read back: {error}"),
            }
            self.state = self.state.evolve(&event);
        }
        self
    }

    /// The command is given.
    pub fn when(self, command: &A::Command) -> When<'_, A> {
        let decision = self.state.decide(command);
        When { before: self, command, decision }
    }

    /// The state that the events lead to.
    pub fn state(&self) -> &A {
        &self.state
    }
}

impl<'a, A: Aggregate> When<'a, A> {
    /// It leads to exactly these events.
    ///
    /// # Panics
    ///
    /// When it leads to others, or is rejected.
    #[track_caller]
    pub fn then(self, events: impl IntoIterator<Item = A::Event>) -> Then<'a, A>
    where
        A::Event: PartialEq + Debug,
    {
        let expected: Vec<A::Event> = events.into_iter().collect();
        match self.decision {
            Ok(decided) => assert_eq!(decided, expected, "the command leads to other events"),
            Err(rejection) => panic!("the command is rejected: {rejection}"),
        }
        Then { after: self.before.and(expected), command: self.command }
    }

    /// It is accepted, and there is nothing to do.
    ///
    /// # Panics
    ///
    /// When it leads to events, or is rejected.
    #[track_caller]
    pub fn then_nothing(self) -> Then<'a, A>
    where
        A::Event: PartialEq + Debug,
    {
        self.then([])
    }

    /// It is rejected for this reason.
    ///
    /// # Panics
    ///
    /// When it is accepted, or rejected for another reason.
    #[track_caller]
    pub fn then_rejected(self, rejection: &A::Rejection)
    where
        A::Event: Debug,
        A::Rejection: PartialEq,
    {
        match self.decision {
            Ok(events) => panic!("the command is accepted, and leads to {events:?}"),
            Err(actual) => assert_eq!(actual, *rejection, "it is rejected for another reason"),
        }
    }

    /// What was decided, to look at.
    ///
    /// # Errors
    ///
    /// The rule that the command would break.
    pub fn decision(self) -> Result<Vec<A::Event>, A::Rejection> {
        self.decision
    }
}

impl<A: Aggregate> Then<'_, A> {
    /// The same command, given again, leads to nothing new: it finds nothing to do, or is rejected. The
    /// repository then looks for the events of the first time, and answers with those.
    ///
    /// # Panics
    ///
    /// When it leads to events again.
    #[track_caller]
    #[allow(clippy::return_self_not_must_use, reason = "a test may well end here")]
    pub fn and_again_then_nothing_new(self) -> Self
    where
        A::Event: Debug,
    {
        if let Ok(events) = self.after.state.decide(self.command)
            && !events.is_empty()
        {
            panic!("given again, the command leads to {events:?}");
        }
        self
    }

    /// The state that all of it leads to.
    pub fn state(&self) -> &A {
        &self.after.state
    }

    /// Goes on from here.
    pub fn going_on(self) -> Given<A> {
        self.after
    }
}

impl<A: Aggregate + Debug> Debug for When<'_, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("When").field("before", &self.before).finish_non_exhaustive()
    }
}

impl<A: Aggregate + Debug> Debug for Then<'_, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Then").field("after", &self.after).finish_non_exhaustive()
    }
}

/// Reads data of any version as the program does: for fixtures of old events.
///
/// # Errors
///
/// [`DecodeError`], as the program would report it.
///
/// # Panics
///
/// When no event can have this type, version or data.
#[track_caller]
pub fn read_stored<E: DomainEvent>(
    event_type: &str,
    schema_version: u32,
    data: Value,
) -> Result<Option<E>, DecodeError> {
    let new =
        NewEvent::new(event_type, data).and_then(|event| event.with_schema_version(schema_version));
    match new {
        Ok(new) => E::decode(&recorded(&new, 1)),
        Err(error) => panic!("no event can be like this: {error}"),
    }
}

/// The event as if it had been stored at a place.
#[track_caller]
pub(super) fn recorded(event: &NewEvent, sequence_number: u64) -> RecordedEvent {
    let foresight = Foresight {
        stream: STREAM,
        aggregate_type: "given",
        first: sequence_number,
        recorded_at: Timestamp::UNIX_EPOCH,
    };
    match foresight.recorded(std::slice::from_ref(event)).pop() {
        Some(recorded) => recorded,
        None => panic!("one event comes to none"),
    }
}

#[cfg(test)]
mod tests;

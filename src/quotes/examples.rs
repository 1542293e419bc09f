//! Commands and events for tests.

use jiff::{SignedDuration, Timestamp};

use crate::event::{Commit, Fields, NewEvent, RecordedEvent, content_hash};

use super::{
    Action, ActionKind, Actor, Change, ContactInput, FamilyInput, FinalizeInput, GeographicInput,
    PremiumInput, QuoteCommand, QuoteEvent, Reason, stored,
};

/// A time, by the hours after the first of them.
pub(super) fn at(hour: i64) -> Timestamp {
    let begin: Timestamp = "2026-11-20T10:00:00.123456Z".parse().unwrap();
    begin + SignedDuration::from_hours(hour)
}

#[allow(clippy::unnecessary_wraps, reason = "every field of an input is optional")]
pub(super) fn owned(text: &str) -> Option<String> {
    Some(text.to_owned())
}

pub(super) fn geographic() -> GeographicInput {
    GeographicInput {
        country: owned("IN"),
        state: owned("KA"),
        city: owned("Bengaluru"),
        zip_code: owned("560001"),
    }
}

pub(super) fn contact() -> ContactInput {
    ContactInput {
        first_name: owned("Asha"),
        last_name: owned("Rao"),
        email: owned("asha.rao@example.com"),
        phone: owned("+91 00000 12345"),
    }
}

pub(super) fn family() -> FamilyInput {
    FamilyInput { dependants: Some(3), children: Some(2), child_ages: Some(vec![4, 9]) }
}

pub(super) fn offer() -> FinalizeInput {
    let premium =
        PremiumInput { amount: Some(32_400), currency: owned("INR"), period: owned("year") };
    FinalizeInput { sum_insured: Some(1_800_000), premium: Some(premium) }
}

pub(super) fn reason() -> Reason {
    Reason::new("too expensive").unwrap()
}

/// An action of a kind, always the same.
pub(super) fn action(kind: ActionKind) -> Action {
    match kind {
        ActionKind::Initiate => Action::Initiate { product: None, channel: None },
        ActionKind::SetGeographic => geographic().try_into().unwrap(),
        ActionKind::SetContact => contact().try_into().unwrap(),
        ActionKind::SetFamily => family().try_into().unwrap(),
        ActionKind::Save => Action::Save { page: None },
        ActionKind::Finalize => offer().try_into().unwrap(),
        ActionKind::Approve => Action::Approve { policy_number: None },
        ActionKind::Reject => Action::Reject { reason: reason() },
        ActionKind::Withdraw => Action::Withdraw { reason: Some(reason()) },
        ActionKind::Expire => Action::Expire,
    }
}

/// A command of the customer at an hour.
pub(super) fn command(hour: i64, action: Action) -> QuoteCommand {
    QuoteCommand { by: Actor::new("customer").unwrap(), at: at(hour), action }
}

/// An event by the customer at an hour.
pub(super) fn event(hour: i64, change: Change) -> QuoteEvent {
    QuoteEvent { by: Actor::new("customer").unwrap(), at: at(hour), change }
}

/// What [`action`] of a kind leads to, where it leads to something.
pub(super) fn change(kind: ActionKind) -> Change {
    match kind {
        ActionKind::Initiate => Change::QuoteInitiated { product: None, channel: None },
        ActionKind::SetGeographic => Change::GeographicDetailsSet(stored::Geographic {
            country: "IN".to_owned(),
            state: owned("KA"),
            city: "Bengaluru".to_owned(),
            zip_code: owned("560001"),
        }),
        ActionKind::SetContact => Change::ContactDetailsSet(stored::Contact {
            first_name: "Asha".to_owned(),
            last_name: "Rao".to_owned(),
            email: "asha.rao@example.com".to_owned(),
            phone: "+910000012345".to_owned(),
        }),
        ActionKind::SetFamily => Change::FamilyDetailsSet(stored::Family {
            dependants: 3,
            children: 2,
            child_ages: vec![4, 9],
        }),
        ActionKind::Save => Change::QuoteSaved { page: None },
        ActionKind::Finalize => Change::QuoteFinalized(stored::Offer {
            sum_insured: Some(1_800_000),
            premium: Some(stored::Premium {
                amount: 32_400,
                currency: "INR".to_owned(),
                period: "year".to_owned(),
            }),
        }),
        ActionKind::Approve => Change::QuoteApproved { policy_number: None },
        ActionKind::Reject => Change::QuoteRejected { reason: "too expensive".to_owned() },
        ActionKind::Withdraw => Change::QuoteWithdrawn { reason: owned("too expensive") },
        ActionKind::Expire => Change::QuoteExpired { after_days: 14 },
    }
}

/// The events that such actions lead to, an hour after each other, the first at 0.
pub(super) fn events(kinds: &[ActionKind]) -> Vec<QuoteEvent> {
    (0..).zip(kinds).map(|(hour, kind)| event(hour, change(*kind))).collect()
}

/// The event as if it had been stored in a place.
pub(super) fn recorded(event: &NewEvent, sequence_number: u64) -> RecordedEvent {
    recorded_in("q-1", event, sequence_number)
}

/// The event as if it had been stored in a place of a stream.
pub(super) fn recorded_in(stream: &str, event: &NewEvent, sequence_number: u64) -> RecordedEvent {
    let (name, version) = (event.event_type(), event.schema_version());
    RecordedEvent::new(Fields {
        stream: stream.to_owned(),
        aggregate_type: "quote".to_owned(),
        sequence_number,
        id: event.id(),
        event_type: name.clone(),
        schema_version: version,
        data: event.data().clone(),
        metadata: event.metadata().clone(),
        occurred_at: event.occurred_at().unwrap_or_else(|| at(0)),
        recorded_at: at(0),
        commit: Commit { first: sequence_number, size: 1 },
        content_hash: content_hash(&mut String::new(), name.as_str(), version, event.data()),
    })
}

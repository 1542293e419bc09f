//! Projections that work for any log: what there is of each stream, and of each type of events.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Adds, Definition, Totals, Unreadable, ViewKey, Views, order::push_digest};
use crate::event::{RecordedEvent, format_timestamp, parse_timestamp};

/// The characters of a type that are the key of its total; a longer one ends with its hash instead.
const TYPE_CHARACTERS_MAX: usize = 96;

/// A view for each stream: how many events it has, from when to when, and which was the last.
#[derive(Debug, Clone, Copy, Default)]
pub struct StreamSummary;

/// What there is of a stream. Times are those at which the events happened, as their callers said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct StreamSummaryView {
    /// The type of its aggregate, by its first event.
    pub aggregate_type: String,
    /// How many events it has.
    pub events: u64,
    /// When the first event happened.
    pub first_at: String,
    /// When the last event happened.
    pub last_at: String,
    /// The type of the last event.
    pub last_type: String,
    /// The time from the first to the last event, in milliseconds.
    pub duration_ms: i64,
}

impl StreamSummary {
    /// Its name.
    pub const NAME: &'static str = "stream-summary";
}

impl Views for StreamSummary {
    type Event = ();
    type View = StreamSummaryView;

    fn definition(&self) -> Definition {
        Definition::new(Self::NAME, 1)
            .with_field("aggregateType", "/aggregateType")
            .with_field("lastType", "/lastType")
            .with_field("lastAt", "/lastAt")
            .with_field("events", "/events")
    }

    fn decode(&self, _: &RecordedEvent) -> Result<Option<()>, Unreadable> {
        Ok(Some(()))
    }

    fn change(
        &self,
        _: &ViewKey,
        view: Option<StreamSummaryView>,
        (): &(),
        recorded: &RecordedEvent,
    ) -> Option<StreamSummaryView> {
        let at = format_timestamp(recorded.occurred_at());
        let view = view.unwrap_or_else(|| StreamSummaryView {
            aggregate_type: recorded.aggregate_type().to_owned(),
            events: 0,
            first_at: at.clone(),
            last_at: at.clone(),
            last_type: String::new(),
            duration_ms: 0,
        });
        let first = parse_timestamp(&view.first_at).map(jiff::Timestamp::as_millisecond);
        let last = recorded.occurred_at().as_millisecond();
        Some(StreamSummaryView {
            events: view.events.saturating_add(1),
            last_at: at,
            last_type: recorded.event_type().to_string(),
            duration_ms: last.saturating_sub(first.unwrap_or(last)),
            ..view
        })
    }
}

/// A total for each type of events: how many there are, in how many streams, and from when to when.
#[derive(Debug, Clone, Copy, Default)]
pub struct TypeTotals;

/// What a stream has of a type of events.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TypeState {
    events: i64,
    first_at: String,
    last_at: String,
}

impl TypeTotals {
    /// Its name.
    pub const NAME: &'static str = "type-totals";
}

impl Totals for TypeTotals {
    type Event = ();
    type State = BTreeMap<String, TypeState>;

    fn definition(&self) -> Definition {
        // There are few types, and a list asks every shard.
        Definition::new(Self::NAME, 1).sharded(4)
    }

    fn decode(&self, _: &RecordedEvent) -> Result<Option<()>, Unreadable> {
        Ok(Some(()))
    }

    fn evolve(&self, mut state: Self::State, (): &(), recorded: &RecordedEvent) -> Self::State {
        let at = format_timestamp(recorded.occurred_at());
        let event_type = recorded.event_type().as_str();
        if let Some(of_type) = state.get_mut(event_type) {
            of_type.events = of_type.events.saturating_add(1);
            of_type.first_at = of_type.first_at.clone().min(at.clone());
            of_type.last_at = of_type.last_at.clone().max(at);
        } else {
            let of_type = TypeState { events: 1, first_at: at.clone(), last_at: at };
            state.insert(event_type.to_owned(), of_type);
        }
        state
    }

    fn adds(&self, _: &str, state: &Self::State) -> Adds {
        let mut adds = Adds::default();
        for (event_type, of_type) in state {
            adds.to(key(event_type))
                .count("events", of_type.events)
                .min("firstAt", of_type.first_at.as_str())
                .max("lastAt", of_type.last_at.as_str());
        }
        adds
    }
}

/// A type as the key of a total: types may be longer than keys.
fn key(event_type: &str) -> String {
    if event_type.chars().count() <= TYPE_CHARACTERS_MAX {
        return event_type.to_owned();
    }
    let mut key: String = event_type.chars().take(TYPE_CHARACTERS_MAX).collect();
    key.push('~');
    push_digest(&mut key, event_type);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_types_have_keys_of_their_own() {
        assert_eq!(key("A_SUBMITTED"), "A_SUBMITTED");
        let long = |end: &str| key(&format!("{}{end}", "t".repeat(255)));
        assert_eq!(long("a").chars().count(), TYPE_CHARACTERS_MAX + 17);
        assert_ne!(long("a"), long("b"));
    }
}

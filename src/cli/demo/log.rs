//! The quotes of a demonstration: what is appended, and what must come of it.

use std::collections::BTreeMap;

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};

use crate::{
    cli::{CliError, sample},
    event::{BadInput, Metadata, NewEvent},
    store::EventStore,
    stream::ExpectedVersion,
};

/// The events that are taken together: those of one quote among them are appended at once.
const WINDOW: usize = 64;
/// The appends that are under way at the same time.
const AT_ONCE: usize = 32;

/// Events in the order of their times.
#[derive(Debug)]
pub(super) struct Log {
    events: Vec<(String, NewEvent)>,
    appended: usize,
}

/// What must come of the events: counted without any projection.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Expected {
    /// Streams with events.
    pub(super) streams: u64,
    /// Events by their type.
    pub(super) types: BTreeMap<String, u64>,
    /// Streams by the type of their last event.
    pub(super) last_types: BTreeMap<String, u64>,
    /// Quotes by their status.
    pub(super) statuses: BTreeMap<String, u64>,
}

impl Log {
    /// Made-up quotes.
    pub(super) fn new(quotes: u32, seed: u64) -> Result<Self, BadInput> {
        let event = |(quote, _, event): (u32, u64, sample::Event)| {
            let metadata = Metadata::from_json(&event.metadata.to_string())?;
            let new = NewEvent::new(event.name, event.data)?;
            let new = new.with_metadata(metadata)?.with_occurred_at(event.time)?;
            Ok((sample::stream(quote), new))
        };
        let events = sample::events(quotes, seed).into_iter().map(event);
        Ok(Self { events: events.collect::<Result<_, BadInput>>()?, appended: 0 })
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    /// What must come of all of them.
    pub(super) fn expected(&self) -> Expected {
        let mut expected = Expected::default();
        let (mut last, mut statuses) = (BTreeMap::new(), BTreeMap::new());
        for (stream, event) in &self.events {
            let name = event.event_type().to_string();
            let count = expected.types.entry(name.clone()).or_default();
            *count = count.saturating_add(1);
            if let Some(status) = status(&name) {
                statuses.insert(stream.as_str(), status);
            }
            last.insert(stream.as_str(), name);
        }
        expected.streams = u64::try_from(last.len()).unwrap_or(u64::MAX);
        for name in last.into_values() {
            let count = expected.last_types.entry(name).or_default();
            *count = count.saturating_add(1);
        }
        for status in statuses.into_values() {
            let count = expected.statuses.entry(status.to_owned()).or_default();
            *count = count.saturating_add(1);
        }
        expected
    }

    /// Appends what is still missing up to so many percent of the events. Says how many these were.
    pub(super) async fn append(
        &mut self,
        store: &EventStore,
        percent: usize,
    ) -> Result<usize, CliError> {
        let end = self.len().saturating_mul(percent).checked_div(100).unwrap_or_default();
        let part = self.events.get(self.appended..end).unwrap_or_default();
        for window in part.chunks(WINDOW) {
            let mut streams: BTreeMap<&str, Vec<NewEvent>> = BTreeMap::new();
            for (stream, event) in window {
                streams.entry(stream).or_default().push(event.clone());
            }
            let appends: Vec<_> = streams
                .into_iter()
                .map(|(stream, events)| {
                    async move {
                        store.append(stream, ExpectedVersion::Any, events).await.map(|_| ())
                    }
                    .boxed()
                })
                .collect();
            stream::iter(appends).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
        }
        let count = part.len();
        self.appended = self.appended.max(end);
        Ok(count)
    }
}

/// The status of a quote after an event of this type; nothing where it stays what it was.
fn status(event_type: &str) -> Option<&'static str> {
    Some(match event_type {
        "QuoteInitiated" => "initiated",
        "QuoteSaved" => "saved",
        "QuoteFinalized" => "finalized",
        "QuoteApproved" => "approved",
        "QuoteRejected" => "rejected",
        "QuoteWithdrawn" => "withdrawn",
        "QuoteExpired" => "expired",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_come_of_the_events_is_counted() {
        let log = Log::new(40, 1).unwrap();
        let expected = log.expected();
        assert_eq!(expected.streams, 40);
        assert_eq!(expected.types.get("QuoteInitiated"), Some(&40));
        let events = u64::try_from(log.len()).unwrap();
        assert_eq!(expected.types.values().sum::<u64>(), events);
        assert_eq!(expected.last_types.values().sum::<u64>(), 40);
        assert_eq!(expected.statuses.values().sum::<u64>(), 40);
    }
}

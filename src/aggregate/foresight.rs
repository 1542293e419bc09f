//! Events as they will be stored, before they are: what is decided is read back and folded first.

use jiff::Timestamp;

use crate::event::{Commit, Fields, NewEvent, RecordedEvent, content_hash};

/// Where and when the events of one append will be stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Foresight<'a> {
    pub(super) stream: &'a str,
    pub(super) aggregate_type: &'a str,
    pub(super) first: u64,
    pub(super) recorded_at: Timestamp,
}

impl Foresight<'_> {
    /// The events as a read would give them.
    pub(super) fn recorded(self, events: &[NewEvent]) -> Vec<RecordedEvent> {
        let size = u64::try_from(events.len()).unwrap_or(u64::MAX);
        let mut scratch = String::new();
        let recorded = |(event, sequence_number): (&NewEvent, u64)| {
            let (name, version) = (event.event_type(), event.schema_version());
            let hash = content_hash(&mut scratch, name.as_str(), version, event.data());
            RecordedEvent::new(Fields {
                stream: self.stream.to_owned(),
                aggregate_type: self.aggregate_type.to_owned(),
                sequence_number,
                id: event.id(),
                event_type: name.clone(),
                schema_version: version,
                data: event.data().clone(),
                metadata: event.metadata().clone(),
                occurred_at: event.occurred_at().unwrap_or(self.recorded_at),
                recorded_at: self.recorded_at,
                commit: Commit { first: self.first, size },
                content_hash: hash,
            })
        };
        events.iter().zip(self.first..).map(recorded).collect()
    }
}

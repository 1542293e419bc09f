//! What has happened to each quote: the audit trail.

use serde::{Deserialize, Serialize};

use super::{decode, definition};
use crate::{
    event::RecordedEvent,
    projection::{Definition, Unreadable, ViewKey, Views},
    quotes::{HistoryEntry, QuoteEvent, Status},
};

/// The most entries of a view. A quote has some ten events; one that was made to have more keeps the newest of
/// them here, and all of them in the store.
pub const HISTORY_ENTRIES_MAX: usize = 500;

/// A view for each quote: who did what, when, and where that led.
#[derive(Debug, Clone, Copy, Default)]
pub struct QuoteHistory;

/// The newest events of a quote, oldest first and without their data.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct QuoteHistoryView {
    /// The sequence number of the last event that is not among the entries, 0 where all are.
    pub omitted: u64,
    /// The events, at most [`HISTORY_ENTRIES_MAX`].
    pub entries: Vec<HistoryEntry>,
}

impl QuoteHistory {
    /// Its name.
    pub const NAME: &'static str = "quote-history";
}

impl Views for QuoteHistory {
    type Event = QuoteEvent;
    type View = QuoteHistoryView;

    fn definition(&self) -> Definition {
        definition(Self::NAME, 1)
    }

    fn decode(&self, event: &RecordedEvent) -> Result<Option<QuoteEvent>, Unreadable> {
        decode(event)
    }

    fn change(
        &self,
        _: &ViewKey,
        view: Option<QuoteHistoryView>,
        event: &QuoteEvent,
        recorded: &RecordedEvent,
    ) -> Option<QuoteHistoryView> {
        let mut view = view.unwrap_or_default();
        let before = view.entries.last().map_or(Status::Absent, |last| last.to_status);
        if view.entries.len() >= HISTORY_ENTRIES_MAX {
            view.omitted = view.entries.remove(0).sequence_number;
        }
        view.entries.push(HistoryEntry::new(recorded.sequence_number(), event, before));
        Some(view)
    }
}

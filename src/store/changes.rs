//! What is stored, in the order in which it was stored: the change feed of all streams.
//!
//! - The events of one stream come in their order, and those of one append in one page. There is no order
//!   between streams of different partitions, which take turns.
//! - A continuation lies exactly behind what was given: whoever goes on there misses nothing. Nothing comes
//!   twice either, so whoever stores it together with what was made of the events has each of them made into
//!   it exactly once.
//! - It survives splits of partitions. After a merge it does where the service reads parts of a partition,
//!   and is refused where it does not. One of another store is refused.
//!
//! Nothing is remembered here: where to go on is kept by whoever reads.

mod continuation;

use std::time::Duration;

use futures::StreamExt as _;
use serde_json::value::RawValue;

pub use self::continuation::CONTINUATION_BYTES_MAX;
pub(crate) use self::continuation::{Mark, Place, Position};
use self::continuation::{Witness, WriteId, read, write};
use super::{
    EventStore,
    cosmos::{Answered, Change, ChangePages, ChangesStart, FoundChanges},
    document::read_event,
    error::{BadContinuation, ReadError},
    usage::Usage,
};
use crate::{event::RecordedEvent, stream::item_id, telemetry::OperationKind};

/// How often it is looked for the event that a continuation names before it counts as one of another store:
/// a replica that is asked may be a moment behind.
const WITNESS_LOOKS_MAX: u32 = 3;
/// How long to wait between two looks.
const WITNESS_PAUSE: Duration = Duration::from_millis(200);

/// Where to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangesFrom {
    /// With the first event that was ever stored.
    Beginning,
    /// Behind what is stored when the first page is asked for.
    Now,
    /// Where a page had ended: its [`continuation`](ChangesPage::continuation).
    Continuation(String),
}

/// The change feed of a store.
#[derive(Debug)]
pub struct Changes {
    store: EventStore,
    pages: ChangePages,
    /// The last event that was given, or another one of this store.
    witness: Option<Witness>,
    /// What was taken before the first page.
    spent: Usage,
}

/// A page of the change feed.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ChangesPage {
    /// The events, those of one stream in their order. None means that everything which was stored
    /// has been delivered: wait a little before asking again.
    pub events: Vec<RecordedEvent>,
    /// What the page took.
    pub usage: Usage,
    /// Where each of the events is, and what wrote it.
    places: Vec<(Mark, Option<WriteId>)>,
    before: Position,
    after: Position,
    /// An event from before the page.
    witness: Option<Witness>,
}

impl ChangesPage {
    /// Where to go on behind the page, for [`ChangesFrom::Continuation`]. It names every partition and has
    /// about 500 bytes for each; one that is longer than [`CONTINUATION_BYTES_MAX`] is not taken back. It
    /// has only characters that mean nothing in a URL. The id of the last event's stream is in it.
    pub fn continuation(&self) -> String {
        let last = self.events.len().checked_sub(1).and_then(|last| self.witness(last));
        write(&self.after, last.as_ref().or(self.witness.as_ref()))
    }

    /// The event with this index as a witness.
    fn witness(&self, index: usize) -> Option<Witness> {
        let (_, write) = self.places.get(index)?;
        Some(Witness::new(self.events.get(index)?, write.clone()?))
    }

    /// Where to go on behind the event with this index in [`events`](Self::events); behind the last one, or
    /// an index beyond, it is [`continuation`](Self::continuation). What the page has up to there is read
    /// again and left out.
    pub fn continuation_behind(&self, index: usize) -> String {
        let next = index.saturating_add(1);
        match self.places.get(index) {
            Some((mark, _)) if next < self.places.len() => {
                let mut position = self.before.clone();
                // The page is of the place whose turn it was.
                if let Some(place) = position.places.first_mut() {
                    place.given = Some(*mark);
                }
                write(&position, self.witness(index).as_ref().or(self.witness.as_ref()))
            }
            _ => self.continuation(),
        }
    }
}

impl EventStore {
    /// Opens the change feed of all streams, with pages of as many events as the store's other pages.
    ///
    /// No request for the beginning; a query for now; a point read for a continuation.
    ///
    /// # Errors
    ///
    /// [`ReadError::Continuation`] for a continuation that cannot be used, and [`ReadError::Store`].
    pub async fn changes(&self, from: ChangesFrom) -> Result<Changes, ReadError> {
        self.changes_in_pages(from, self.page_events()).await
    }

    /// Like [`changes`](Self::changes), with pages of at most so many events; 0 counts as 1. A page has more
    /// when it ends with an append of several events, which is not torn apart.
    ///
    /// # Errors
    ///
    /// As [`changes`](Self::changes).
    pub async fn changes_in_pages(
        &self,
        from: ChangesFrom,
        page_events: u32,
    ) -> Result<Changes, ReadError> {
        let mut spent = Usage::default();
        let (start, witness) = match from {
            ChangesFrom::Beginning => (ChangesStart::Beginning, None),
            ChangesFrom::Now => (ChangesStart::Now, self.any_event(&mut spent).await?),
            ChangesFrom::Continuation(text) => {
                let (position, witness) = read(&text)?;
                if let Some(witness) = &witness {
                    self.confirm(witness, &mut spent).await?;
                }
                (ChangesStart::At(position), witness)
            }
        };
        let pages = Box::pin(self.connection().changes(start, page_events)).await?;
        Ok(Changes { store: self.clone(), pages, witness, spent })
    }

    /// An event of this store, if it has one.
    async fn any_event(&self, spent: &mut Usage) -> Result<Option<Witness>, ReadError> {
        let mut pages = self.streams().page_events(1).pages();
        // A page may be empty without being the last.
        while let Some(page) = pages.next().await {
            let page = page?;
            *spent += page.usage;
            let Some(event) = page.first_events.first() else { continue };
            let found = self.find(event.stream(), event.sequence_number(), spent).await?;
            return Ok(found.and_then(|(event, document)| {
                Some(Witness::new(&event, WriteId::of(&document)?))
            }));
        }
        Ok(None)
    }

    /// Whether this store has the event.
    async fn confirm(&self, witness: &Witness, spent: &mut Usage) -> Result<(), ReadError> {
        for look in 1..=WITNESS_LOOKS_MAX {
            match self.find(&witness.stream, witness.sequence_number, spent).await? {
                Some((event, document)) if witness.is(&event, &document) => return Ok(()),
                Some(_) => break,
                None if look < WITNESS_LOOKS_MAX => tokio::time::sleep(WITNESS_PAUSE).await,
                None => {}
            }
        }
        Err(BadContinuation::Elsewhere.into())
    }

    /// An event with its document.
    async fn find(
        &self,
        stream: &str,
        sequence_number: u64,
        spent: &mut Usage,
    ) -> Result<Option<(RecordedEvent, Box<RawValue>)>, ReadError> {
        let meter = self.meter(OperationKind::ReadEvent, "");
        let id = item_id(sequence_number);
        let Answered { value, usage, .. } = self.connection().read_item(stream, &id, None).await;
        *spent += usage;
        let found = value.map_err(ReadError::from).and_then(|document| {
            let Some(document) = document else { return Ok(None) };
            Ok(Some((read_event(Some(stream), &document)?, document)))
        });
        let bytes = found.iter().flatten().map(|(_, document)| document.get().len()).sum();
        meter.report(&found, usage, found.iter().flatten().count(), bytes);
        found
    }
}

impl Changes {
    /// The next page, also when there is nothing new. About 1 RU and one round trip for each
    /// partition that has to be asked.
    ///
    /// # Errors
    ///
    /// [`ReadError`]; after one, the feed is over.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, its page is lost: open the feed again.
    pub async fn next_page(&mut self) -> Result<ChangesPage, ReadError> {
        let store = self.store.clone();
        let meter = store.meter(OperationKind::ChangesPage, "");
        let (mut usage, mut bytes) = (Usage::default(), 0_usize);
        let page = loop {
            let Answered { value, usage: taken, .. } = Box::pin(self.pages.next()).await;
            usage += taken;
            let found = match value {
                Ok(found) => found,
                Err(error) => break Err(error),
            };
            for change in &found.changes {
                bytes = bytes.saturating_add(change.document.get().len());
            }
            let is_idle = found.changes.is_empty();
            match self.page(found) {
                // All of it was given before: that does not mean that there is no more.
                Ok(page) if page.events.is_empty() && !is_idle => {}
                page => break page,
            }
        };
        meter.report(&page, usage, page.as_ref().map_or(0, |page| page.events.len()), bytes);
        usage += std::mem::take(&mut self.spent);
        page.map(|page| ChangesPage { usage, ..page })
    }

    fn page(&mut self, found: FoundChanges) -> Result<ChangesPage, ReadError> {
        let FoundChanges { changes, before, after, given } = found;
        let mut placed = Vec::with_capacity(changes.len());
        for Change { lsn, document } in changes {
            let event = read_event(None, &document)?;
            let mark = Mark { lsn, sequence_number: event.sequence_number() };
            // What was given before the reader went on in the middle of a page.
            if given.is_none_or(|given| given < mark) {
                placed.push(((mark, WriteId::of(&document)), event));
            }
        }
        // The service may deliver the events of one transaction in any order.
        placed.sort_by_key(|((mark, _), _)| *mark);
        let (places, events): (Vec<_>, Vec<_>) = placed.into_iter().unzip();
        let (usage, witness) = (Usage::default(), self.witness.clone());
        let page = ChangesPage { events, usage, places, before, after, witness };
        let last = page.events.len().checked_sub(1).and_then(|last| page.witness(last));
        self.witness = last.or(self.witness.take());
        Ok(page)
    }
}

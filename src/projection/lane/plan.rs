//! What a run does to the documents of its stream: pure.

use std::sync::Arc;

use super::{
    super::{
        Adds, Document, Projection, ViewKey,
        document::{Guard, Kind, own_id, part_id},
        fold::{Before, Data, FoldFault, Folded},
        totals::Measures,
    },
    Run, Verdict,
    cache::Slot,
};
use crate::event::RecordedEvent;

/// Which events of a run are new.
#[derive(Debug)]
pub(in crate::projection) struct Planned {
    pub(in crate::projection) events: Vec<Arc<RecordedEvent>>,
    /// Up to where the stream is covered with them.
    pub(in crate::projection) covered: u64,
    /// Events that are in the read model already.
    pub(in crate::projection) repeats: usize,
    /// Whether some are left for another time.
    pub(in crate::projection) is_part: bool,
}

/// What changes with a run.
#[derive(Debug)]
pub(in crate::projection) struct Prepared {
    /// The documents of the stream; nothing where one is deleted.
    pub(in crate::projection) documents: Vec<(String, Option<Document>)>,
    pub(in crate::projection) totals: Vec<TotalChange>,
    pub(in crate::projection) covered: u64,
    pub(in crate::projection) events: usize,
    pub(in crate::projection) is_part: bool,
}

/// What a stream has added to a total, and what it adds now.
#[derive(Debug)]
pub(in crate::projection) struct TotalChange {
    pub(in crate::projection) key: String,
    pub(in crate::projection) old: Option<Measures>,
    pub(in crate::projection) new: Option<Measures>,
}

/// Passes over what is known, and finds out whether something is missing.
pub(in crate::projection) fn plan(
    own: Option<&Slot>,
    run: &Run,
    at_once: usize,
) -> Result<Planned, Verdict> {
    let guard = own.and_then(|slot| slot.document.as_ref()).and_then(Document::guard);
    let begin = own.map_or(0, |slot| slot.covered);
    if run.first > begin.saturating_add(1) {
        return Err(Verdict::Missing { from: begin.saturating_add(1) });
    }
    let mut planned = Planned { events: Vec::new(), covered: begin, repeats: 0, is_part: false };
    for event in &run.events {
        let sequence_number = event.sequence_number();
        if sequence_number <= begin {
            let other =
                guard.filter(|guard| guard.last == sequence_number && guard.id != event.id());
            if other.is_some() {
                let reason = format!(
                    "event {sequence_number} is another one than the read model was made from: rebuild it"
                );
                return Err(Verdict::Poison(reason));
            }
            planned.repeats = planned.repeats.saturating_add(1);
            continue;
        }
        if planned.events.len() >= at_once {
            planned.is_part = true;
            return Ok(planned);
        }
        planned.events.push(Arc::clone(event));
        planned.covered = sequence_number;
    }
    planned.covered = begin.max(run.last);
    Ok(planned)
}

/// Folds the new events, and finds the documents that change.
pub(in crate::projection) fn prepare<'a>(
    projection: &Projection,
    partition: &str,
    stream: &str,
    planned: &Planned,
    document: impl Fn(&ViewKey) -> Option<&'a Document>,
) -> Result<Prepared, FoldFault> {
    let events: Vec<&RecordedEvent> = planned.events.iter().map(AsRef::as_ref).collect();
    let mut keys = projection.touches(&events)?;
    if !keys.contains(&ViewKey::Stream) {
        keys.push(ViewKey::Stream);
    }
    let before: Before<'_> = keys
        .into_iter()
        .filter_map(|key| {
            let data = document(&key)?.data.as_deref()?;
            Some((key, data))
        })
        .collect();
    let folded = projection.fold(stream, &before, &events)?;
    let last = events.last().map(|event| Guard::of(event));
    let mut prepared = Prepared {
        documents: Vec::new(),
        totals: Vec::new(),
        covered: planned.covered,
        events: events.len(),
        is_part: planned.is_part,
    };
    let Some(guard) = last else { return Ok(prepared) };
    let own = document(&ViewKey::Stream);
    prepared.totals = changes(own.and_then(|own| own.adds.as_ref()), folded.adds.as_ref());
    let made = Made { projection, partition, stream, guard };
    prepared.documents = made.documents(folded, own);
    Ok(prepared)
}

/// What the documents of a run have in common.
struct Made<'a> {
    projection: &'a Projection,
    partition: &'a str,
    stream: &'a str,
    guard: Guard,
}

impl Made<'_> {
    fn documents(&self, folded: Folded, own: Option<&Document>) -> Vec<(String, Option<Document>)> {
        let Folded { mut views, adds } = folded;
        let id = own_id(self.stream);
        let own = match (views.remove(&ViewKey::Stream), adds) {
            (Some((Some(state), _)), Some(adds)) => {
                let mut document =
                    self.own(Kind::Contribution).with_data(state.raw, &state.value, &[]);
                document.adds = Some(adds);
                document
            }
            (Some((Some(view), _)), None) => self.with_view(self.own(Kind::View), view),
            (Some((None, _)), _) => self.own(Kind::Guard),
            // No event touches the view of the stream: it stays, and its guard moves.
            (None, _) => match own {
                Some(own) => Document {
                    last_sequence_number: Some(self.guard.last),
                    last_event_id: Some(self.guard.id),
                    ..own.clone()
                },
                None => self.own(Kind::Guard),
            },
        };
        let parts = views.into_iter().filter_map(|(key, (view, last))| match key {
            ViewKey::Stream => None,
            ViewKey::Part(part) => {
                let id = part_id(self.stream, &part);
                Some((id, view.map(|view| self.part(&part, last, view))))
            }
        });
        [(id, Some(own))].into_iter().chain(parts).collect()
    }

    fn own(&self, kind: Kind) -> Document {
        Document::of_stream(self.partition, kind, self.stream, self.guard)
    }

    /// Its guard is the last event that touches it, so that it does not depend on how events were gathered.
    fn part(&self, part: &str, last: Guard, view: Data) -> Document {
        let document = Document::of_part(self.partition, Kind::Part, self.stream, part, last);
        self.with_view(document, view)
    }

    fn with_view(&self, document: Document, view: Data) -> Document {
        document.with_data(view.raw, &view.value, &self.projection.definition().fields)
    }
}

/// The totals that a stream adds otherwise to than before.
fn changes(old: Option<&Adds>, new: Option<&Adds>) -> Vec<TotalChange> {
    let keys = old.into_iter().chain(new).flat_map(Adds::keys);
    let keys: std::collections::BTreeSet<&str> = keys.collect();
    let part = |adds: Option<&Adds>, key: &str| adds.and_then(|adds| adds.get(key)).cloned();
    keys.into_iter()
        .map(|key| TotalChange { key: key.to_owned(), old: part(old, key), new: part(new, key) })
        .filter(|change| change.old != change.new)
        .collect()
}

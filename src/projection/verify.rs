//! A read model against a replay of the store, without writing.
//!
//! Every stream is read and folded from its first event, up to the event that the read model has, by the same
//! code that the hosts run; so a read model that is written meanwhile can be verified too. Totals are compared
//! with the contributions of their shard, and those with the replay.

use std::{
    collections::{BTreeMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::Duration,
};

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use super::{
    Adds, Document, Drift, HistoryFault, Kind, Projection, ReadModelError, ReadModels, Total,
    ViewFault, ViewQuery, What,
    definition::Site,
    document::own_id,
    drift::{difference, total_difference},
    lane::{Planned, prepare},
};
use crate::{event::RecordedEvent, feed::CosmosFeed};

/// The streams that are verified at the same time.
const AT_ONCE: usize = 16;
/// The documents that are read with one query.
const PAGE: u32 = 500;
/// How often something is looked at again that seems to differ, because it is written just then.
const TRIES_MAX: u32 = 10;
/// The time between that.
const WAIT: Duration = Duration::from_millis(200);
/// How long hosts may take until what was stored is in the read model, before it is taken to be behind.
const SETTLE_TIME_MAX: Duration = Duration::from_secs(2);
/// How long they may take for a stream that seems to miss something: it may have been stored just then.
const STREAM_TIME_MAX: Duration = Duration::from_secs(10);

/// What a replay came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Verified {
    /// The version that was verified.
    pub version: u32,
    /// Streams that were replayed.
    pub streams: u64,
    /// Events that were folded.
    pub events: u64,
    /// Streams that the read model has not caught up with, because it is behind or they are parked.
    pub behind: u64,
    /// What differs.
    pub drift: Drift,
}

/// What is known of one stream.
#[derive(Default)]
struct Replayed {
    events: u64,
    /// The newest event that the projection takes.
    newest: u64,
    /// The newest one that the read model has.
    last: u64,
    drift: Drift,
}

impl Replayed {
    fn is_behind(&self) -> bool {
        self.newest > self.last
    }
}

/// What is verified.
#[derive(Clone, Copy)]
struct Subject<'a> {
    projection: &'a Projection,
    site: Site<'a>,
    feed: &'a CosmosFeed,
    /// Whether what was stored before has to be there.
    is_due: bool,
}

impl ReadModels {
    /// Compares a version of a read model, the live one unless it is named, with a replay of the store.
    /// Nothing is written. `on_stream` is told how many streams are done.
    ///
    /// It reads every event and every document: about 3 RU for each stream and what the events take.
    ///
    /// # Errors
    ///
    /// [`ReadModelError`].
    pub async fn verify(
        &self,
        name: &str,
        version: Option<u32>,
        mut on_stream: impl FnMut(u64) + Send,
    ) -> Result<Verified, ReadModelError> {
        let projection = self.projection(name)?;
        let site = match version {
            Some(number) => self.site(name, number).await?,
            None => self.must_live(name).await?,
        };
        let version = site.number;
        // Asked before the streams are read: what is stored then has to be there.
        let feed = self.open_feed().await?;
        let is_due = self.caught_up_within(&feed, name, version, SETTLE_TIME_MAX).await?;
        let subject = Subject { projection, site, feed: &feed, is_due };
        let mut verified = Verified { version, ..Verified::default() };
        let mut known = HashSet::new();
        let mut pages = self.store().streams().pages();
        while let Some(page) = pages.try_next().await.map_err(HistoryFault::from)? {
            let streams: Vec<String> =
                page.first_events.iter().map(|event| event.stream().to_owned()).collect();
            known.extend(streams.iter().map(|stream| hash(stream)));
            let replays: Vec<_> =
                streams.iter().map(|stream| self.replay(subject, stream).boxed()).collect();
            let mut replays = stream::iter(replays).buffer_unordered(AT_ONCE);
            while let Some(replayed) = replays.try_next().await? {
                verified.streams = verified.streams.saturating_add(1);
                verified.events = verified.events.saturating_add(replayed.events);
                verified.behind = verified.behind.saturating_add(u64::from(replayed.is_behind()));
                verified.drift.add(replayed.drift);
                on_stream(verified.streams);
            }
        }
        for partition in site.partitions() {
            verified.drift.add(self.verify_shard(projection, &partition, &known).await?);
        }
        Ok(verified)
    }

    /// Replays a stream, again when it is written meanwhile.
    async fn replay(&self, subject: Subject<'_>, stream: &str) -> Result<Replayed, ReadModelError> {
        let Subject { projection, site, feed, is_due } = subject;
        let version = site.number;
        let mut replayed = Replayed::default();
        for attempt in 1..=TRIES_MAX {
            replayed = self.replay_once(projection, site, stream).await?;
            let is_done = replayed.drift.is_none() && !(is_due && replayed.is_behind());
            if is_done || attempt == TRIES_MAX {
                break;
            }
            tokio::time::sleep(WAIT).await;
        }
        if !(is_due && replayed.is_behind()) || self.is_parked(projection, version, stream).await? {
            return Ok(replayed);
        }
        // It is written all the time, or something of it is missing: that is so when everything that is
        // stored now is done, and what was seen before is still not there.
        let (name, wanted) = (&projection.definition().name, replayed.newest);
        if self.caught_up_within(feed, name, version, STREAM_TIME_MAX).await? {
            replayed = self.replay_once(projection, site, stream).await?;
            let is_parked = self.is_parked(projection, version, stream).await?;
            if replayed.last < wanted && !is_parked {
                replayed.drift.note(stream, None, Some(What::Missing));
            }
        }
        Ok(replayed)
    }

    async fn is_parked(
        &self,
        projection: &Projection,
        version: u32,
        stream: &str,
    ) -> Result<bool, ReadModelError> {
        let overview = self.overview(&projection.definition().name, version).await?;
        Ok(overview.parked.iter().any(|parked| parked.key == stream))
    }

    async fn replay_once(
        &self,
        projection: &Projection,
        site: Site<'_>,
        stream: &str,
    ) -> Result<Replayed, ReadModelError> {
        let definition = projection.definition();
        let partition = site.partition_of(stream);
        let own = self.views().read(&partition, &own_id(stream)).await?;
        let own = own.map(|found| found.document);
        let last = own.as_ref().and_then(Document::guard).map_or(0, |guard| guard.last);
        let mut events = Vec::new();
        let mut newest = 0;
        let mut pages = self.store().read(stream).stream();
        while let Some(event) = pages.try_next().await.map_err(HistoryFault::from)? {
            if definition.takes_type(event.event_type().as_str()) {
                newest = event.sequence_number();
                if newest <= last {
                    events.push(Arc::new(event));
                }
            }
        }
        let mut replayed = Replayed { newest, last, ..Replayed::default() };
        let Some(own) = own else { return Ok(replayed) };
        replayed.events = u64::try_from(events.len()).unwrap_or(u64::MAX);
        if events.last().map(|event: &Arc<RecordedEvent>| event.sequence_number()) != Some(last) {
            replayed.drift.note(stream, None, Some(What::Events));
            return Ok(replayed);
        }
        let planned = Planned { events, covered: last, repeats: 0, is_part: false };
        let prepared = match prepare(projection, &partition, stream, &planned, |_| None) {
            Ok(prepared) => prepared,
            Err(fault) => {
                let what = What::Unreadable { reason: fault.to_string() };
                replayed.drift.note(stream, None, Some(what));
                return Ok(replayed);
            }
        };
        for (id, expected) in prepared.documents {
            let found = if id == own.id {
                Some(own.clone())
            } else {
                self.views().read(&partition, &id).await?.map(|found| found.document)
            };
            let part = expected.as_ref().or(found.as_ref()).and_then(|one| one.key.clone());
            let what = difference(expected.as_ref(), found.as_ref());
            replayed.drift.note(stream, part.as_deref(), what);
        }
        Ok(replayed)
    }

    /// Looks for documents of streams that are not there, and for totals that are not what their
    /// contributions add up to.
    async fn verify_shard(
        &self,
        projection: &Projection,
        partition: &str,
        known: &HashSet<u64>,
    ) -> Result<Drift, ReadModelError> {
        let mut drift = Drift::default();
        for attempt in 1..=TRIES_MAX {
            drift = Drift::default();
            let (mut expected, mut found) = (BTreeMap::new(), BTreeMap::new());
            let mut query = ViewQuery::of(Kind::MADE.to_vec(), PAGE);
            loop {
                let page = self.views().query(partition, &query).await?;
                let has_more = query.go_on(&page);
                for document in page.into_iter().map(|found| found.document) {
                    if let Some(stream) = document.stream.clone()
                        && !known.contains(&hash(&stream))
                        && self.is_unknown(&stream).await?
                    {
                        drift.note(&stream, document.key.as_deref(), Some(What::Extra));
                    }
                    gather(document, &mut expected, &mut found)?;
                }
                if !has_more {
                    break;
                }
            }
            let keys =
                expected.keys().chain(found.keys().filter(|key| !expected.contains_key(*key)));
            for key in keys {
                let what = total_difference(expected.get(key), found.get(key));
                drift.note(key, None, what);
            }
            if drift.is_none() || attempt == TRIES_MAX || !projection.has_totals() {
                break;
            }
            // Contributions and totals change in one transaction, and are read in several requests.
            tokio::time::sleep(WAIT).await;
        }
        Ok(drift)
    }

    async fn is_unknown(&self, stream: &str) -> Result<bool, ReadModelError> {
        let version = self.store().version(stream).await.map_err(HistoryFault::from)?;
        Ok(version.value == 0)
    }
}

/// Adds a contribution to what is expected, and notes a total.
fn gather(
    document: Document,
    expected: &mut BTreeMap<String, Total>,
    found: &mut BTreeMap<String, Total>,
) -> Result<(), ViewFault> {
    for key in document.adds.iter().flat_map(Adds::keys) {
        let part = document.adds.as_ref().and_then(|adds| adds.get(key));
        let added =
            part.map_or(Ok(()), |part| expected.entry(key.to_owned()).or_default().add(part));
        added.map_err(|fault| ViewFault::Damaged {
            id: document.id.clone(),
            reason: fault.to_string(),
        })?;
    }
    if let (Some(key), Some(total)) = (document.key, document.total) {
        found.insert(key, total);
    }
    Ok(())
}

fn hash(stream: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    stream.hash(&mut hasher);
    hasher.finish()
}

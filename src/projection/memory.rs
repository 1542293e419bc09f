//! Read models in memory, for tests: with lost answers, refusals, old reads, and turns given to others.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{FutureExt as _, future::BoxFuture};

use super::{
    Document, Found, History, HistoryFault, ViewFault, ViewQuery, ViewStore, Write,
    order::range_of, store::WRITES_MAX,
};
use crate::{event::RecordedEvent, feed::Random};

/// How often something goes wrong, in thousandths, and from which seed it is drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Weather {
    /// What is drawn first.
    pub seed: u64,
    /// Requests that fail and were not carried out.
    pub refused: u16,
    /// Commits that fail though they were carried out.
    pub lost: u16,
    /// Reads that give the version before the last one, as far as this client has not seen a later commit.
    pub stale: u16,
    /// How often others get a turn before a request, at most.
    pub turns: u16,
}

impl Weather {
    /// Nothing goes wrong.
    pub fn fine(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Everything goes wrong now and then.
    pub fn rough(seed: u64) -> Self {
        Self { seed, refused: 30, lost: 30, stale: 50, turns: 3 }
    }
}

/// A version of a document with its etag, or that it was deleted.
type Newest = Option<(u64, Option<String>)>;
type Versions = BTreeMap<(String, String), Vec<(u64, Option<String>)>>;

#[derive(Debug, Default)]
struct State {
    /// The documents as texts, each with the number of its commit, which is its etag; the newest last, nothing
    /// where it was deleted.
    versions: Versions,
    commits: u64,
    reads: u64,
    random: Random,
}

/// Read models in memory, as one client sees them. Clones are the same client.
#[derive(Debug, Clone)]
pub struct MemoryViews {
    state: Arc<Mutex<State>>,
    weather: Weather,
    /// The last commit of each logical partition that the client has seen something of.
    seen: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl MemoryViews {
    /// None yet.
    pub fn new(weather: Weather) -> Self {
        let state = State { random: Random::new(weather.seed), ..State::default() };
        Self { state: Arc::new(Mutex::new(state)), weather, seen: Arc::default() }
    }

    /// The same read models for another client, in a weather of its own.
    #[must_use]
    pub fn in_weather(&self, weather: Weather) -> Self {
        Self { state: Arc::clone(&self.state), weather, seen: Arc::default() }
    }

    /// All documents, by partition and id.
    pub fn peek(&self) -> Vec<Document> {
        let state = self.state();
        let newest = |versions: &Vec<(u64, Option<String>)>| versions.last()?.1.clone();
        let texts: Vec<String> = state.versions.values().filter_map(newest).collect();
        texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect()
    }

    /// How many commits were carried out, and how many documents were read.
    pub fn requests(&self) -> (u64, u64) {
        let state = self.state();
        (state.commits, state.reads)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn saw(&self, partition: &str, commit: u64) {
        let mut seen = self.seen();
        let last = seen.entry(partition.to_owned()).or_default();
        *last = commit.max(*last);
    }

    /// Gives turns to others, and fails now and then.
    async fn begin(&self) -> Result<(), ViewFault> {
        let (turns, fails) = {
            let mut state = self.state();
            let turns = state.random.next() % (u64::from(self.weather.turns).saturating_add(1));
            (turns, state.chance(self.weather.refused))
        };
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        if fails { Err(ViewFault::Unavailable("not carried out".to_owned())) } else { Ok(()) }
    }
}

impl State {
    fn chance(&mut self, thousandths: u16) -> bool {
        self.random.next() % 1000 < u64::from(thousandths)
    }

    /// The newest version, or the one before it where that is allowed.
    fn newest(&self, partition: &str, id: &str, skips: impl Fn(u64) -> bool) -> Newest {
        let versions = self.versions.get(&(partition.to_owned(), id.to_owned()))?;
        let (newest, _) = versions.last()?;
        let (etag, text) = versions.iter().rev().nth(usize::from(skips(*newest)))?;
        Some((*etag, text.clone()))
    }

    fn fits(&self, partition: &str, write: &Write) -> bool {
        let found = self.newest(partition, &write.document.id, |_| false);
        let found = found.and_then(|(etag, text)| text.map(|_| etag.to_string()));
        found == write.etag
    }

    fn carry_out(&mut self, partition: &str, writes: &[Write]) -> Result<Vec<String>, ViewFault> {
        let is_one_partition = writes.iter().all(|write| write.document.partition_key == partition);
        if writes.len() > WRITES_MAX || !is_one_partition {
            return Err(ViewFault::Refused("no transaction can do this".to_owned()));
        }
        if !writes.iter().all(|write| self.fits(partition, write)) {
            return Err(ViewFault::Conflict);
        }
        self.commits = self.commits.saturating_add(1);
        let mut etags = Vec::with_capacity(writes.len());
        for write in writes {
            let text = serde_json::to_string(&write.document)
                .map_err(|error| ViewFault::Refused(error.to_string()))?;
            let key = (partition.to_owned(), write.document.id.clone());
            let text = (!write.is_delete).then_some(text);
            self.versions.entry(key).or_default().push((self.commits, text));
            etags.push(if write.is_delete { String::new() } else { self.commits.to_string() });
        }
        Ok(etags)
    }

    fn query(&self, partition: &str, query: &ViewQuery) -> Vec<(String, u64, Document)> {
        let in_it = self.versions.iter().filter(|((at, _), _)| at == partition);
        let newest = in_it.filter_map(|(_, versions)| versions.last());
        let read = newest.filter_map(|(etag, text)| {
            let document: Document = serde_json::from_str(text.as_deref()?).ok()?;
            let sort = document.sort.get(&query.sort)?.clone();
            let fits = query.kinds.contains(&document.kind)
                && query.filters.iter().all(|(name, value)| {
                    let (from, to) = range_of(value);
                    document.sort.get(name).is_some_and(|text| from <= *text && *text < to)
                })
                && query.after.as_ref().is_none_or(|after| {
                    if query.is_descending { sort < *after } else { sort > *after }
                });
            fits.then_some((sort, *etag, document))
        });
        let mut found: Vec<_> = read.collect();
        found.sort_by(|one, other| one.0.cmp(&other.0));
        if query.is_descending {
            found.reverse();
        }
        found.truncate(usize::try_from(query.limit).unwrap_or(usize::MAX));
        found
    }
}

fn found(etag: u64, text: &str) -> Result<Found, ViewFault> {
    let document =
        serde_json::from_str(text).map_err(|error| ViewFault::Refused(error.to_string()))?;
    Ok(Found { document, etag: etag.to_string() })
}

impl ViewStore for MemoryViews {
    fn read<'a>(
        &'a self,
        partition: &'a str,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<Found>, ViewFault>> {
        async move {
            self.begin().await?;
            let mut state = self.state();
            state.reads = state.reads.saturating_add(1);
            let seen = self.seen().get(partition).copied().unwrap_or_default();
            let is_stale = state.chance(self.weather.stale);
            let newest = state.newest(partition, id, |newest| is_stale && newest > seen);
            let Some((etag, text)) = newest else { return Ok(None) };
            self.saw(partition, etag);
            text.map(|text| found(etag, &text)).transpose()
        }
        .boxed()
    }

    fn commit<'a>(
        &'a self,
        partition: &'a str,
        writes: Vec<Write>,
    ) -> BoxFuture<'a, Result<Vec<String>, ViewFault>> {
        async move {
            self.begin().await?;
            let (etags, is_lost) = {
                let mut state = self.state();
                (state.carry_out(partition, &writes)?, state.chance(self.weather.lost))
            };
            tokio::task::yield_now().await;
            if is_lost {
                return Err(ViewFault::Unavailable("the answer was lost".to_owned()));
            }
            for commit in etags.iter().filter_map(|etag| etag.parse().ok()) {
                self.saw(partition, commit);
            }
            Ok(etags)
        }
        .boxed()
    }

    fn query<'a>(
        &'a self,
        partition: &'a str,
        query: &'a ViewQuery,
    ) -> BoxFuture<'a, Result<Vec<Found>, ViewFault>> {
        async move {
            self.begin().await?;
            let rows = self.state().query(partition, query);
            let found = |(_, etag, document): (String, u64, Document)| Found {
                document,
                etag: etag.to_string(),
            };
            Ok(rows.into_iter().map(found).collect())
        }
        .boxed()
    }
}

/// Streams in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryHistory(Arc<Mutex<BTreeMap<String, Vec<RecordedEvent>>>>);

impl MemoryHistory {
    /// Puts events behind those of their streams.
    pub fn store(&self, events: impl IntoIterator<Item = RecordedEvent>) {
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            streams.entry(event.stream().to_owned()).or_default().push(event);
        }
    }

    /// The events of a stream.
    pub fn stream(&self, stream: &str) -> Vec<RecordedEvent> {
        let streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        streams.get(stream).cloned().unwrap_or_default()
    }
}

impl History for MemoryHistory {
    fn read<'a>(
        &'a self,
        stream: &'a str,
        from: u64,
        up_to: u64,
    ) -> BoxFuture<'a, Result<Vec<RecordedEvent>, HistoryFault>> {
        let mut events = self.stream(stream);
        events.retain(|event| (from..=up_to).contains(&event.sequence_number()));
        std::future::ready(Ok(events)).boxed()
    }
}

//! A feed in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::{DAWN, Fate, Weather};
use crate::feed::{
    FeedRange,
    documents::Position,
    source::{Change, Feed, FeedFault, FeedReader, Page},
};

/// How long a request waits for an answer that does not come.
const TIME_OUT: Duration = Duration::from_secs(5);

/// A change as it was written: in which transaction of which key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The key.
    pub key: String,
    /// Its place among all changes of the key, from 1.
    pub order: u64,
    /// When it was stored, in seconds.
    pub stored_at: u64,
    /// The transaction.
    pub lsn: i64,
}

/// A container in memory.
#[derive(Debug, Clone)]
pub struct MemoryFeed {
    state: Arc<Mutex<State>>,
    weather: Weather,
    origin: Instant,
}

#[derive(Debug)]
struct State {
    /// All changes in the order of their transactions, each with the hash of its key.
    log: Vec<Entry>,
    /// The hash of each key, and how many changes it has.
    keys: BTreeMap<String, (Arc<str>, u64)>,
    lsn: i64,
    /// Places that were used where they mean nothing.
    refused: u64,
    partitions: Vec<FeedRange>,
    page_changes: usize,
    reads_parts: bool,
}

#[derive(Debug, Clone)]
struct Entry {
    hash: Arc<str>,
    change: Change,
}

impl Entry {
    fn written(&self) -> Written {
        Written {
            key: self.change.key.clone(),
            order: self.change.order,
            stored_at: self.change.stored_at,
            lsn: self.change.lsn,
        }
    }
}

impl State {
    /// The changes behind a transaction that are in a range.
    fn behind<'a>(&'a self, from: i64, range: &'a FeedRange) -> impl Iterator<Item = &'a Entry> {
        let first = self.log.partition_point(|entry| entry.change.lsn <= from);
        let (begin, end) = (range.begin(), range.end());
        let is_in = move |entry: &&Entry| begin <= &*entry.hash && &*entry.hash < end;
        self.log.get(first..).unwrap_or_default().iter().filter(is_in)
    }

    /// The last transaction up to a time.
    fn at(&self, seconds: i64) -> i64 {
        let seconds = u64::try_from(seconds).unwrap_or_default();
        let end = self.log.partition_point(|entry| entry.change.stored_at <= seconds);
        end.checked_sub(1).and_then(|last| self.log.get(last)).map_or(0, |last| last.change.lsn)
    }
}

impl MemoryFeed {
    /// A container with these partitions. Whether parts of them can be read is up to the caller.
    pub fn new(weather: Weather, partitions: Vec<FeedRange>, reads_parts: bool) -> Self {
        let state = State {
            log: Vec::new(),
            keys: BTreeMap::new(),
            lsn: 0,
            refused: 0,
            partitions,
            page_changes: 10,
            reads_parts,
        };
        Self { state: Arc::new(Mutex::new(state)), weather, origin: Instant::now() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends so many changes of a key, in one transaction.
    pub fn write(&self, key: &str, changes: u64) {
        let stored_at = self.second();
        let mut state = self.state();
        state.lsn = state.lsn.saturating_add(1);
        let lsn = state.lsn;
        let of_key = state.keys.entry(key.to_owned()).or_insert_with(|| (Arc::from(hash(key)), 0));
        let first = of_key.1.saturating_add(1);
        of_key.1 = of_key.1.saturating_add(changes);
        let hash = Arc::clone(&of_key.0);
        state.log.extend((first..first.saturating_add(changes)).map(|order| {
            let change = Change {
                key: key.to_owned(),
                order,
                lsn,
                stored_at,
                document: RawValue::NULL.to_owned(),
                problem: None,
            };
            Entry { hash: Arc::clone(&hash), change }
        }));
    }

    /// The time of day of the service, in seconds.
    pub fn second(&self) -> u64 {
        DAWN.saturating_add(Instant::now().saturating_duration_since(self.origin).as_secs())
    }

    /// The first of all changes whose key and order are like this.
    pub fn find(&self, mut is_like: impl FnMut(&str, u64) -> bool) -> Option<Written> {
        let state = self.state();
        let found = state.log.iter().find(|entry| is_like(&entry.change.key, entry.change.order));
        found.map(Entry::written)
    }

    /// What was written behind a transaction and up to another one, in a range.
    pub fn written_between(&self, from: i64, lsn: i64, range: &FeedRange) -> Vec<Written> {
        let state = self.state();
        let written = state.behind(from, range).take_while(|entry| entry.change.lsn <= lsn);
        written.map(Entry::written).collect()
    }

    /// The last transaction before a place.
    pub fn lsn_of(&self, position: &Position) -> Option<i64> {
        match position {
            Position::Beginning => Some(0),
            Position::Time(seconds) => Some(self.state().at(*seconds)),
            Position::Continuation(place) => place_lsn(place),
        }
    }

    /// How often a place was used that is none, or one of a range that does not have all of the range.
    pub fn refused(&self) -> u64 {
        self.state().refused
    }

    /// Cuts a partition in two; nothing when it has no room for two.
    pub fn split(&self, partition: usize) {
        let mut state = self.state();
        let Some(range) = state.partitions.get(partition).cloned() else { return };
        let Some(middle) = middle(&range) else { return };
        let (left, right) =
            (FeedRange::new(range.begin(), middle.clone()), FeedRange::new(middle, range.end()));
        if let (Ok(left), Ok(right)) = (left, right) {
            state.partitions.splice(partition..=partition, [left, right]);
        }
    }

    /// Makes a partition and the next one of it one.
    pub fn merge(&self, partition: usize) {
        let mut state = self.state();
        let next = partition.saturating_add(1);
        if let (Some(one), Some(other)) =
            (state.partitions.get(partition).cloned(), state.partitions.get(next).cloned())
        {
            state.partitions.splice(partition..=next, [one.hull(&other)]);
        }
    }

    /// How many partitions there are.
    pub fn partitions(&self) -> usize {
        self.state().partitions.len()
    }

    async fn request<T>(
        &self,
        work: impl FnOnce() -> Result<T, FeedFault>,
    ) -> Result<T, FeedFault> {
        let (fate, there, back) = self.weather.fate();
        tokio::time::sleep(there).await;
        if fate == Fate::Done {
            let done = work();
            tokio::time::sleep(back).await;
            return done;
        }
        if fate == Fate::Throttled {
            tokio::time::sleep(back).await;
            return Err(FeedFault::Unavailable("no throughput left".to_owned()));
        }
        tokio::time::sleep(TIME_OUT).await;
        Err(FeedFault::Unavailable("no answer".to_owned()))
    }

    /// A range can be read when it is made of whole partitions, or lies in one whose parts can be read.
    fn check(state: &State, range: &FeedRange) -> Result<(), FeedFault> {
        let is_cut = state
            .partitions
            .iter()
            .any(|partition| partition.overlaps(range) && !range.contains(partition));
        if is_cut && !state.reads_parts { Err(FeedFault::Moved) } else { Ok(()) }
    }

    fn page(&self, range: &FeedRange, from: i64) -> Result<Page, FeedFault> {
        let state = self.state();
        Self::check(&state, range)?;
        let mut changes: Vec<Change> = Vec::new();
        let mut last = from;
        for Entry { change, .. } in state.behind(from, range) {
            // A page ends between two transactions.
            if changes.len() >= state.page_changes && change.lsn != last {
                break;
            }
            last = change.lsn;
            changes.push(change.clone());
        }
        let position = if changes.is_empty() { state.lsn.max(from) } else { last };
        // Over several partitions there is no such number.
        let is_one = state.partitions.iter().any(|partition| partition.contains(range));
        let last_lsn = is_one.then_some(state.lsn);
        drop(state);
        // The service gives the changes of one transaction in any order.
        for place in 1..changes.len() {
            let other = usize::try_from(self.weather.below(2)).unwrap_or_default();
            let before = place.saturating_sub(1);
            let same =
                changes.get(before).map(|one| one.lsn) == changes.get(place).map(|one| one.lsn);
            if same && other == 1 {
                changes.swap(before, place);
            }
        }
        Ok(Page { changes, continuation: place(position, range), last_lsn, request_charge: 1.0 })
    }
}

/// A place in the middle of a range, as a bound.
fn middle(range: &FeedRange) -> Option<String> {
    let number = |bound: &str| {
        let padded = format!("{bound:0<8.8}");
        u64::from_str_radix(&padded, 16).ok()
    };
    let (begin, end) = (number(range.begin())?, number(range.end())?);
    let middle = begin.midpoint(end);
    (begin < middle && middle < end).then(|| format!("{middle:08X}"))
}

/// A place in a range, as the feed names it. It means nothing outside of the range, as with the service.
fn place(lsn: i64, range: &FeedRange) -> String {
    format!("{lsn}@{}@{}", range.begin(), range.end())
}

/// The transaction and the range of a place.
fn parts(place: &str) -> Option<(i64, FeedRange)> {
    let (lsn, range) = place.split_once('@')?;
    let (begin, end) = range.split_once('@')?;
    Some((lsn.parse().ok()?, FeedRange::new(begin, end).ok()?))
}

/// The last transaction before a place in a [`MemoryFeed`].
pub fn place_lsn(place: &str) -> Option<i64> {
    parts(place).map(|(lsn, _)| lsn)
}

/// Where a key is in the space of hashes.
fn hash(key: &str) -> String {
    let digest = Sha256::digest(key.as_bytes());
    let number = digest
        .iter()
        .take(4)
        .fold(0_u64, |sum, byte| sum.wrapping_mul(256).wrapping_add(u64::from(*byte)));
    // Below the end of the space, which is FF.
    format!("{:08X}", number.wrapping_mul(0xFE) >> 8)
}

struct MemoryReader {
    feed: MemoryFeed,
    range: FeedRange,
    from: i64,
}

impl FeedReader for MemoryReader {
    fn next_page(&mut self) -> BoxFuture<'_, Result<Page, FeedFault>> {
        Box::pin(async move {
            let page = self.feed.request(|| self.feed.page(&self.range, self.from)).await?;
            self.from = place_lsn(&page.continuation).unwrap_or(self.from);
            Ok(page)
        })
    }
}

impl Feed for MemoryFeed {
    fn ranges(&self) -> BoxFuture<'_, Result<Vec<FeedRange>, FeedFault>> {
        Box::pin(self.request(|| Ok(self.state().partitions.clone())))
    }

    fn reads_parts(&self) -> BoxFuture<'_, Result<bool, FeedFault>> {
        Box::pin(self.request(|| Ok(self.state().reads_parts)))
    }

    fn now(&self, range: &FeedRange) -> BoxFuture<'_, Result<String, FeedFault>> {
        let range = range.clone();
        Box::pin(async move { self.request(|| Ok(place(self.state().lsn, &range))).await })
    }

    fn open(
        &self,
        range: &FeedRange,
        position: &Position,
    ) -> BoxFuture<'_, Result<Box<dyn FeedReader>, FeedFault>> {
        let (feed, range, position) = (self.clone(), range.clone(), position.clone());
        Box::pin(async move {
            let from = match position {
                Position::Beginning => 0,
                Position::Time(seconds) => feed.state().at(seconds),
                Position::Continuation(place) => {
                    let found = parts(&place).filter(|(_, of)| of.contains(&range));
                    found.map(|(lsn, _)| lsn).ok_or_else(|| {
                        let mut state = feed.state();
                        state.refused = state.refused.saturating_add(1);
                        FeedFault::BadPosition("not a place of this range".to_owned())
                    })?
                }
            };
            Self::check(&feed.state(), &range)?;
            let reader: Box<dyn FeedReader> = Box::new(MemoryReader { feed, range, from });
            Ok(reader)
        })
    }

    fn has_key(&self, part: &FeedRange, key: &str) -> BoxFuture<'_, Result<bool, FeedFault>> {
        let (hash, part) = (hash(key), part.clone());
        Box::pin(
            self.request(move || Ok(part.begin() <= hash.as_str() && hash.as_str() < part.end())),
        )
    }

    fn has_rising_order(&self) -> bool {
        true
    }

    fn range_of(&self, key: &str) -> BoxFuture<'_, Result<Option<FeedRange>, FeedFault>> {
        let hash = hash(key);
        Box::pin(self.request(move || {
            let state = self.state();
            let is_in =
                |range: &&FeedRange| range.begin() <= hash.as_str() && hash.as_str() < range.end();
            Ok(state.partitions.iter().find(is_in).cloned())
        }))
    }

    fn read_key(
        &self,
        key: &str,
        order: u64,
        changes_max: usize,
    ) -> BoxFuture<'_, Result<Vec<Change>, FeedFault>> {
        let key = key.to_owned();
        Box::pin(async move {
            self.request(|| {
                let state = self.state();
                let of_key = state
                    .log
                    .iter()
                    .filter(|entry| entry.change.key == key && entry.change.order >= order);
                Ok(of_key.take(changes_max).map(|entry| entry.change.clone()).collect())
            })
            .await
        })
    }
}

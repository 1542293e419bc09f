//! What must hold for the documents of a processor, checked with every commit.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::{Duration, Instant};

use super::recorder::{Record, Recorder};
use crate::feed::{
    FeedRange, ProcessorOptions,
    coverage::check,
    documents::{Activity, Document, Lease, Position, Rewind, TOPOLOGY_ID, Topology},
    memory::{Changed, Commit, MemoryFeed, Written},
};

/// Everything that the documents have been.
pub(super) struct Ledger {
    pub(super) leases: BTreeMap<String, Lease>,
    pub(super) parked: BTreeMap<String, u64>,
    topology: Option<Topology>,
    beats: BTreeMap<String, Instant>,
    /// When each host has come back last, after a time without the right to act: it works on nothing that
    /// it has written before.
    returned: BTreeMap<String, Instant>,
    /// When each lease was written.
    written: BTreeMap<String, Instant>,
    /// The highest epoch that each range was seen with.
    epochs: BTreeMap<FeedRange, u64>,
    /// Up to where each lease was checked, in which generation.
    checked: BTreeMap<String, (u64, i64)>,
    /// When each generation has begun, and behind which transaction.
    generations: Vec<(Instant, i64)>,
    /// When the processor was paused, and until when.
    pauses: Vec<(Instant, Option<Instant>)>,
    covers: bool,
    /// Follows from all that has happened: the same seed has the same.
    pub(super) digest: u64,
    fence: Duration,
    begun: Instant,
    is_traced: bool,
}

/// Prints what a commit has changed, but beats.
#[allow(clippy::print_stderr, reason = "somebody asks for it, to see why a run fails")]
fn trace(commit: &Commit, begun: Instant) {
    let at = commit.at.saturating_duration_since(begun);
    for Changed { id, after, .. } in &commit.changes {
        let document = after.as_ref().map(|after| &after.document);
        if !matches!(document, Some(Document::Host(_))) {
            eprintln!("{at:?} {} {id}: {document:?}", commit.by);
        }
    }
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self {
            leases: BTreeMap::new(),
            parked: BTreeMap::new(),
            topology: None,
            beats: BTreeMap::new(),
            returned: BTreeMap::new(),
            written: BTreeMap::new(),
            epochs: BTreeMap::new(),
            checked: BTreeMap::new(),
            generations: vec![(Instant::now(), 0)],
            pauses: Vec::new(),
            covers: false,
            digest: 0,
            fence: ProcessorOptions::new("any").fence(),
            begun: Instant::now(),
            is_traced: std::env::var_os("FEED_TRACE").is_some(),
        }
    }

    /// Whether every key is in exactly one lease.
    pub(super) fn covers(&self) -> bool {
        let ranges: Vec<FeedRange> =
            self.leases.values().map(|lease| lease.range.clone()).collect();
        check(&ranges).is_empty()
    }

    /// Whether every lease is of the newest generation.
    pub(super) fn is_settled(&self) -> bool {
        let newest = self.generations.len() - 1;
        let is_new = |lease: &Lease| usize::try_from(lease.generation).unwrap() == newest;
        newest == 0 || self.leases.values().all(is_new)
    }

    /// The first change behind the place of the last rewind that was not handled again since.
    pub(super) fn not_again(&self, feed: &MemoryFeed, record: &Record) -> Option<Written> {
        let (since, place) = *self.generations.last()?;
        if self.generations.len() == 1 {
            return None;
        }
        let mut written = feed.written_between(place, i64::MAX, &FeedRange::full()).into_iter();
        written.find(|written| {
            let handled = record.handled(&written.key, written.order);
            let is_parked = self.parked.get(&written.key).is_some_and(|at| *at <= written.order);
            !is_parked && handled.is_none_or(|handled| handled.begun < since)
        })
    }

    /// Nothing begins in a pause, once every host must know of it or has lost its right to act.
    pub(super) fn check_begun(&self, begun: &[Instant]) {
        for at in begun {
            let is_in = |(from, to): &&(Instant, Option<Instant>)| {
                *at > *from + self.fence && to.is_none_or(|to| *at < to)
            };
            let pause = self.pauses.iter().find(is_in);
            let since = |at: &Instant| at.saturating_duration_since(self.begun);
            let pause = pause.map(|(from, to)| (since(from), to.as_ref().map(since)));
            assert!(pause.is_none(), "a run begins at {:?} in the pause {pause:?}", since(at));
        }
    }

    /// A commit was carried out.
    pub(super) fn take(&mut self, commit: &Commit, feed: &MemoryFeed, recorder: &Recorder) {
        if self.is_traced {
            trace(commit, self.begun);
        }
        let mut moves = false;
        for changed in &commit.changes {
            for byte in changed.id.bytes().chain(commit.by.bytes()) {
                self.digest = self.digest.wrapping_mul(31).wrapping_add(byte.into());
            }
            let before = changed.before.as_ref().map(|stored| &stored.document);
            let after = changed.after.as_ref().map(|stored| &stored.document);
            match (before, after) {
                (_, Some(Document::Host(host))) => {
                    self.take_beat(commit, &host.incarnation);
                }
                (_, Some(Document::Topology(topology))) => {
                    self.take_topology(commit, topology, feed);
                }
                (_, Some(Document::Parked(parked))) => {
                    let record = recorder.record();
                    let before = parked.order.saturating_sub(1);
                    let is_done = before == 0 || record.handled(&parked.key, before).is_some();
                    assert!(is_done, "{parked:?} is parked ahead of what was handled");
                    self.parked.insert(parked.key.clone(), parked.order);
                }
                (Some(Document::Parked(parked)), None) => {
                    self.parked.remove(&parked.key);
                }
                (_, Some(Document::Lease(after))) if after.is_damaged => {
                    // Somebody has spoiled it by hand.
                    self.leases.insert(changed.id.clone(), after.clone());
                }
                (before, Some(Document::Lease(after))) => {
                    let before = match before {
                        Some(Document::Lease(before)) => Some(before),
                        _ => None,
                    };
                    moves |= before.is_none();
                    self.take_lease(commit, before, after);
                    self.check_done(commit, after, feed, recorder);
                    self.leases.insert(changed.id.clone(), after.clone());
                }
                (Some(Document::Lease(before)), None) => {
                    moves = true;
                    self.check_end(commit, changed, before);
                    self.leases.remove(&changed.id);
                }
                (_, Some(Document::Saved(saved))) => {
                    // What is behind the last of them is handled again in every range.
                    let places = saved.positions.iter().map(|saved| feed.lsn_of(&saved.position));
                    let (_, place) = self.generations.last_mut().unwrap();
                    *place = places.max().unwrap().unwrap();
                }
                (_, Some(Document::Discarded(_))) => {}
                (Some(_) | None, None) => {
                    assert_ne!(changed.id, TOPOLOGY_ID, "the topology is gone");
                }
            }
        }
        if moves {
            let covers = self.covers();
            let is_by_hand = commit.by.is_empty();
            assert!(covers || !self.covers || is_by_hand, "{commit:?} leaves gaps or overlaps");
            self.covers = covers;
        }
    }

    /// Whether a host must have lost its right to act.
    fn is_fenced(&self, host: &str, at: Instant) -> bool {
        let beat = self.beats.get(host);
        beat.is_none_or(|beat| at.saturating_duration_since(*beat) >= self.fence)
    }

    fn take_beat(&mut self, commit: &Commit, host: &str) {
        if *commit.by != *host {
            return;
        }
        if self.is_fenced(host, commit.at) {
            self.returned.insert(host.to_owned(), commit.at);
        }
        // Who was struck off knows it from the answer, and may not act.
        let members = self.topology.as_ref().map(|topology| &topology.members);
        if members.is_none_or(|members| members.iter().any(|member| member == host)) {
            self.beats.insert(host.to_owned(), commit.at);
        }
    }

    /// Whether nobody can work on a lease any more.
    fn is_free(&self, commit: &Commit, lease: &Lease) -> bool {
        let Some(owner) = &lease.owner else { return true };
        let written = self.written.get(&lease.id());
        **owner == *commit.by
            || self.is_fenced(owner, commit.at)
            || self
                .returned
                .get(owner)
                .is_some_and(|at| written.is_some_and(|written| written < at))
    }

    fn take_topology(&mut self, commit: &Commit, after: &Topology, feed: &MemoryFeed) {
        let empty: Vec<String> = Vec::new();
        let before = self.topology.as_ref();
        let members = before.map_or(&empty, |before| &before.members);
        for gone in members.iter().filter(|member| !after.members.contains(member)) {
            let is_right = **gone == *commit.by || self.is_fenced(gone, commit.at);
            if **gone == *commit.by {
                // Who takes its leave does nothing more.
                self.beats.remove(gone);
            }
            assert!(is_right, "{gone} is struck off at {:?} and may still act", commit.at);
        }
        let distinct: BTreeSet<&String> = after.members.iter().collect();
        assert_eq!(distinct.len(), after.members.len(), "a member is there twice: {after:?}");
        let generation = before.map_or(0, |before| before.generation);
        if after.generation != generation {
            assert_eq!(after.generation, generation + 1, "generations rise one by one");
            let place = match after.rewind.unwrap() {
                Rewind::Beginning => feed.lsn_of(&Position::Beginning),
                Rewind::Time(seconds) => feed.lsn_of(&Position::Time(seconds)),
                // The document of the positions is in the same commit.
                Rewind::Saved => Some(i64::MAX),
            };
            self.generations.push((commit.at, place.unwrap()));
        }
        let is_open = self.pauses.last().is_some_and(|(_, to)| to.is_none());
        match (after.activity, self.pauses.last_mut()) {
            (Activity::Paused, _) if !is_open => self.pauses.push((commit.at, None)),
            (Activity::Running, Some((_, to))) if is_open => *to = Some(commit.at),
            _ => {}
        }
        self.topology = Some(after.clone());
    }

    /// Epochs rise with every owner of any part of the range; nobody takes from who may still act, and
    /// only the owner moves a lease, never back.
    fn take_lease(&mut self, commit: &Commit, before: Option<&Lease>, after: &Lease) {
        let seen = || format!("{before:?} becomes {after:?} by {:?}", commit.by);
        let epochs = self.epochs.iter().filter(|(range, _)| range.overlaps(&after.range));
        let highest = epochs.map(|(_, epoch)| *epoch).max();
        let owner = before.and_then(|before| before.owner.as_ref());
        let is_taken = after.owner.is_some() && owner != after.owner.as_ref();
        if let Some(highest) = highest {
            let has_risen = after.epoch > highest || (after.epoch == highest && !is_taken);
            assert!(has_risen, "the epoch was {highest} already: {}", seen());
        }
        self.epochs.insert(after.range.clone(), after.epoch);
        if owner.is_some() && owner != after.owner.as_ref() {
            let is_free = before.is_some_and(|before| self.is_free(commit, before));
            assert!(is_free, "it is taken from one that lives: {}", seen());
        }
        self.written.insert(after.id(), commit.at);
        let Some(before) = before.filter(|before| !before.is_damaged) else { return };
        assert!(after.generation >= before.generation, "the generation falls: {}", seen());
        if let Some(owner) = &after.owner {
            assert_eq!(**owner, *commit.by, "somebody else moves it: {}", seen());
        }
        if before.epoch == after.epoch && before.generation == after.generation && owner.is_some() {
            let lsn = |lease: &Lease| match &lease.position {
                Position::Continuation(place) => crate::feed::memory::place_lsn(place),
                _ => None,
            };
            let is_right = before.ordinal <= after.ordinal && lsn(before) <= lsn(after);
            // A lease that replaces several, this one too, begins earlier.
            let is_replaced = after.owner.is_none() && after.ordinal == 0;
            assert!(is_right || is_replaced, "it goes back: {}", seen());
        }
    }

    /// A lease goes only by its owner, or when that must have stopped.
    fn check_end(&mut self, commit: &Commit, changed: &Changed, before: &Lease) {
        if commit.by.is_empty() {
            // Nobody knows which epoch it had, and epochs go on rising nevertheless.
            return;
        }
        let (id, by, owner) = (&changed.id, &commit.by, &before.owner);
        assert!(self.is_free(commit, before), "{id} is taken away by {by} from {owner:?}");
    }

    /// Everything up to a checkpoint was handled or parked before it, and in its generation.
    fn check_done(
        &mut self,
        commit: &Commit,
        lease: &Lease,
        feed: &MemoryFeed,
        recorder: &Recorder,
    ) {
        let position = feed.lsn_of(&lease.position).unwrap();
        let generation = usize::try_from(lease.generation).unwrap();
        let (since, place) = self.generations[generation];
        let checked = self.checked.insert(lease.id(), (lease.generation, position));
        let from = match checked {
            // What was once done stays done.
            Some((before, checked)) if before == lease.generation => checked,
            _ => place,
        };
        let record = recorder.record();
        for written in feed.written_between(from.min(position), position, &lease.range) {
            let is_parked = self.parked.get(&written.key).is_some_and(|at| *at <= written.order);
            let is_done = record.handled(&written.key, written.order).is_some_and(|handled| {
                handled.at <= commit.at && (generation == 0 || handled.begun >= since)
            });
            assert!(is_parked || is_done, "{} at {position} lacks {written:?}", lease.id());
        }
    }
}

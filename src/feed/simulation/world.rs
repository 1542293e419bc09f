//! Hosts, a feed and a lease store, what happens to them, and what must always hold.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::task::JoinSet;

use super::{Plan, recorder::Recorder};
use crate::{
    clock::ManualClock,
    feed::{
        FeedRange, Processor, ProcessorOptions, RunningProcessor,
        coverage::check,
        documents::{Document, Lease, Position, host_id},
        handler::Random,
        memory::{MemoryFeed, MemoryLeases, Weather, Written},
    },
};

/// The keys of a simulation.
const KEYS: u64 = 12;
/// How long it may take until everything is handled when nothing goes wrong any more.
const PATIENCE: Duration = Duration::from_mins(10);

pub(super) struct World {
    seed: u64,
    plan: Plan,
    leases: MemoryLeases,
    leases_weather: Weather,
    feed: MemoryFeed,
    feed_weather: Weather,
    recorder: Recorder,
    hosts: Vec<RunningProcessor>,
    stopping: JoinSet<()>,
    started: u64,
    /// The epoch and owner that each lease was seen with last.
    epochs: BTreeMap<String, (u64, Option<String>)>,
    /// Up to where each lease was checked.
    checked: BTreeMap<String, i64>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let latency = Duration::from_millis(30);
        let leases_weather = Weather::fine(seed ^ 0x1111, latency);
        let feed_weather = Weather::fine(seed ^ 0x2222, latency);
        Self {
            seed,
            plan: Plan::default(),
            leases: MemoryLeases::new(leases_weather.clone()),
            feed: MemoryFeed::new(feed_weather.clone(), vec![FeedRange::full()], false),
            recorder: Recorder::new(seed ^ 0x3333),
            hosts: Vec::new(),
            stopping: JoinSet::new(),
            started: 0,
            epochs: BTreeMap::new(),
            checked: BTreeMap::new(),
            leases_weather,
            feed_weather,
        }
    }

    pub(super) fn prepare(&mut self, plan: Plan, random: &mut Random) {
        self.plan = plan;
        let full = vec![FeedRange::full()];
        self.feed = MemoryFeed::new(self.feed_weather.clone(), full, plan.reads_parts);
        while u64::try_from(self.feed.partitions()).unwrap() < plan.partitions {
            self.feed.split(self.place(random.next()));
        }
        if plan.poison {
            let mut record = self.recorder.record();
            record.poison.insert("key-1".to_owned());
            record.poison.insert("key-7".to_owned());
        }
        self.recorder.set_failures(plan.failures, plan.slow);
        self.lose(plan.lost);
        for _ in 0..=random.next() % plan.hosts {
            self.start(random);
        }
    }

    fn lose(&self, thousandths: u64) {
        for weather in [&self.leases_weather, &self.feed_weather] {
            weather.lose(thousandths / 2, thousandths);
        }
    }

    fn place(&self, number: u64) -> usize {
        usize::try_from(number).unwrap_or_default() % self.feed.partitions()
    }

    fn start(&mut self, random: &mut Random) {
        self.started += 1;
        let incarnation = format!("host-{}", self.started);
        let mut options = ProcessorOptions::new(format!("name-{}", random.next() % 3));
        options.poll_max = Duration::from_secs(2);
        options.list_interval = Duration::from_secs(20);
        let recorder = Arc::new(self.recorder.of_host(&incarnation));
        let (feed, leases) = (Arc::new(self.feed.clone()), Arc::new(self.leases.clone()));
        let clock = Arc::new(ManualClock::new(jiff::Timestamp::UNIX_EPOCH));
        let processor = Processor::new(feed, leases, recorder, options)
            .with_clock(clock)
            .with_incarnation(incarnation);
        self.hosts.push(processor.start().unwrap());
    }

    fn take_host(&mut self, random: &mut Random) -> Option<RunningProcessor> {
        let count = u64::try_from(self.hosts.len()).unwrap();
        let place = random.next().checked_rem(count)?;
        Some(self.hosts.swap_remove(usize::try_from(place).unwrap()))
    }

    /// A host dies, its document goes, and another one starts.
    pub(super) async fn replace_host(&mut self, random: &mut Random) {
        let host = self.take_host(random).unwrap();
        let id = host_id(host.incarnation());
        host.kill();
        // What it has sent is still on its way.
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.leases.remove(&id);
        self.start(random);
    }

    /// Something happens.
    pub(super) fn step(&mut self, random: &mut Random) {
        let plan = self.plan;
        let key = if random.next().is_multiple_of(3) { 0 } else { random.next() % KEYS };
        self.feed.write(&format!("key-{key}"), 1 + random.next() % 4);
        let mut happens = |thousandths: u64| random.next() % 1000 < thousandths;
        let (kill, stop) = (happens(plan.kills), happens(plan.stops));
        let (split, merge) = (happens(plan.splits), happens(plan.merges));
        let (lease_outage, feed_outage) = (happens(plan.outages), happens(plan.outages));
        let (hand, start) = (happens(plan.hands), happens(60));
        if kill && let Some(host) = self.take_host(random) {
            host.kill();
        }
        if stop && let Some(host) = self.take_host(random) {
            self.stopping.spawn(async move {
                host.shutdown(Duration::from_secs(20)).await.unwrap();
            });
        }
        if start && u64::try_from(self.hosts.len()).unwrap() < plan.hosts {
            self.start(random);
        }
        if split && self.feed.partitions() < 12 {
            self.feed.split(self.place(random.next()));
        }
        if merge {
            self.feed.merge(self.place(random.next()));
        }
        for (outage, weather) in
            [(lease_outage, &self.leases_weather), (feed_outage, &self.feed_weather)]
        {
            if outage {
                let (weather, seconds) = (weather.clone(), 1 + random.next() % 25);
                weather.set_down(true);
                self.stopping.spawn(async move {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    weather.set_down(false);
                });
            }
        }
        if hand {
            self.spoil(random);
        }
    }

    /// Somebody deletes a lease by hand.
    fn spoil(&self, random: &mut Random) {
        let leases = self.leases.peek();
        let ids: Vec<String> = leases
            .iter()
            .filter(|found| matches!(found.document, Document::Lease(_)))
            .map(|found| found.document.id())
            .collect();
        if !ids.is_empty() {
            let place = usize::try_from(random.next()).unwrap_or_default() % ids.len();
            self.leases.remove(&ids[place]);
        }
    }

    fn parked(&self) -> BTreeMap<String, u64> {
        let parked = |document| match document {
            Document::Parked(parked) => Some((parked.key, parked.order)),
            _ => None,
        };
        self.leases.peek().into_iter().filter_map(|found| parked(found.document)).collect()
    }

    fn is_done(&self, written: &Written, parked: &BTreeMap<String, u64>) -> bool {
        self.recorder.record().has(written)
            || parked.get(&written.key).is_some_and(|from| *from <= written.order)
    }

    /// What must hold at any moment.
    pub(super) fn check(&mut self) {
        let seed = self.seed;
        assert!(self.recorder.record().faults.is_empty(), "{:?}", self.recorder.record().faults);
        let parked = self.parked();
        let leases: Vec<Lease> = self.lease_documents();
        for lease in &leases {
            let now = (lease.epoch, lease.owner.clone());
            if let Some(before) = self.epochs.insert(lease.id(), now.clone()) {
                let is_other = now.1.is_some() && now.1 != before.1;
                let has_risen = now.0 > before.0 || (!is_other && now.0 == before.0);
                // A lease that was deleted by hand is made anew.
                assert!(
                    has_risen || self.plan.hands > 0,
                    "{seed}: {} {before:?} {now:?}",
                    lease.id()
                );
            }
            let Position::Continuation(position) = &lease.position else { continue };
            let position: i64 = position.parse().unwrap();
            let checked = self.checked.insert(lease.id(), position).unwrap_or_default();
            // What was once done stays done.
            let from = checked.min(position);
            for written in self.feed.written_between(from, position, &lease.range) {
                let done = self.is_done(&written, &parked);
                assert!(done, "{} is checkpointed at {position} without {written:?}", lease.id());
            }
        }
    }

    fn lease_documents(&self) -> Vec<Lease> {
        let lease = |document| match document {
            Document::Lease(lease) => Some(lease),
            _ => None,
        };
        self.leases.peek().into_iter().filter_map(|found| lease(found.document)).collect()
    }

    /// Nothing goes wrong any more, and everything is handled within a time.
    pub(super) async fn calm(&mut self, random: &mut Random) {
        self.lose(0);
        self.recorder.set_failures(0, false);
        self.stopping.join_all_now().await;
        self.leases_weather.set_down(false);
        self.feed_weather.set_down(false);
        if self.hosts.is_empty() {
            self.start(random);
        }
        let mut waited = Duration::ZERO;
        loop {
            let parked = self.parked();
            let open =
                self.feed.written().into_iter().find(|written| !self.is_done(written, &parked));
            if open.is_none() && self.covers() {
                return;
            }
            let status = self.hosts.first().map(RunningProcessor::status);
            assert!(waited < PATIENCE, "it does not come to rest, {open:?} is open: {status:?}");
            let step = Duration::from_millis(500);
            tokio::time::sleep(step).await;
            waited = waited.saturating_add(step);
            self.check();
        }
    }

    /// Whether every key is in exactly one lease.
    fn covers(&self) -> bool {
        let ranges: Vec<FeedRange> =
            self.lease_documents().into_iter().map(|lease| lease.range).collect();
        check(&ranges).is_empty()
    }

    /// What must hold in the end.
    pub(super) fn check_all(&mut self) {
        self.check();
        let parked = self.parked();
        let poison = self.recorder.record().poison.clone();
        for key in parked.keys() {
            assert!(poison.contains(key) || self.plan.failures > 0, "{key} is parked");
        }
    }
}

/// Waiting for all tasks of a set.
trait JoinAllNow {
    async fn join_all_now(&mut self);
}

impl JoinAllNow for JoinSet<()> {
    async fn join_all_now(&mut self) {
        while let Some(ended) = self.join_next().await {
            ended.unwrap();
        }
    }
}

//! Hosts, a feed and a lease store, and what happens to them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::future::select_all;
use jiff::{SignedDuration, Timestamp};
use tokio::{task::JoinSet, time::Instant};

use super::{
    Plan,
    device::{Death, Device, DeviceFeed, DeviceLeases},
    ledger::Ledger,
    recorder::Recorder,
};
use crate::{
    clock::ManualClock,
    feed::{
        Control, ControlError, FeedRange, Processor, ProcessorOptions, RunningProcessor,
        documents::{Start, host_id},
        handler::Random,
        memory::{MemoryFeed, MemoryLeases, Weather},
    },
};

/// The keys of a simulation.
const KEYS: u64 = 12;
/// How long it may take until everything is handled when nothing goes wrong any more.
const PATIENCE: Duration = Duration::from_mins(10);
/// How long a request takes one way at the most, in fine weather.
pub(super) const LATENCY: Duration = Duration::from_millis(30);
/// How far the clock of a host is off at the most, in milliseconds.
const SKEW_MAX_MS: i64 = 120_000;

/// A host that runs, and what it runs on.
pub(super) struct Guest {
    running: RunningProcessor,
    pub(super) device: Arc<Device>,
    clock: Arc<ManualClock>,
    /// How far its clock is off at first, and how much faster it goes, in thousandths.
    skew: (i64, i64),
}

impl Guest {
    /// Its device, when that is to die.
    fn doomed(&self) -> Option<Arc<Device>> {
        self.device.is_doomed().then(|| Arc::clone(&self.device))
    }
}

pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) leases: MemoryLeases,
    pub(super) leases_weather: Weather,
    pub(super) feed: MemoryFeed,
    pub(super) feed_weather: Weather,
    pub(super) recorder: Recorder,
    pub(super) ledger: Ledger,
    pub(super) hosts: Vec<Guest>,
    pub(super) tasks: JoinSet<()>,
    /// Until when the way of some host or store is troubled.
    pub(super) troubled: [Option<Instant>; 2],
    started: u64,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let leases_weather = Weather::fine(seed ^ 0x1111, LATENCY);
        let feed_weather = Weather::fine(seed ^ 0x2222, LATENCY);
        let leases = MemoryLeases::new(leases_weather.clone());
        leases.keep_history();
        Self {
            plan: Plan::default(),
            recorder: Recorder::new(seed ^ 0x3333, leases.clone()),
            leases,
            feed: MemoryFeed::new(feed_weather.clone(), vec![FeedRange::full()], false),
            ledger: Ledger::new(),
            hosts: Vec::new(),
            tasks: JoinSet::new(),
            troubled: [None; 2],
            started: 0,
            leases_weather,
            feed_weather,
        }
    }

    pub(super) fn prepare(&mut self, plan: Plan, random: &mut Random) {
        self.prepare_without_hosts(plan);
        for _ in 0..=random.next() % plan.hosts {
            self.start(random);
        }
    }

    pub(super) fn prepare_without_hosts(&mut self, plan: Plan) {
        self.plan = plan;
        let full = vec![FeedRange::full()];
        self.feed = MemoryFeed::new(self.feed_weather.clone(), full, plan.reads_parts);
        let mut count = 0;
        while u64::try_from(self.feed.partitions()).unwrap() < plan.partitions {
            // Every other one of those there are, so that they become about the same.
            self.feed.split(count % self.feed.partitions());
            count += 2;
        }
        let mut record = self.recorder.record();
        if plan.poison {
            record.poison.insert("key-1".to_owned());
            record.poison.insert("key-7".to_owned());
        }
        record.forgives = plan.hands > 0;
        record.is_redriven = plan.redrives > 0;
        drop(record);
        self.recorder.set(plan.failures, plan.handler_time());
        self.lose(plan.lost);
        self.leases_weather.set_staleness(Duration::from_millis(plan.stale_ms));
    }

    fn lose(&self, thousandths: u64) {
        for weather in [&self.leases_weather, &self.feed_weather] {
            weather.lose(thousandths / 2, thousandths);
        }
    }

    pub(super) fn place(&self, number: u64) -> usize {
        usize::try_from(number).unwrap_or_default() % self.feed.partitions()
    }

    /// A host starts, with one of few names.
    pub(super) fn start(&mut self, random: &mut Random) {
        let mut options = ProcessorOptions::new(format!("name-{}", random.next() % 3));
        options.poll_max = Duration::from_secs(2);
        options.list_interval = Duration::from_secs(20);
        if self.plan.starts_now {
            options.start = Start::Now;
        }
        if random.next().is_multiple_of(2) {
            // What was read waits for a place.
            options.runs_max = 3;
        }
        if self.plan.partitions > 100 {
            // Most of them are idle.
            (options.poll_min, options.poll_max) = (Duration::from_secs(1), Duration::from_secs(5));
        }
        let mut between =
            |end: i64| i64::try_from(random.next() % 2001).unwrap() * end / 1000 - end;
        let skew = (between(SKEW_MAX_MS), between(50));
        self.start_with(options, if self.plan.skew { skew } else { (0, 0) }, None);
    }

    pub(super) fn start_with(
        &mut self,
        options: ProcessorOptions,
        skew: (i64, i64),
        death: Option<Death>,
    ) {
        self.started += 1;
        let incarnation = format!("host-{}", self.started);
        let device = Device::new(death);
        device.delay(self.plan.late);
        let recorder = Arc::new(self.recorder.of_host(&incarnation));
        let feed = DeviceFeed { device: Arc::clone(&device), feed: self.feed.clone() };
        let leases = DeviceLeases {
            device: Arc::clone(&device),
            leases: self.leases.client(&incarnation),
            weather: self.leases_weather.clone(),
        };
        let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
        let processor = Processor::new(Arc::new(feed), Arc::new(leases), recorder, options)
            .with_clock(Arc::<ManualClock>::clone(&clock))
            .with_incarnation(incarnation);
        let running = processor.start().unwrap();
        self.hosts.push(Guest { running, device, clock, skew });
        self.set_clocks();
    }

    /// Clocks go on, each at its own pace.
    fn set_clocks(&self) {
        let now = i64::try_from(self.feed.second()).unwrap();
        let since = now.saturating_sub(1_700_000_000);
        for Guest { clock, skew: (skew, faster), .. } in &self.hosts {
            let off = SignedDuration::from_millis(skew + since * faster);
            clock.set(Timestamp::from_second(now).unwrap() + off);
        }
    }

    pub(super) fn take_host(&mut self, random: &mut Random) -> Option<Guest> {
        let count = u64::try_from(self.hosts.len()).unwrap();
        let place = random.next().checked_rem(count)?;
        Some(self.hosts.swap_remove(usize::try_from(place).unwrap()))
    }

    pub(super) fn kill(guest: Guest) {
        guest.running.kill();
    }

    /// A host stops cleanly.
    pub(super) fn stop(&mut self, guest: Guest) {
        self.tasks.spawn(async move {
            tokio::select! {
                biased;
                // One that dies meanwhile is dropped, and does nothing more.
                () = guest.device.dies() => {}
                stopped = guest.running.shutdown(Duration::from_secs(20)) => stopped.unwrap(),
            }
        });
    }

    /// A host dies, its document goes, and another one starts.
    pub(super) async fn replace_host(&mut self, random: &mut Random) {
        let host = self.take_host(random).unwrap();
        let id = host_id(host.running.incarnation());
        Self::kill(host);
        // What it has sent is still on its way.
        self.pass(Duration::from_secs(1)).await;
        self.leases.remove(&id);
        self.start(random);
    }

    pub(super) fn write(&self, random: &mut Random) {
        let hot = if self.plan.hot { 10 } else { 3 };
        let is_hot = random.next() % 12 < hot;
        let key = if is_hot { 0 } else { random.next() % KEYS };
        let changes = if self.plan.hot && is_hot { 30 } else { 4 };
        self.feed.write(&format!("key-{key}"), 1 + random.next() % changes);
    }

    /// What an operator tells all hosts.
    pub(super) fn control(&self) -> Control {
        Control::new(Arc::new(self.leases.client("operator")))
    }

    /// Time passes, and whose device dies is dead at once.
    pub(super) async fn pass(&mut self, time: Duration) {
        let until = Instant::now() + time;
        loop {
            let doomed: Vec<Arc<Device>> = self.hosts.iter().filter_map(Guest::doomed).collect();
            if doomed.is_empty() {
                break;
            }
            let deaths = doomed.iter().map(|device| Box::pin(device.dies()));
            tokio::select! {
                biased;
                _ = select_all(deaths) => {}
                () = tokio::time::sleep_until(until) => break,
            }
            let (dead, alive) = std::mem::take(&mut self.hosts)
                .into_iter()
                .partition(|guest| guest.device.is_dead());
            self.hosts = alive;
            Vec::into_iter(dead).for_each(Self::kill);
        }
        tokio::time::sleep_until(until).await;
        self.set_clocks();
        self.check();
    }

    /// How many leases each host has.
    pub(super) fn shares(&self) -> BTreeMap<String, usize> {
        let mut shares = BTreeMap::new();
        for owner in self.ledger.leases.values().filter_map(|lease| lease.owner.clone()) {
            *shares.entry(owner).or_default() += 1;
        }
        shares
    }

    /// The first change that is neither handled nor parked.
    pub(super) fn open(&self) -> Option<crate::feed::memory::Written> {
        let record = self.recorder.record();
        self.feed.find(|key, order| {
            let is_parked = self.ledger.parked.get(key).is_some_and(|from| *from <= order);
            !is_parked && record.handled(key, order).is_none()
        })
    }

    /// The first change that was not handled again after the last rewind.
    fn not_again(&self) -> Option<crate::feed::memory::Written> {
        self.ledger.not_again(&self.feed, &self.recorder.record())
    }

    /// What must hold at any moment.
    pub(super) fn check(&mut self) {
        while self.tasks.try_join_next().is_some_and(|ended| {
            ended.unwrap();
            true
        }) {}
        for commit in self.leases.take_history() {
            self.ledger.take(&commit, &self.feed, &self.recorder);
        }
        let mut record = self.recorder.record();
        self.ledger.check_begun(&std::mem::take(&mut record.begun));
        assert!(record.faults.is_empty(), "{:#?}", record.faults);
        assert!(self.feed.refused() == 0 || self.plan.hands > 0, "a place was used elsewhere");
    }

    /// Nothing goes wrong any more, and everything is handled within a time.
    pub(super) async fn calm(&mut self, random: &mut Random) {
        self.lose(0);
        self.recorder.set(0, Duration::from_millis(40));
        for weather in [&self.leases_weather, &self.feed_weather] {
            weather.set_staleness(Duration::ZERO);
            weather.set_latency(LATENCY);
        }
        for guest in &self.hosts {
            guest.device.delay(0);
        }
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
        for weather in [&self.leases_weather, &self.feed_weather] {
            weather.set_down(false);
            weather.set_throttled(false);
        }
        if self.hosts.is_empty() {
            self.start(random);
        }
        if self.plan.controls > 0 {
            self.control().resume().await.unwrap();
        }
        let mut waited = Duration::ZERO;
        loop {
            self.check();
            let open = self.open().or_else(|| self.not_again());
            let is_free = self.plan.redrives == 0 || self.ledger.parked.is_empty();
            if open.is_none() && self.ledger.covers() && self.ledger.is_settled() && is_free {
                return;
            }
            if !is_free {
                self.redrive_all().await;
            }
            let status = self.hosts.first().map(|guest| guest.running.status());
            assert!(waited < PATIENCE, "it does not come to rest, {open:?} is open: {status:#?}");
            let step = Duration::from_millis(500);
            self.pass(step).await;
            waited += step;
        }
    }

    /// Nothing is poison any more, and everything that was parked is tried again.
    async fn redrive_all(&self) {
        self.recorder.record().poison.clear();
        for key in self.ledger.parked.keys() {
            let told = self.control().redrive(key, None).await;
            assert!(matches!(
                told,
                Ok(()) | Err(ControlError::NotParked | ControlError::Contended)
            ));
        }
    }

    /// What must hold in the end.
    pub(super) fn check_all(&mut self) {
        self.check();
        let record = self.recorder.record();
        for key in self.ledger.parked.keys() {
            assert!(record.poison.contains(key) || self.plan.failures > 0, "{key} is parked");
        }
        if self.plan.is_cooperative {
            assert_eq!(record.repeated, 0, "something came twice");
        }
    }
}

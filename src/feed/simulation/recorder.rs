//! A handler that notes what it gets, fails as it is told, and knows what a handler may rely on.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use tokio::time::Instant;

use crate::feed::{
    documents::{Document, host_id, lease_id},
    handler::{Delivery, Handler, HandlerFault, Random},
    memory::MemoryLeases,
};

/// How exact timers are.
const TICKS: Duration = Duration::from_millis(5);

/// A change that was handled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Handled {
    /// When it was handled for the first time.
    pub(super) at: Instant,
    /// When the run began in which it was handled last.
    pub(super) begun: Instant,
}

/// What has happened to a key.
#[derive(Debug, Default)]
struct Key {
    /// Its changes from the first one on.
    handled: Vec<Handled>,
    /// Who works on it now.
    working: Option<String>,
    /// The run that began last.
    last: Option<Last>,
}

#[derive(Debug)]
struct Last {
    host: String,
    epoch: u64,
    /// Where the next one must begin.
    next: u64,
}

/// What all handlers of a simulation have done.
#[derive(Debug, Default)]
pub(super) struct Record {
    keys: BTreeMap<String, Key>,
    /// When runs have begun.
    pub(super) begun: Vec<Instant>,
    /// Changes that were handled more than once.
    pub(super) repeated: u64,
    /// What must not have happened.
    pub(super) faults: Vec<String>,
    random: Option<Random>,
    /// In thousandths.
    failures: u64,
    time_max_ms: u64,
    /// Keys that cannot be handled.
    pub(super) poison: BTreeSet<String>,
    /// Leases are deleted by hand: what they were, nobody knows any more.
    pub(super) forgives: bool,
    /// Keys are tried again: what was stored meanwhile may come twice.
    pub(super) is_redriven: bool,
}

impl Record {
    /// The change of a key, if it was handled.
    pub(super) fn handled(&self, key: &str, order: u64) -> Option<Handled> {
        let place = usize::try_from(order.checked_sub(1)?).ok()?;
        self.keys.get(key)?.handled.get(place).copied()
    }

    fn draw(&mut self, end: u64) -> u64 {
        self.random.as_mut().map_or(0, |random| random.next() % end.max(1))
    }

    fn fault(&mut self, host: &str, delivery: &Delivery, text: &str) {
        let Delivery { key, epoch, range, .. } = delivery;
        self.faults.push(format!("{host} with epoch {epoch} of {range} on {key}: {text}"));
    }
}

/// The handler of one host.
#[derive(Debug, Clone)]
pub(super) struct Recorder {
    record: Arc<Mutex<Record>>,
    leases: MemoryLeases,
    host: String,
    /// How long a renewal lasts.
    fence: Duration,
}

impl Recorder {
    pub(super) fn new(seed: u64, leases: MemoryLeases) -> Self {
        let record =
            Record { random: Some(Random::new(seed)), time_max_ms: 40, ..Record::default() };
        let fence = crate::feed::ProcessorOptions::new("any").fence();
        Self { record: Arc::new(Mutex::new(record)), leases, host: String::new(), fence }
    }

    pub(super) fn of_host(&self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self.clone() }
    }

    pub(super) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets so many of a thousand runs fail, and runs take up to a time.
    pub(super) fn set(&self, failures: u64, time_max: Duration) {
        let mut record = self.record();
        record.failures = failures;
        record.time_max_ms = u64::try_from(time_max.as_millis()).unwrap();
    }

    /// The changes of a run come in order, and nothing before them is left out; within an epoch each run
    /// begins where the last one has ended.
    fn check_order(&self, record: &mut Record, delivery: &Delivery) {
        let orders: Vec<u64> = delivery.changes.iter().map(|change| change.order).collect();
        let (first, last) = (orders[0], orders[orders.len() - 1]);
        if !orders.is_sorted_by(|one, next| next.checked_sub(1) == Some(*one)) {
            record.fault(&self.host, delivery, &format!("comes as {orders:?}"));
        }
        let key = record.keys.entry(delivery.key.clone()).or_default();
        let done = u64::try_from(key.handled.len()).unwrap();
        let next = Last { host: self.host.clone(), epoch: delivery.epoch, next: first };
        let before = key.last.replace(next);
        if first > done + 1 {
            let text = format!("comes from {first} on, and {} was not handled", done + 1);
            record.fault(&self.host, delivery, &text);
        }
        let Some(before) = before else { return };
        let is_same = before.epoch == delivery.epoch;
        if (delivery.epoch < before.epoch || (is_same && before.host != self.host))
            && !record.forgives
        {
            record.fault(&self.host, delivery, &format!("comes after {before:?}"));
        }
        let is_next = first == before.next || (record.is_redriven && first < before.next);
        if is_same && before.host == self.host && !is_next && !record.forgives {
            let text = format!("{first} to {last} come after {before:?}");
            record.fault(&self.host, delivery, &text);
        }
    }

    /// Only the owner works on a range, and only as long as it may.
    fn check_owner(&self, record: &mut Record, delivery: &Delivery) {
        let found = self.leases.peek_one(&lease_id(&delivery.range));
        match found.as_ref().map(|(found, _)| &found.document) {
            // Nor does who spoils one.
            Some(Document::Lease(lease)) if lease.is_damaged => {}
            Some(Document::Lease(lease)) => {
                if lease.owner.as_ref() != Some(&self.host) || lease.epoch != delivery.epoch {
                    let text = format!("{:?} owns it with epoch {}", lease.owner, lease.epoch);
                    record.fault(&self.host, delivery, &text);
                }
            }
            // Whoever deletes a lease by hand does not tell its owner.
            _ if record.forgives => {}
            _ => record.fault(&self.host, delivery, "there is no such lease"),
        }
        if let Some((_, beat)) = self.leases.peek_one(&host_id(&self.host)) {
            let since = Instant::now().saturating_duration_since(beat);
            if since > self.fence.saturating_add(TICKS) {
                record.fault(&self.host, delivery, &format!("acts {since:?} after its last beat"));
            }
        }
    }

    fn begin(&self, delivery: &Delivery) -> (Duration, u64) {
        let mut record = self.record();
        record.begun.push(Instant::now());
        self.check_order(&mut record, delivery);
        self.check_owner(&mut record, delivery);
        let key = record.keys.entry(delivery.key.clone()).or_default();
        if let Some(other) = key.working.replace(self.host.clone()) {
            record.fault(&self.host, delivery, &format!("{other} works on it, too"));
        }
        let longest = record.time_max_ms;
        (Duration::from_millis(record.draw(longest)), record.draw(1000))
    }

    fn end(&self, delivery: &Delivery, begun: Instant, fate: u64) -> Result<(), HandlerFault> {
        let mut record = self.record();
        self.check_owner(&mut record, delivery);
        if record.poison.contains(&delivery.key) {
            return Err(HandlerFault::transient("it never works"));
        }
        if fate < record.failures {
            return Err(HandlerFault::transient("not this time"));
        }
        let key = record.keys.entry(delivery.key.clone()).or_default();
        let (mut repeated, at) = (0, Instant::now());
        for change in delivery.changes.iter() {
            let place = usize::try_from(change.order).unwrap().saturating_sub(1);
            match key.handled.get_mut(place) {
                Some(handled) => {
                    handled.begun = begun;
                    repeated += 1;
                }
                None => key.handled.push(Handled { at, begun }),
            }
            if let Some(last) = &mut key.last {
                last.next = change.order + 1;
            }
        }
        record.repeated += repeated;
        Ok(())
    }
}

/// Takes the note away that somebody works on a key, also when the work is cut off.
struct Working<'a> {
    recorder: &'a Recorder,
    key: &'a str,
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.recorder.record().keys.get_mut(self.key) {
            key.working = None;
        }
    }
}

impl Handler for Recorder {
    fn handle<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Result<(), HandlerFault>> {
        Box::pin(async move {
            let begun = Instant::now();
            let (time, fate) = self.begin(delivery);
            let working = Working { recorder: self, key: &delivery.key };
            tokio::time::sleep(time).await;
            drop(working);
            self.end(delivery, begun, fate)
        })
    }
}

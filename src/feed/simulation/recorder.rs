//! A handler that notes what it gets, and fails as it is told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;

use crate::feed::{
    handler::{Delivery, Handler, HandlerFault, Random},
    memory::Written,
};

/// What all handlers of a simulation have done.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// The changes that were handled, by key.
    pub(super) handled: BTreeMap<String, BTreeSet<u64>>,
    /// Who works on a key now.
    working: BTreeMap<String, String>,
    /// Changes that were handled more than once.
    pub(super) repeated: u64,
    /// What must not have happened.
    pub(super) faults: Vec<String>,
    random: Option<Random>,
    /// In thousandths.
    failures: u64,
    slow: bool,
    /// Keys that cannot be handled.
    pub(super) poison: BTreeSet<String>,
}

impl Record {
    /// Whether a change was handled.
    pub(super) fn has(&self, written: &Written) -> bool {
        self.handled.get(&written.key).is_some_and(|orders| orders.contains(&written.order))
    }

    fn draw(&mut self, end: u64) -> u64 {
        self.random.as_mut().map_or(0, |random| random.next() % end.max(1))
    }
}

/// The handler of one host.
#[derive(Debug, Clone)]
pub(super) struct Recorder {
    record: Arc<Mutex<Record>>,
    host: String,
}

impl Recorder {
    pub(super) fn new(seed: u64) -> Self {
        let record = Record { random: Some(Random::new(seed)), ..Record::default() };
        Self { record: Arc::new(Mutex::new(record)), host: String::new() }
    }

    pub(super) fn of_host(&self, host: &str) -> Self {
        Self { record: Arc::clone(&self.record), host: host.to_owned() }
    }

    pub(super) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_failures(&self, failures: u64, slow: bool) {
        let mut record = self.record();
        (record.failures, record.slow) = (failures, slow);
    }

    /// The changes of a run come in order, and nothing before them is left out.
    fn check(record: &mut Record, delivery: &Delivery) {
        let orders: Vec<u64> = delivery.changes.iter().map(|change| change.order).collect();
        let done = record.handled.get(&delivery.key).cloned().unwrap_or_default();
        if !orders.is_sorted_by(|one, next| next.checked_sub(1) == Some(*one)) {
            record.faults.push(format!("{} comes as {orders:?}", delivery.key));
        }
        if let Some(first) = orders.first()
            && let Some(missing) = (1..*first).find(|order| !done.contains(order))
        {
            let text = format!("{} comes from {first} on before {missing}", delivery.key);
            record.faults.push(text);
        }
    }
}

/// Takes the note away that somebody works on a key, also when the work is cut off.
struct Working<'a> {
    recorder: &'a Recorder,
    key: &'a str,
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.recorder.record().working.remove(self.key);
    }
}

impl Handler for Recorder {
    fn handle<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Result<(), HandlerFault>> {
        Box::pin(async move {
            let (time, fate) = {
                let mut record = self.record();
                let before = record.working.insert(delivery.key.clone(), self.host.clone());
                if let Some(before) = before {
                    let text = format!("{} and {before} work on {}", self.host, delivery.key);
                    record.faults.push(text);
                }
                Self::check(&mut record, delivery);
                let longest = if record.slow { 3000 } else { 40 };
                (Duration::from_millis(record.draw(longest)), record.draw(1000))
            };
            let working = Working { recorder: self, key: &delivery.key };
            tokio::time::sleep(time).await;
            drop(working);
            let mut record = self.record();
            if record.poison.contains(&delivery.key) {
                return Err(HandlerFault::transient("it never works"));
            }
            if fate < record.failures {
                return Err(HandlerFault::transient("not this time"));
            }
            for change in delivery.changes.iter() {
                let orders = record.handled.entry(delivery.key.clone()).or_default();
                if !orders.insert(change.order) {
                    record.repeated = record.repeated.saturating_add(1);
                }
            }
            Ok(())
        })
    }
}

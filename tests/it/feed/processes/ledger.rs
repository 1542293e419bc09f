//! What was delivered, and what must hold of it.

use std::collections::{BTreeMap, BTreeSet};

use cosmos_event_store::feed::options::RUNS_MAX;
use serde_json::Value;

/// One run of events of a stream.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) worker: String,
    pub(crate) epoch: u64,
    pub(crate) numbers: Vec<u64>,
}

/// The runs of each stream, as they came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger(BTreeMap<String, Vec<Run>>);

/// The numbers of the events of a delivery.
pub(crate) fn numbers(delivery: &Value) -> Vec<u64> {
    let events = delivery["events"].as_array().unwrap();
    events.iter().map(|event| event["sequenceNumber"].as_u64().unwrap()).collect()
}

impl Ledger {
    pub(crate) fn note(&mut self, worker: &str, delivery: &Value) {
        let numbers = numbers(delivery);
        assert!(numbers.is_sorted_by(|one, next| one + 1 == *next), "{numbers:?}");
        assert!(!numbers.is_empty());
        let stream = delivery["stream"].as_str().unwrap().to_owned();
        let epoch = delivery["epoch"].as_u64().unwrap();
        self.0.entry(stream).or_default().push(Run { worker: worker.to_owned(), epoch, numbers });
    }

    pub(crate) fn has_from(&self, worker: &str) -> bool {
        self.0.values().flatten().any(|run| run.worker == worker)
    }

    /// Whether a worker has delivered what comes after a number.
    pub(crate) fn has_behind(&self, worker: &str, number: u64) -> bool {
        let mut runs = self.0.values().flatten().filter(|run| run.worker == worker);
        runs.any(|run| run.numbers.iter().any(|delivered| *delivered > number))
    }

    /// All but some streams.
    pub(crate) fn without(&self, streams: &[&str]) -> Self {
        let mut others = self.clone();
        others.0.retain(|stream, _| !streams.contains(&stream.as_str()));
        others
    }

    /// The numbers of a stream as they came.
    pub(crate) fn of(&self, stream: &str) -> Vec<u64> {
        self.0.get(stream).into_iter().flatten().flat_map(|run| run.numbers.clone()).collect()
    }

    /// Whether so many streams have their events up to a number.
    pub(crate) fn is_complete_of(&self, streams: usize, last: u64) -> bool {
        self.is_complete(streams, last, 1)
    }

    /// Whether so many streams have all their events up to a number, each at least so many times.
    pub(crate) fn is_complete(&self, streams: usize, last: u64, times: usize) -> bool {
        self.0.len() == streams
            && self.0.values().all(|runs| {
                let mut counts = BTreeMap::<u64, usize>::new();
                for number in runs.iter().flat_map(|run| &run.numbers) {
                    *counts.entry(*number).or_default() += 1;
                }
                (1..=last).all(|number| counts.get(&number).is_some_and(|count| *count >= times))
            })
    }

    /// How many streams are not complete, for the message of a failure.
    pub(crate) fn missing(&self, last: u64) -> Vec<(&String, &Vec<Run>)> {
        let is_missing = |runs: &Vec<Run>| {
            let had: BTreeSet<u64> = runs.iter().flat_map(|run| run.numbers.clone()).collect();
            (1..=last).any(|number| !had.contains(&number))
        };
        self.0.iter().filter(|(_, runs)| is_missing(runs)).collect()
    }

    /// The last number of all.
    pub(crate) fn most(&self) -> u64 {
        self.0.values().flatten().flat_map(|run| run.numbers.clone()).max().unwrap_or_default()
    }

    /// Whoever had a stream in an epoch delivered it alone, without gap and without repeating; whoever came
    /// after began not behind the next event.
    pub(crate) fn check_order(&self) {
        for (stream, runs) in &self.0 {
            let mut epochs = BTreeMap::<u64, Vec<&Run>>::new();
            for run in runs {
                epochs.entry(run.epoch).or_default().push(run);
            }
            let mut done = 0;
            for (epoch, runs) in epochs {
                let workers: BTreeSet<&str> = runs.iter().map(|run| run.worker.as_str()).collect();
                assert_eq!(workers.len(), 1, "{stream} in epoch {epoch}: {runs:?}");
                let numbers: Vec<u64> = runs.iter().flat_map(|run| run.numbers.clone()).collect();
                let is_gapless = numbers.is_sorted_by(|one, next| one + 1 == *next);
                assert!(is_gapless, "{stream} in epoch {epoch}: {numbers:?}");
                assert!(numbers[0] <= done + 1, "{stream} in epoch {epoch}: a gap behind {done}");
                done = done.max(numbers[numbers.len() - 1]);
            }
        }
    }

    /// What a worker delivered after others had the stream in a later epoch was begun before: of each
    /// stream one run at most, of events up to a number, and no more of them than run at a time.
    pub(crate) fn check_late(&self, worker: &str, number: u64) {
        let mut late_in_all = 0;
        for (stream, runs) in &self.0 {
            let (mut newest, mut late) = (0, 0);
            for run in runs {
                if run.worker == worker && run.epoch < newest {
                    late += 1;
                    let is_old = run.numbers.iter().all(|delivered| *delivered <= number);
                    assert!(is_old, "{stream}: {run:?} after epoch {newest}: {runs:?}");
                }
                newest = newest.max(run.epoch);
            }
            assert!(late <= 1, "{stream}: {late} runs are late: {runs:?}");
            late_in_all += late;
        }
        assert!(late_in_all <= RUNS_MAX, "{late_in_all} runs are late");
    }

    /// Each stream came in exactly this order.
    pub(crate) fn check_exactly(&self, numbers: &[u64]) {
        for (stream, runs) in &self.0 {
            assert_eq!(self.of(stream), numbers, "{stream}: {runs:?}");
        }
    }

    /// No event came twice.
    pub(crate) fn check_once(&self) {
        for (stream, runs) in &self.0 {
            let mut had = BTreeSet::new();
            for number in runs.iter().flat_map(|run| &run.numbers) {
                assert!(had.insert(number), "{stream}: {number} came twice: {runs:?}");
            }
        }
    }
}

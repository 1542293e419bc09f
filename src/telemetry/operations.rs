//! What a store has done since it was opened, counted by operation and outcome.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use super::{
    OperationKind, Outcome, StoreOperation,
    figures::{Figure, Named, Sample, Times},
};

/// The upper bounds of the times that are counted, in seconds: from a read on loopback to an append that
/// was repeated until its time was over.
pub const OPERATION_SECONDS: [f64; 10] =
    [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0, 30.0];

/// The figures of a store, in the order in which they are told.
pub const NAMES: [Named; 8] =
    [OPERATIONS, REQUEST_CHARGE, ROUND_TRIPS, RETRIES, THROTTLES, ITEMS, BYTES, TIME];
const OPERATIONS: Named = Named::counter(
    "cosmos_es_store_operations_total",
    "operations, by `operation` and `outcome`: done, repeated, conflict, throttled, outcome_unknown and more",
);
const REQUEST_CHARGE: Named =
    Named::counter("cosmos_es_store_request_charge_total", "RU, by `operation`");
const ROUND_TRIPS: Named =
    Named::counter("cosmos_es_store_round_trips_total", "requests that were sent, by `operation`");
const RETRIES: Named = Named::counter(
    "cosmos_es_store_retries_total",
    "requests that failed and were sent again, by `operation`",
);
const THROTTLES: Named = Named::counter(
    "cosmos_es_store_throttles_total",
    "requests that were answered with 429, by `operation`",
);
const ITEMS: Named = Named::counter(
    "cosmos_es_store_items_total",
    "documents that were read or written, by `operation`",
);
const BYTES: Named = Named::counter(
    "cosmos_es_store_bytes_total",
    "bytes of JSON that were read or written, by `operation`",
);
const TIME: Named = Named::histogram(
    "cosmos_es_store_operation_seconds",
    "how long operations took with all their requests, by `operation`",
);

/// The samples of one kind of operations, with the labels that all of them have.
type SamplesOf<'a> = dyn Fn(&[(&'static str, &str)], &Tally) -> Vec<Sample> + 'a;

/// Counts the operations of a store.
#[derive(Debug, Default)]
pub(crate) struct Operations(Mutex<BTreeMap<OperationKind, Tally>>);

/// What operations of one kind have done.
#[derive(Debug, Clone)]
struct Tally {
    outcomes: BTreeMap<Outcome, u64>,
    request_charge: f64,
    round_trips: u64,
    retries: u64,
    throttles: u64,
    items: u64,
    bytes: u64,
    time: Times,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            outcomes: BTreeMap::new(),
            request_charge: 0.0,
            round_trips: 0,
            retries: 0,
            throttles: 0,
            items: 0,
            bytes: 0,
            time: Times::new(&OPERATION_SECONDS),
        }
    }
}

impl Tally {
    fn add(&mut self, operation: &StoreOperation<'_>) {
        let outcome = self.outcomes.entry(operation.outcome).or_default();
        *outcome = outcome.saturating_add(1);
        self.request_charge += operation.request_charge;
        for (sum, more) in [
            (&mut self.round_trips, u64::from(operation.round_trips)),
            (&mut self.retries, u64::from(operation.retries)),
            (&mut self.throttles, u64::from(operation.throttles)),
            (&mut self.items, operation.items),
            (&mut self.bytes, operation.bytes),
        ] {
            *sum = sum.saturating_add(more);
        }
        self.time.add(operation.elapsed);
    }
}

impl Operations {
    pub(crate) fn add(&self, operation: &StoreOperation<'_>) {
        let mut tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tallies.entry(operation.kind).or_default().add(operation);
    }

    pub(crate) fn figures(&self) -> Vec<Figure> {
        let tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let of = |sample: &SamplesOf<'_>| {
            let of_one = |(kind, tally): (&OperationKind, &Tally)| {
                sample(&[("operation", kind.as_str())], tally)
            };
            tallies.iter().flat_map(of_one).collect::<Vec<_>>()
        };
        let counts = |count: fn(&Tally) -> u64| {
            of(&|labels, tally| vec![Sample::count(labels, count(tally))])
        };
        let outcomes = of(&|labels, tally| {
            let of_one = |(outcome, count): (&Outcome, &u64)| {
                let labels: Vec<_> =
                    labels.iter().copied().chain([("outcome", outcome.as_str())]).collect();
                Sample::count(&labels, *count)
            };
            tally.outcomes.iter().map(of_one).collect()
        });
        vec![
            OPERATIONS.with(outcomes),
            REQUEST_CHARGE
                .with(of(&|labels, tally| vec![Sample::amount(labels, tally.request_charge)])),
            ROUND_TRIPS.with(counts(|tally| tally.round_trips)),
            RETRIES.with(counts(|tally| tally.retries)),
            THROTTLES.with(counts(|tally| tally.throttles)),
            ITEMS.with(counts(|tally| tally.items)),
            BYTES.with(counts(|tally| tally.bytes)),
            TIME.with(of(&|labels, tally| vec![Sample::times(labels, tally.time.clone())])),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::figures::text;

    #[test]
    fn operations_are_counted_by_kind_and_outcome() {
        let operations = Operations::default();
        let mut append = StoreOperation::new(OperationKind::Append, "quote");
        (append.request_charge, append.round_trips, append.retries) = (7.5, 2, 1);
        append.elapsed = Duration::from_millis(3);
        operations.add(&append);
        append.outcome = Outcome::Conflict;
        operations.add(&append);
        operations.add(&StoreOperation::new(OperationKind::ReadPage, ""));
        let figures = operations.figures();
        assert_eq!(figures.iter().map(|figure| figure.named).collect::<Vec<_>>(), NAMES);
        let text = text(&figures);
        for expected in [
            "cosmos_es_store_operations_total{operation=\"append\",outcome=\"done\"} 1",
            "cosmos_es_store_operations_total{operation=\"append\",outcome=\"conflict\"} 1",
            "cosmos_es_store_operations_total{operation=\"read_page\",outcome=\"done\"} 1",
            "cosmos_es_store_request_charge_total{operation=\"append\"} 15",
            "cosmos_es_store_round_trips_total{operation=\"append\"} 4",
            "cosmos_es_store_retries_total{operation=\"append\"} 2",
            "cosmos_es_store_operation_seconds_bucket{operation=\"append\",le=\"0.002\"} 0",
            "cosmos_es_store_operation_seconds_bucket{operation=\"append\",le=\"0.005\"} 2",
        ] {
            assert!(text.lines().any(|line| line == expected), "{expected} in\n{text}");
        }
        // Of a stream not even the category: there may be as many as there are data.
        assert!(!text.contains("quote"));
    }
}

//! What a host counts and measures, and the names of its figures.
//!
//! Names are part of the interface: `docs/processor.md` lists them, and a test compares. No key, position
//! or payload is in a label.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::host::{HeldStatus, LeaseState, LeaseStatus, Status};
use crate::telemetry::figures::{Figure, Named, Sample, Times};

/// The upper bounds of the handler times that are counted, in seconds. The last one is the default limit of
/// an attempt.
pub const HANDLER_SECONDS: [f64; 9] = [0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0];

/// What a host has done since it was started.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Metrics {
    /// Pages that were read, empty ones included.
    pub pages: u64,
    /// Changes that were read.
    pub changes: u64,
    /// Changes that were handled.
    pub handled: u64,
    /// Attempts of handlers that failed.
    pub failures: u64,
    /// Keys that were set aside.
    pub parked: u64,
    /// Checkpoints that were stored.
    pub checkpoints: u64,
    /// Leases that were taken.
    pub acquired: u64,
    /// Leases that were given away or replaced by others in order.
    pub released: u64,
    /// Leases that were lost: taken by others, or laid down because the host could not renew.
    pub lost: u64,
    /// The request charge of reading changes, in RU.
    pub feed_charge: f64,
    /// The request charge of keeping leases, in RU; 0 where the lease store does not say.
    pub leases_charge: f64,
    /// How long attempts of handlers took, by the bounds of [`HANDLER_SECONDS`].
    pub handler_time: Times,
    /// How long commits of leases took, those that failed included, by the bounds of [`HANDLER_SECONDS`].
    pub commit_time: Times,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            pages: 0,
            changes: 0,
            handled: 0,
            failures: 0,
            parked: 0,
            checkpoints: 0,
            acquired: 0,
            released: 0,
            lost: 0,
            feed_charge: 0.0,
            leases_charge: 0.0,
            handler_time: Times::new(&HANDLER_SECONDS),
            commit_time: Times::new(&HANDLER_SECONDS),
        }
    }
}

/// What the tasks of a host count together.
#[derive(Debug, Default)]
pub(super) struct Meter(Mutex<Metrics>);

impl Meter {
    pub(super) fn count(&self, change: impl FnOnce(&mut Metrics)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// An attempt of a handler has ended.
    pub(super) fn attempted(&self, time: Duration, has_failed: bool) {
        self.count(|metrics| {
            metrics.handler_time.add(time);
            metrics.failures = metrics.failures.saturating_add(u64::from(has_failed));
        });
    }

    pub(super) fn read(&self) -> Metrics {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The figures of a host, in the order in which they are told.
pub const NAMES: [Named; 15] = [
    LAG_SECONDS,
    LAG_TRANSACTIONS,
    CHECKPOINT_AGE,
    STALLED,
    LEASES,
    PARKED,
    PAGES,
    ITEMS,
    HANDLED,
    FAILURES,
    CHECKPOINTS,
    LEASE_MOVES,
    REQUEST_CHARGE,
    HANDLER_TIME,
    COMMIT_TIME,
];
const LAG_SECONDS: Named =
    Named::gauge("cosmos_es_feed_lag_seconds", "age of the oldest change that is not done");
const LAG_TRANSACTIONS: Named = Named::gauge(
    "cosmos_es_feed_lag_transactions",
    "transactions that are stored and were not read",
);
const CHECKPOINT_AGE: Named =
    Named::gauge("cosmos_es_feed_checkpoint_age_seconds", "how long what is not durable waits");
const STALLED: Named = Named::gauge(
    "cosmos_es_feed_stalled",
    "1 where nothing is done though there is something to do",
);
const LEASES: Named = Named::gauge("cosmos_es_feed_leases", "leases that this host holds");
const PARKED: Named = Named::gauge(
    "cosmos_es_feed_parked_streams",
    "keys that are set aside, of the whole processor",
);
const PAGES: Named = Named::counter("cosmos_es_feed_pages_total", "pages that were read");
const ITEMS: Named = Named::counter("cosmos_es_feed_items_total", "changes that were read");
const HANDLED: Named = Named::counter("cosmos_es_feed_handled_total", "changes that were handled");
const FAILURES: Named =
    Named::counter("cosmos_es_feed_handler_failures_total", "attempts of handlers that failed");
const CHECKPOINTS: Named =
    Named::counter("cosmos_es_feed_checkpoints_total", "checkpoints that were stored");
const LEASE_MOVES: Named = Named::counter(
    "cosmos_es_feed_lease_moves_total",
    "leases acquired, released and lost, by `kind`",
);
const REQUEST_CHARGE: Named =
    Named::counter("cosmos_es_feed_request_charge_total", "RU, by `of`: changes or leases");
const HANDLER_TIME: Named =
    Named::histogram("cosmos_es_feed_handler_seconds", "how long attempts of handlers took");
const COMMIT_TIME: Named = Named::histogram(
    "cosmos_es_feed_checkpoint_seconds",
    "how long checkpoints and other commits of leases took",
);

/// What a host has measured.
///
/// All figures have the label `processor`; those of a lease that this host holds also have `range`.
pub fn figures(processor: &str, status: &Status, metrics: &Metrics) -> Vec<Figure> {
    NAMES.map(|named| named.with(samples(named, processor, status, metrics))).into()
}

/// The samples of a figure.
fn samples(named: Named, processor: &str, status: &Status, metrics: &Metrics) -> Vec<Sample> {
    let whole = ("processor", processor);
    let held = || status.leases.iter().filter_map(|one| Some((one, one.held.as_ref()?)));
    let of_leases = |sample: fn(&[(&'static str, &str)], &HeldStatus) -> Sample| {
        let of = |(one, held): (&LeaseStatus, _)| {
            sample(&[whole, ("range", &one.lease.range.to_string())], held)
        };
        held().map(of).collect::<Vec<_>>()
    };
    let count = |count: u64| vec![Sample::count(&[whole], count)];
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let by =
        |label: &'static str, of: &str, value: u64| Sample::count(&[whole, (label, of)], value);
    match named {
        LAG_SECONDS => of_leases(|labels, held| Sample::count(labels, held.lag.seconds)),
        LAG_TRANSACTIONS => of_leases(|labels, held| Sample::count(labels, held.lag.transactions)),
        CHECKPOINT_AGE => {
            of_leases(|labels, held| Sample::amount(labels, held.checkpoint_age.as_secs_f64()))
        }
        STALLED => of_leases(|labels, held| {
            Sample::count(labels, u64::from(held.state == LeaseState::Stalled))
        }),
        LEASES => count(number(held().count())),
        PARKED => count(number(status.parked.len())),
        PAGES => count(metrics.pages),
        ITEMS => count(metrics.changes),
        HANDLED => count(metrics.handled),
        FAILURES => count(metrics.failures),
        CHECKPOINTS => count(metrics.checkpoints),
        LEASE_MOVES => vec![
            by("kind", "acquired", metrics.acquired),
            by("kind", "released", metrics.released),
            by("kind", "lost", metrics.lost),
        ],
        REQUEST_CHARGE => vec![
            Sample::amount(&[whole, ("of", "changes")], metrics.feed_charge),
            Sample::amount(&[whole, ("of", "leases")], metrics.leases_charge),
        ],
        COMMIT_TIME => vec![Sample::times(&[whole], metrics.commit_time.clone())],
        HANDLER_TIME => vec![Sample::times(&[whole], metrics.handler_time.clone())],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        feed::{
            FeedRange,
            documents::{Document, Lag},
        },
        telemetry::figures::text,
    };

    fn status() -> Status {
        let Some(Document::Lease(lease)) = Document::spoiled("lease:-FF") else { panic!() };
        assert_eq!(lease.range, FeedRange::full());
        let held = HeldStatus {
            lag: Lag { seconds: 3, transactions: 4 },
            handled: 5,
            is_caught_up: false,
            state: LeaseState::Stalled,
            checkpoint_age: Duration::from_millis(1500),
            hint: 0,
        };
        Status { leases: vec![LeaseStatus { lease, held: Some(held) }], ..Status::default() }
    }

    #[test]
    fn every_name_has_its_samples() {
        let meter = Meter::default();
        meter.attempted(Duration::from_millis(3), false);
        meter.attempted(Duration::from_millis(4), true);
        meter.attempted(Duration::from_mins(1), true);
        meter.count(|metrics| (metrics.pages, metrics.lost, metrics.feed_charge) = (7, 2, 1.5));
        let figures = figures("a\"b", &status(), &meter.read());
        assert!(figures.iter().all(|figure| !figure.samples.is_empty()), "{figures:?}");
        let text = text(&figures);
        for expected in [
            "cosmos_es_feed_lag_seconds{processor=\"a\\\"b\",range=\"-FF\"} 3",
            "cosmos_es_feed_checkpoint_age_seconds{processor=\"a\\\"b\",range=\"-FF\"} 1.5",
            "cosmos_es_feed_stalled{processor=\"a\\\"b\",range=\"-FF\"} 1",
            "cosmos_es_feed_pages_total{processor=\"a\\\"b\"} 7",
            "cosmos_es_feed_handler_failures_total{processor=\"a\\\"b\"} 2",
            "cosmos_es_feed_lease_moves_total{processor=\"a\\\"b\",kind=\"lost\"} 2",
            "cosmos_es_feed_request_charge_total{processor=\"a\\\"b\",of=\"changes\"} 1.5",
            "cosmos_es_feed_handler_seconds_bucket{processor=\"a\\\"b\",le=\"0.001\"} 0",
            "cosmos_es_feed_handler_seconds_bucket{processor=\"a\\\"b\",le=\"0.005\"} 2",
            "cosmos_es_feed_handler_seconds_bucket{processor=\"a\\\"b\",le=\"30\"} 2",
            "cosmos_es_feed_handler_seconds_bucket{processor=\"a\\\"b\",le=\"+Inf\"} 3",
            "cosmos_es_feed_handler_seconds_count{processor=\"a\\\"b\"} 3",
        ] {
            assert!(text.lines().any(|line| line == expected), "{expected} in\n{text}");
        }
    }
}

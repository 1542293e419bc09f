//! What a host counts and measures, and its names for Prometheus.
//!
//! Names are part of the interface: `docs/processor.md` lists them, and a test compares. No key, position
//! or payload is in a label.

use std::{
    fmt::Write as _,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::host::{HeldStatus, LeaseState, LeaseStatus, Status};

/// The upper bounds of the handler times that are counted, in seconds. The last one is the default limit of
/// an attempt.
pub const HANDLER_SECONDS: [f64; 9] = [0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0];

/// What a host has done since it was started.
#[derive(Debug, Clone, Default, PartialEq)]
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
    /// How long attempts of handlers took.
    pub handler_time: HandlerTime,
}

/// How long attempts of handlers took.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct HandlerTime {
    /// The attempts that took at most as long as each of [`HANDLER_SECONDS`], and longer than the one
    /// before.
    pub counts: [u64; HANDLER_SECONDS.len()],
    /// All attempts.
    pub attempts: u64,
    /// All of them together.
    pub sum: Duration,
}

impl HandlerTime {
    fn add(&mut self, time: Duration) {
        let seconds = time.as_secs_f64();
        let within = HANDLER_SECONDS.iter().position(|bound| seconds <= *bound);
        if let Some(count) = within.and_then(|place| self.counts.get_mut(place)) {
            *count = count.saturating_add(1);
        }
        self.attempts = self.attempts.saturating_add(1);
        self.sum = self.sum.saturating_add(time);
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

/// The name and kind of each metric, and what it tells.
pub const NAMES: [(&str, &str, &str); 14] = [
    ("cosmos_es_feed_lag_seconds", "gauge", "age of the oldest change that is not done"),
    ("cosmos_es_feed_lag_transactions", "gauge", "transactions that are stored and were not read"),
    ("cosmos_es_feed_checkpoint_age_seconds", "gauge", "how long what is not durable waits"),
    ("cosmos_es_feed_stalled", "gauge", "1 where nothing is done though there is something to do"),
    ("cosmos_es_feed_leases", "gauge", "leases that this host holds"),
    ("cosmos_es_feed_parked_streams", "gauge", "keys that are set aside, of the whole processor"),
    ("cosmos_es_feed_pages_total", "counter", "pages that were read"),
    ("cosmos_es_feed_items_total", "counter", "changes that were read"),
    ("cosmos_es_feed_handled_total", "counter", "changes that were handled"),
    ("cosmos_es_feed_handler_failures_total", "counter", "attempts of handlers that failed"),
    ("cosmos_es_feed_checkpoints_total", "counter", "checkpoints that were stored"),
    (
        "cosmos_es_feed_lease_moves_total",
        "counter",
        "leases acquired, released and lost, by `kind`",
    ),
    ("cosmos_es_feed_request_charge_total", "counter", "RU, by `of`: changes or leases"),
    ("cosmos_es_feed_handler_seconds", "histogram", "how long attempts of handlers took"),
];

/// What a host has measured, in the text format of Prometheus, version 0.0.4.
///
/// All metrics have the label `processor`; those of a lease that this host holds also have `range`.
pub fn render(processor: &str, status: &Status, metrics: &Metrics) -> String {
    render_all(&[(processor, status, metrics)])
}

/// What several hosts of one process have measured: each metric stands once, with the samples of all.
pub fn render_all(hosts: &[(&str, &Status, &Metrics)]) -> String {
    let mut text = String::new();
    for (name, kind, help) in NAMES {
        line(&mut text, format_args!("# HELP {name} {help}"));
        line(&mut text, format_args!("# TYPE {name} {kind}"));
        for (processor, status, metrics) in hosts {
            let whole = format!("processor=\"{}\"", escaped(processor));
            if kind == "histogram" {
                histogram(&mut text, name, &whole, &metrics.handler_time);
                continue;
            }
            for (labels, value) in samples(name, &whole, status, metrics) {
                line(&mut text, format_args!("{name}{{{labels}}} {value}"));
            }
        }
    }
    text
}

/// The samples of a metric, with their labels.
fn samples(name: &str, whole: &str, status: &Status, metrics: &Metrics) -> Vec<(String, String)> {
    let with = |name: &str, value: &str| format!("{whole},{name}=\"{value}\"");
    let held = || status.leases.iter().filter_map(|one| Some((one, one.held.as_ref()?)));
    let of_leases = |value: fn(&HeldStatus) -> String| -> Vec<(String, String)> {
        let labels = |one: &LeaseStatus| with("range", &one.lease.range.to_string());
        held().map(|(one, held)| (labels(one), value(held))).collect()
    };
    let one = |value: &dyn std::fmt::Display| vec![(whole.to_owned(), value.to_string())];
    match name {
        "cosmos_es_feed_lag_seconds" => of_leases(|held| held.lag.seconds.to_string()),
        "cosmos_es_feed_lag_transactions" => of_leases(|held| held.lag.transactions.to_string()),
        "cosmos_es_feed_checkpoint_age_seconds" => {
            of_leases(|held| held.checkpoint_age.as_secs_f64().to_string())
        }
        "cosmos_es_feed_stalled" => {
            of_leases(|held| u8::from(held.state == LeaseState::Stalled).to_string())
        }
        "cosmos_es_feed_leases" => one(&held().count()),
        "cosmos_es_feed_parked_streams" => one(&status.parked.len()),
        "cosmos_es_feed_pages_total" => one(&metrics.pages),
        "cosmos_es_feed_items_total" => one(&metrics.changes),
        "cosmos_es_feed_handled_total" => one(&metrics.handled),
        "cosmos_es_feed_handler_failures_total" => one(&metrics.failures),
        "cosmos_es_feed_checkpoints_total" => one(&metrics.checkpoints),
        "cosmos_es_feed_lease_moves_total" => vec![
            (with("kind", "acquired"), metrics.acquired.to_string()),
            (with("kind", "released"), metrics.released.to_string()),
            (with("kind", "lost"), metrics.lost.to_string()),
        ],
        "cosmos_es_feed_request_charge_total" => vec![
            (with("of", "changes"), metrics.feed_charge.to_string()),
            (with("of", "leases"), metrics.leases_charge.to_string()),
        ],
        _ => Vec::new(),
    }
}

fn histogram(text: &mut String, name: &str, labels: &str, time: &HandlerTime) {
    let mut within: u64 = 0;
    for (bound, count) in HANDLER_SECONDS.iter().zip(time.counts) {
        within = within.saturating_add(count);
        line(text, format_args!("{name}_bucket{{{labels},le=\"{bound}\"}} {within}"));
    }
    line(text, format_args!("{name}_bucket{{{labels},le=\"+Inf\"}} {}", time.attempts));
    line(text, format_args!("{name}_sum{{{labels}}} {}", time.sum.as_secs_f64()));
    line(text, format_args!("{name}_count{{{labels}}} {}", time.attempts));
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a text does not fail.
    let _written = writeln!(text, "{arguments}");
}

/// The value of a label.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::{
        FeedRange,
        documents::{Document, Lag},
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
        let text = render("a\"b", &status(), &meter.read());
        for (name, kind, _) in NAMES {
            assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name}");
            let has_sample = text.lines().any(|line| line.starts_with(&format!("{name}{{")));
            assert!(has_sample || kind == "histogram", "{name}");
        }
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

//! The faults in force, and what they mean for one request.
//!
//! The decision takes the time as an argument and nothing from outside. With no fault in force it
//! costs one atomic load.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::counters::KINDS;
use super::fault::{ActiveFault, Fault, FaultAction, FaultMatch, Throttle};
use crate::key::PartitionKey;

/// Faults at once; more is a mistake of the caller.
const FAULTS_MAX: usize = 1_000;
/// Longest delay and longest duration, so that sums of them cannot overflow.
const SECONDS_MAX: f64 = 86_400.0;
/// What a request refused by a ratio is told to wait.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);

/// What faults can tell requests apart by.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RequestFacts<'a> {
    /// One of the kinds that are counted.
    pub kind: &'a str,
    /// The HTTP method.
    pub method: &'a str,
    /// The database id in the path, empty when there is none.
    pub database: &'a str,
    /// The container id in the path, empty when there is none.
    pub container: &'a str,
    /// The partition key header.
    pub partition_key: Option<&'a str>,
}

/// What to do with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Verdict {
    /// Wait this long first.
    pub delay: Duration,
    /// Then do this.
    pub effect: Effect,
}

/// What to do with a request after the delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Effect {
    /// Handle it.
    #[default]
    Pass,
    /// Answer it with an error; do not apply it.
    Refuse {
        /// HTTP status.
        status: u16,
        /// `x-ms-substatus`.
        substatus: Option<u32>,
        /// `x-ms-retry-after-ms`.
        retry_after: Option<Duration>,
    },
    /// Close the connection; do not apply it.
    DropBefore,
    /// Apply it, then close the connection without an answer.
    DropAfter,
}

/// A fault that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FaultError {
    /// A kind that no request has.
    #[error("there is no kind of request {kind:?}; the kinds are {}", KINDS.join(", "))]
    UnknownKind {
        /// The kind as given.
        kind: String,
    },
    /// A value out of bounds.
    #[error("{0}")]
    Invalid(&'static str),
}

/// The faults in force.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    in_force: AtomicUsize,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    last_id: u64,
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    active: ActiveFault,
    key: Option<PartitionKey>,
    to_skip: u64,
    ends: Option<Instant>,
    /// Of a throttle: when its current second began, and how much of it is used; under a ratio,
    /// the share of a request that is still owed.
    window: Option<Instant>,
    used: f64,
}

impl Faults {
    /// Puts a fault in force.
    pub(crate) fn add(&self, fault: Fault, now: Instant) -> Result<ActiveFault, FaultError> {
        let key = check(&fault)?;
        let mut table = self.table();
        if table.rules.len() >= FAULTS_MAX {
            return Err(FaultError::Invalid("there are too many faults; remove some"));
        }
        table.last_id += 1;
        let active = ActiveFault { id: table.last_id, hits: 0, fault };
        table.rules.push(Rule {
            key,
            to_skip: active.fault.skip,
            ends: active.fault.seconds.map(|seconds| now + Duration::from_secs_f64(seconds)),
            window: None,
            used: 0.0,
            active: active.clone(),
        });
        self.in_force.store(table.rules.len(), Ordering::Release);
        Ok(active)
    }

    /// The faults in force.
    pub(crate) fn list(&self, now: Instant) -> Vec<ActiveFault> {
        let mut table = self.table();
        self.retain(&mut table, |rule| !rule.is_over(now));
        table.rules.iter().map(|rule| rule.active.clone()).collect()
    }

    /// Ends the fault with this id; whether there was one.
    pub(crate) fn remove(&self, id: u64) -> bool {
        let mut table = self.table();
        let before = table.rules.len();
        self.retain(&mut table, |rule| rule.active.id != id);
        table.rules.len() < before
    }

    /// Ends every fault.
    pub(crate) fn clear(&self) {
        self.retain(&mut self.table(), |_| false);
    }

    /// Ends every throttle.
    pub(crate) fn clear_throttles(&self) {
        self.retain(&mut self.table(), |rule| {
            !matches!(rule.active.fault.action, FaultAction::Throttle(_))
        });
    }

    /// What the faults in force mean for a request that arrives now.
    ///
    /// Delays add up; the first fault that ends the request wins, and later ones do not count it.
    pub(crate) fn decide(&self, facts: &RequestFacts<'_>, now: Instant) -> Verdict {
        let mut verdict = Verdict::default();
        if self.in_force.load(Ordering::Acquire) == 0 {
            return verdict;
        }
        let mut table = self.table();
        for rule in table.rules.iter_mut().filter(|rule| !rule.is_over(now)) {
            if !matches(&rule.active.fault.matches, rule.key.as_ref(), facts) {
                continue;
            }
            if rule.to_skip > 0 {
                rule.to_skip -= 1;
                continue;
            }
            let (delay, effect) = rule.apply(now);
            verdict.delay += delay;
            verdict.effect = effect;
            if effect != Effect::Pass {
                break;
            }
        }
        self.retain(&mut table, |rule| !rule.is_over(now));
        verdict
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // The table is consistent between any two statements, so a panic elsewhere cannot spoil it.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn retain(&self, table: &mut Table, keep: impl Fn(&Rule) -> bool) {
        table.rules.retain(keep);
        self.in_force.store(table.rules.len(), Ordering::Release);
    }
}

impl Rule {
    fn is_over(&self, now: Instant) -> bool {
        self.ends.is_some_and(|ends| now >= ends)
            || self.active.fault.count.is_some_and(|count| self.active.hits >= count)
    }

    /// What the rule does to a request that matches, and the count of it.
    fn apply(&mut self, now: Instant) -> (Duration, Effect) {
        let (delay, effect) = match self.active.fault.action.clone() {
            FaultAction::Delay { ms } => (Duration::from_millis(ms), Effect::Pass),
            FaultAction::DropBefore => (Duration::ZERO, Effect::DropBefore),
            FaultAction::DropAfter => (Duration::ZERO, Effect::DropAfter),
            FaultAction::Status { status, substatus, retry_after_ms } => {
                let retry_after = retry_after_ms.map(Duration::from_millis);
                (Duration::ZERO, Effect::Refuse { status, substatus, retry_after })
            }
            FaultAction::Throttle(throttle) => match self.throttle(&throttle, now) {
                None => return (Duration::ZERO, Effect::Pass),
                Some(wait) => (Duration::ZERO, throttled(wait)),
            },
        };
        self.active.hits += 1;
        (delay, effect)
    }

    /// How long a request has to wait, or `None` when it may pass.
    fn throttle(&mut self, throttle: &Throttle, now: Instant) -> Option<Duration> {
        if let Some(ratio) = throttle.ratio {
            self.used += ratio;
            if self.used < 1.0 {
                return None;
            }
            self.used -= 1.0;
            let wait = throttle.retry_after_ms.map(Duration::from_millis);
            return Some(wait.unwrap_or(RETRY_AFTER_DEFAULT));
        }
        let rate = throttle.requests_per_second?;
        let age = self.window.map(|start| now.saturating_duration_since(start));
        let age = match age {
            Some(age) if age < SECOND => age,
            _ => {
                // What was used above the rate of a second counts against the next: with half a
                // request per second, one passes in every other second.
                let seconds = age.map_or(f64::INFINITY, |age| age.as_secs_f64().floor());
                self.used =
                    if seconds.is_finite() { (self.used - rate * seconds).max(0.0) } else { 0.0 };
                self.window = Some(now);
                Duration::ZERO
            }
        };
        if self.used < rate {
            self.used += 1.0;
            return None;
        }
        Some(SECOND.saturating_sub(age))
    }
}

/// The answer to a request over the limit.
fn throttled(wait: Duration) -> Effect {
    Effect::Refuse { status: 429, substatus: Some(3200), retry_after: Some(wait) }
}

/// Checks a fault, and reads the partition key it names.
fn check(fault: &Fault) -> Result<Option<PartitionKey>, FaultError> {
    if let Some(kind) = fault.matches.kinds.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
        return Err(FaultError::UnknownKind { kind: kind.clone() });
    }
    let invalid = |reason| Err(FaultError::Invalid(reason));
    if fault.seconds.is_some_and(|seconds| !(0.0..=SECONDS_MAX).contains(&seconds)) {
        return invalid("seconds must be 0 to 86400");
    }
    match &fault.action {
        FaultAction::Status { status, .. } if !(400..=599).contains(status) => {
            return invalid("status must be 400 to 599");
        }
        FaultAction::Delay { ms } if Duration::from_millis(*ms).as_secs_f64() > SECONDS_MAX => {
            return invalid("ms must be at most 86400000");
        }
        FaultAction::Throttle(throttle) => match (throttle.requests_per_second, throttle.ratio) {
            (Some(rate), None) if rate.is_finite() && rate >= 0.0 => {}
            (None, Some(ratio)) if (0.0..=1.0).contains(&ratio) => {}
            _ => return invalid("a throttle has requestsPerSecond (0 or more) or ratio (0 to 1)"),
        },
        _ => {}
    }
    let Some(key) = &fault.matches.partition_key else { return Ok(None) };
    match PartitionKey::from_header(&serde_json::json!([key]).to_string()) {
        Ok(key) => Ok(key),
        Err(_) => invalid("partitionKey must be a string, a number, a boolean or null"),
    }
}

fn matches(wanted: &FaultMatch, key: Option<&PartitionKey>, facts: &RequestFacts<'_>) -> bool {
    let is = |wanted: &Option<String>, fact: &str| wanted.as_ref().is_none_or(|it| it == fact);
    (wanted.kinds.is_empty() || wanted.kinds.iter().any(|kind| kind == facts.kind))
        && wanted.method.as_ref().is_none_or(|it| it.eq_ignore_ascii_case(facts.method))
        && is(&wanted.database, facts.database)
        && is(&wanted.container, facts.container)
        && key.is_none_or(|key| {
            let header = facts.partition_key.map(PartitionKey::from_header);
            matches!(header, Some(Ok(Some(sent))) if sent == *key)
        })
}

#[cfg(test)]
mod tests;

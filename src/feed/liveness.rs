//! Who is alive.
//!
//! Every host renews a document of its own with each beat. A host is dead when its document has not
//! changed for the expiry time on the observer's own monotonic clock: clocks of different machines are
//! never compared. A document that the observer sees for the first time may be the last trace of a host
//! that died long ago; its age is then taken from the service, which has stamped both that document and
//! the observer's own.

use std::{collections::BTreeMap, time::Duration};

/// How often hosts beat, and when one is dead. Four beats may be lost.
pub const BEAT: Duration = Duration::from_millis(1800);
/// After this time without a change of its document a host is dead.
pub const EXPIRY: Duration = Duration::from_secs(9);

/// The document of a host, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Which start of which host.
    pub incarnation: String,
    /// What names this very version of the document.
    pub etag: String,
    /// When the service stored it, in seconds.
    pub stored_at: u64,
}

/// What one host knows of the others.
#[derive(Debug, Clone)]
pub struct Observer {
    expiry: Duration,
    seen: BTreeMap<String, Seen>,
}

#[derive(Debug, Clone)]
struct Seen {
    etag: String,
    /// When the document changed last, as far as the observer knows, on its monotonic clock.
    changed: Duration,
}

impl Observer {
    /// An observer that has seen nobody.
    pub fn new(expiry: Duration) -> Self {
        Self { expiry, seen: BTreeMap::new() }
    }

    /// Takes a look at the documents of all hosts. `now` is the observer's monotonic clock, and
    /// `service_now` when the service stored the observer's own document just before.
    ///
    /// Gives those who are alive, sorted.
    pub fn look(&mut self, now: Duration, service_now: u64, sightings: &[Sighting]) -> Vec<String> {
        let mut seen = BTreeMap::new();
        for Sighting { incarnation, etag, stored_at } in sightings {
            let changed = match self.seen.get(incarnation) {
                Some(before) if before.etag == *etag => before.changed,
                Some(_) => now,
                None => {
                    // Whole seconds are cut on both sides, so the age may be one second less.
                    let age = Duration::from_secs(service_now.saturating_sub(*stored_at));
                    now.saturating_sub(age)
                }
            };
            seen.insert(incarnation.clone(), Seen { etag: etag.clone(), changed });
        }
        self.seen = seen;
        self.alive(now)
    }

    /// When the next of those who are alive is dead unless its document changes, on the observer's
    /// monotonic clock.
    pub fn next_expiry(&self, now: Duration) -> Option<Duration> {
        let expiries = self.seen.values().map(|seen| seen.changed.saturating_add(self.expiry));
        expiries.filter(|expiry| *expiry > now).min()
    }

    /// Those who are alive, by what was seen last.
    pub fn alive(&self, now: Duration) -> Vec<String> {
        let is_alive = |seen: &Seen| now.saturating_sub(seen.changed) < self.expiry;
        let alive = self.seen.iter().filter(|(_, seen)| is_alive(seen));
        alive.map(|(incarnation, _)| incarnation.clone()).collect()
    }
}

/// The host's own right to act. It ends before any observer can take the host for dead, because it is
/// counted from the sending of the last renewal that succeeded, and observers count from when they see it.
#[derive(Debug, Clone)]
pub struct Fence {
    valid: Duration,
    sent: Option<Duration>,
}

impl Fence {
    /// A right that lasts for this long after each renewal: less than the expiry, so that what has begun
    /// can end.
    pub fn new(valid: Duration) -> Self {
        Self { valid, sent: None }
    }

    /// A renewal that was sent at this time has succeeded.
    pub fn renewed(&mut self, sent: Duration) {
        self.sent = Some(self.sent.map_or(sent, |before| before.max(sent)));
    }

    /// Whether the host may act.
    pub fn holds(&self, now: Duration) -> bool {
        self.sent.is_some_and(|sent| now.saturating_sub(sent) < self.valid)
    }

    /// How long the host may still act.
    pub fn left(&self, now: Duration) -> Duration {
        let since = self.sent.map(|sent| now.saturating_sub(sent));
        since.map_or(Duration::ZERO, |since| self.valid.saturating_sub(since))
    }
}

#[cfg(test)]
mod tests;

//! The only place that reads the operating system's clocks.
//!
//! Everything that decides takes times as arguments.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The wall clock of one endpoint. It can be moved ahead, so that time to live is tested without waiting.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    ahead_seconds: Arc<AtomicU64>,
}

impl Clock {
    /// Seconds since 1970-01-01T00:00:00Z, the unit of `_ts`.
    #[allow(clippy::disallowed_methods, reason = "this module is the clock")]
    pub(crate) fn unix_seconds(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        now.saturating_add(self.ahead_seconds.load(Ordering::Relaxed))
    }

    /// Moves the clock ahead for all that share it.
    pub(crate) fn advance(&self, seconds: u64) {
        self.ahead_seconds.fetch_add(seconds, Ordering::Relaxed);
    }
}

/// A point on the monotonic clock.
#[allow(clippy::disallowed_methods, reason = "this module is the clock")]
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}

//! The only place that reads the operating system's clocks.
//!
//! Everything that decides takes times as arguments.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Seconds since 1970-01-01T00:00:00Z, the unit of `_ts`.
#[allow(clippy::disallowed_methods, reason = "this module is the clock")]
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

/// A point on the monotonic clock.
#[allow(clippy::disallowed_methods, reason = "this module is the clock")]
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}

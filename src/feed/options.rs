//! How a processor works: every limit with its default and its reason.

use std::time::Duration;

use thiserror::Error;

use super::{
    documents::Start,
    liveness::{BEAT, EXPIRY},
};

/// A host stops acting this long before others may take it for dead: what has begun needs time to end.
pub const FENCE_MARGIN: Duration = Duration::from_millis(1500);
/// A checkpoint is written this often at the most: more often costs requests, less often repeats more
/// after a crash.
pub const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);
/// The changes of a page. Enough to keep handlers busy, few enough to be held several times.
pub const PAGE_CHANGES: u32 = 100;
/// The pages of a lease that are read before the oldest of them is done.
pub const READ_AHEAD_PAGES: usize = 4;
/// The keys whose changes a host handles at the same time.
pub const RUNS_MAX: usize = 64;
/// The most changes of one run, so that a busy key does not hold a place for ever.
pub const RUN_CHANGES_MAX: usize = 100;
/// The keys of a lease that are tried again at the same time after they were parked.
pub const REDRIVES_MAX: usize = 8;
/// How long one attempt of a handler may take.
pub const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(30);
/// How long all attempts together may take: a range waits for a key that long at the most.
pub const RUN_TIME_MAX: Duration = Duration::from_mins(2);
/// How often a handler is tried before the key is parked.
pub const ATTEMPTS_MAX: u32 = 5;
/// The wait before the second attempt; it doubles with each further one.
pub const BACKOFF: Duration = Duration::from_millis(200);
/// The longest wait between two attempts.
pub const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// Between two polls of a range that has nothing new, at first; it doubles up to the next.
pub const POLL_MIN: Duration = Duration::from_millis(100);
/// The longest time between two polls: what an idle range costs on Azure.
pub const POLL_MAX: Duration = Duration::from_secs(5);
/// How often leases are listed when nothing seems to have changed, and the partitions of the feed are
/// compared with them.
pub const LIST_INTERVAL: Duration = Duration::from_mins(1);
/// How soon it is looked again while leases are waited for.
pub const WAITING_INTERVAL: Duration = Duration::from_millis(500);
/// After this time in which nothing was done though there is something to do a lease is stalled: longer
/// than any attempt of a handler takes by default.
pub const STALLED_AFTER: Duration = Duration::from_secs(30);
/// How long a lease that is given away may take to finish what was read.
pub const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);
/// What is taken off the time at which a lease restarts when partitions were merged: clocks of the
/// service's partitions differ by less.
pub const RESTART_MARGIN: Duration = Duration::from_mins(1);
/// The longest name of an instance or a handler.
const NAME_CHARACTERS_MAX: usize = 128;

/// How a processor works.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ProcessorOptions {
    /// The name that the operator gives this host.
    pub instance: String,
    /// Where the processor begins when it is made. Later starts go on where it is.
    pub start: Start,
    /// The name of what is done with the changes. A host with another name than the processor's does not
    /// join; without one nothing is compared.
    pub handler_name: Option<String>,
    /// Between two beats.
    pub beat: Duration,
    /// After this time without a beat a host is dead.
    pub expiry: Duration,
    /// Between two checkpoints of a lease.
    pub checkpoint_interval: Duration,
    /// The pages of a lease that are read before the oldest of them is done.
    pub read_ahead_pages: usize,
    /// The keys that are handled at the same time.
    pub runs_max: usize,
    /// The most changes of one run.
    pub run_changes_max: usize,
    /// How long one attempt may take.
    pub attempt_time_max: Duration,
    /// How long all attempts together may take.
    pub run_time_max: Duration,
    /// How often a handler is tried.
    pub attempts_max: u32,
    /// The wait before the second attempt.
    pub backoff: Duration,
    /// The shortest time between two polls of an idle range.
    pub poll_min: Duration,
    /// The longest time between two polls of an idle range.
    pub poll_max: Duration,
    /// How often leases are listed when nothing seems to have changed.
    pub list_interval: Duration,
    /// How long a lease that is given away may take to finish what was read.
    pub drain_time_max: Duration,
}

/// Settings that do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidOptions {
    /// A host would be taken for dead although it beats.
    #[error("the expiry must be at least three beats and the margin of the fence")]
    Expiry,
    /// Something that must be more than nothing is 0.
    #[error("{0} must not be 0")]
    Zero(&'static str),
    /// Polls would become rarer and then more frequent.
    #[error("the shortest time between polls is longer than the longest")]
    Poll,
    /// A name is empty or too long.
    #[error("the name of an instance has 1 to 128 characters and no control characters")]
    Instance,
    /// A name is empty or too long.
    #[error("the name of a handler has 1 to 128 characters and no control characters")]
    HandlerName,
}

impl ProcessorOptions {
    /// The defaults for a host with this name, from the beginning of the feed.
    pub fn new(instance: impl Into<String>) -> Self {
        Self {
            instance: instance.into(),
            start: Start::Beginning,
            handler_name: None,
            beat: BEAT,
            expiry: EXPIRY,
            checkpoint_interval: CHECKPOINT_INTERVAL,
            read_ahead_pages: READ_AHEAD_PAGES,
            runs_max: RUNS_MAX,
            run_changes_max: RUN_CHANGES_MAX,
            attempt_time_max: ATTEMPT_TIME_MAX,
            run_time_max: RUN_TIME_MAX,
            attempts_max: ATTEMPTS_MAX,
            backoff: BACKOFF,
            poll_min: POLL_MIN,
            poll_max: POLL_MAX,
            list_interval: LIST_INTERVAL,
            drain_time_max: DRAIN_TIME_MAX,
        }
    }

    /// Sets where the processor begins when it is made.
    #[must_use]
    pub fn with_start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Names what is done with the changes, in 1 to 128 characters: hosts of one processor must do the same.
    #[must_use]
    pub fn with_handler_name(mut self, name: impl Into<String>) -> Self {
        self.handler_name = Some(name.into());
        self
    }

    /// Sets the beat and the expiry.
    #[must_use]
    pub fn with_liveness(mut self, beat: Duration, expiry: Duration) -> Self {
        (self.beat, self.expiry) = (beat, expiry);
        self
    }

    /// Sets how handlers are tried: how often, and how long each time.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32, time: Duration) -> Self {
        (self.attempts_max, self.attempt_time_max) = (attempts, time);
        self
    }

    /// Sets the shortest and the longest time between two polls of an idle range.
    #[must_use]
    pub fn with_polls(mut self, shortest: Duration, longest: Duration) -> Self {
        (self.poll_min, self.poll_max) = (shortest, longest);
        self
    }

    /// How long a renewal lasts: less than the expiry.
    pub fn fence(&self) -> Duration {
        self.expiry.saturating_sub(FENCE_MARGIN.min(self.expiry.checked_div(4).unwrap_or_default()))
    }

    /// Checks that the settings go together.
    ///
    /// # Errors
    ///
    /// [`InvalidOptions`].
    pub fn check(&self) -> Result<(), InvalidOptions> {
        if !is_name(&self.instance) {
            return Err(InvalidOptions::Instance);
        }
        if !self.handler_name.as_deref().is_none_or(is_name) {
            return Err(InvalidOptions::HandlerName);
        }
        for (name, is_zero) in [
            ("the beat", self.beat.is_zero()),
            ("the read-ahead", self.read_ahead_pages == 0),
            ("the runs", self.runs_max == 0),
            ("the changes of a run", self.run_changes_max == 0),
            ("the time of an attempt", self.attempt_time_max.is_zero()),
            ("the attempts", self.attempts_max == 0),
            ("the shortest time between polls", self.poll_min.is_zero()),
        ] {
            if is_zero {
                return Err(InvalidOptions::Zero(name));
            }
        }
        if self.fence() < self.beat.saturating_mul(3) {
            return Err(InvalidOptions::Expiry);
        }
        if self.poll_min > self.poll_max {
            return Err(InvalidOptions::Poll);
        }
        Ok(())
    }
}

/// Whether a text can be a name: it stands in documents, and people read it.
fn is_name(text: &str) -> bool {
    (1..=NAME_CHARACTERS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_go_together() {
        assert_eq!(ProcessorOptions::new("a").check(), Ok(()));
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let options = || ProcessorOptions::new("a");
        let s = Duration::from_secs;
        assert_eq!(options().with_liveness(s(3), s(9)).check(), Err(InvalidOptions::Expiry));
        assert_eq!(options().with_polls(s(2), s(1)).check(), Err(InvalidOptions::Poll));
        assert_eq!(ProcessorOptions::new("").check(), Err(InvalidOptions::Instance));
        let named = |name: &str| options().with_handler_name(name).check();
        assert_eq!(named(&"n".repeat(128)), Ok(()));
        for wrong in ["", "a\nb", &"n".repeat(129)] {
            assert_eq!(named(wrong), Err(InvalidOptions::HandlerName), "{wrong}");
        }
        let never = options().with_attempts(0, s(1)).check();
        assert_eq!(never, Err(InvalidOptions::Zero("the attempts")));
    }
}

//! The course of an append: which request is next, and when it is over.
//!
//! A state machine without IO, clock or randomness. The caller does what a [`Step`] says and reports
//! what happened; elapsed time and jitter come in as arguments.
//!
//! Two rules carry the whole of it. A batch whose answer was lost is sent again unchanged, at the
//! same place, until an answer settles it: it can be stored at that place only once. And whatever is
//! not settled when the time is up is reported as unknown, never as failed.

use std::time::Duration;

use super::{
    classify::{ReadBack, Verdict, Wanted, classify},
    error::{StoreError, StoreErrorKind},
};
use crate::{
    event::{EventId, RecordedEvent},
    stream::ExpectedVersion,
};

/// The first wait before something is sent again after a failure.
const FAILURE_WAIT_MIN: Duration = Duration::from_millis(20);
/// The longest such wait: often enough to notice that the service is back.
const FAILURE_WAIT_MAX: Duration = Duration::from_secs(1);
/// The first wait before an append without a fixed place tries the next one: about a round trip.
const CONTENTION_WAIT_MIN: Duration = Duration::from_millis(4);
/// The longest such wait: 50 writers that wait a random part of it meet every ten milliseconds.
const CONTENTION_WAIT_MAX: Duration = Duration::from_millis(500);
/// How often an append without a fixed place looks for the end of the stream. Each time another
/// writer was stored, so a crowd makes progress all along.
const CONTENTION_TRIES_MAX: u32 = 200;
/// Jitter is given in fractions of this.
pub(crate) const JITTER_ONE: u32 = 1 << 16;

/// What to do next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Read the version of the stream and report it with [`Plan::version_found`].
    FindVersion,
    /// Send the batch with its first event at this place; report with [`Plan::batch_answered`].
    Send { first: u64 },
    /// Read what is stored under the ids and from this place on; report with [`Plan::read_back`].
    ReadBack { first: u64, predecessor_missing: bool },
    /// Wait, then do the step.
    Wait(Duration, Box<Step>),
    /// It is over.
    Done(End),
}

/// How an append ended.
#[derive(Debug)]
pub(crate) enum End {
    Appended { first: u64 },
    Repeated { first: u64 },
    Reused { event_id: EventId, stored: Vec<RecordedEvent> },
    Conflict { actual: u64, events: Vec<RecordedEvent> },
    TooMany { max: usize },
    Unexplained,
    Unknown(StoreError),
    Failed(StoreError),
}

/// What the service said to a batch.
#[derive(Debug)]
pub(crate) enum BatchAnswer {
    /// All events were stored.
    Created,
    /// An event is at the place, or an id is taken.
    Occupied,
    /// The event before the place is not there.
    PredecessorMissing,
    /// Nothing was stored, and the service asks to be asked again, which the SDK does not do when it
    /// is said inside the answer to a batch.
    Busy(StoreError),
    /// No answer, or another refusal.
    Failed {
        /// What happened.
        error: StoreError,
        /// Whether the batch may have been stored all the same.
        maybe_stored: bool,
    },
}

/// Where an append stands.
#[derive(Debug)]
pub(crate) struct Plan {
    expected: ExpectedVersion,
    wanted: Vec<Wanted>,
    operations_max: usize,
    time_max: Duration,
    /// A batch was sent to the present place, and its fate is not known.
    unsettled: bool,
    failures: u32,
    contentions: u32,
}

impl Plan {
    pub(crate) fn new(
        expected: ExpectedVersion,
        wanted: Vec<Wanted>,
        operations_max: usize,
        time_max: Duration,
    ) -> Self {
        Self {
            expected,
            wanted,
            operations_max,
            time_max,
            unsettled: false,
            failures: 0,
            contentions: 0,
        }
    }

    /// The first step. Whether the events fit behind a known version has been checked before.
    pub(crate) fn start(&self) -> Step {
        match self.expected.version() {
            Some(version) => Step::Send { first: version.saturating_add(1) },
            None => Step::FindVersion,
        }
    }

    /// The version of the stream was read, for an append without a fixed place.
    pub(crate) fn version_found(&mut self, found: Result<u64, StoreError>) -> Step {
        match found {
            Ok(0) if self.expected == ExpectedVersion::StreamExists => {
                Step::Done(End::Conflict { actual: 0, events: Vec::new() })
            }
            Ok(version) => self.send_behind(version),
            Err(error) => Step::Done(End::Failed(error)),
        }
    }

    /// A full batch fits only into an empty stream, because the predecessor must be read. It may still
    /// be a repeat of the append that opened the stream, so that is looked up.
    fn send_behind(&mut self, version: u64) -> Step {
        let first = version.saturating_add(1);
        if version > 0 && self.wanted.len() >= self.operations_max {
            return Step::ReadBack { first, predecessor_missing: false };
        }
        Step::Send { first }
    }

    /// The batch at `first` was answered.
    pub(crate) fn batch_answered(
        &mut self,
        first: u64,
        answer: BatchAnswer,
        elapsed: Duration,
        jitter: u32,
    ) -> Step {
        match answer {
            BatchAnswer::Created => Step::Done(End::Appended { first }),
            BatchAnswer::Occupied => Step::ReadBack { first, predecessor_missing: false },
            BatchAnswer::PredecessorMissing => Step::ReadBack { first, predecessor_missing: true },
            BatchAnswer::Busy(error) => self.again(Step::Send { first }, error, elapsed, jitter),
            BatchAnswer::Failed { error, maybe_stored } => {
                self.unsettled |= maybe_stored;
                if self.unsettled {
                    self.again(Step::Send { first }, error, elapsed, jitter)
                } else {
                    Step::Done(End::Failed(error))
                }
            }
        }
    }

    /// What is stored was read after a refusal at `first`.
    pub(crate) fn read_back(
        &mut self,
        first: u64,
        predecessor_missing: bool,
        read: Result<ReadBack, StoreError>,
        elapsed: Duration,
        jitter: u32,
    ) -> Step {
        let read = match read {
            Ok(read) => read,
            Err(error) => {
                let step = Step::ReadBack { first, predecessor_missing };
                return self.again(step, error, elapsed, jitter);
            }
        };
        match classify(&self.wanted, first, read) {
            Verdict::Repeated { first } => Step::Done(End::Repeated { first }),
            Verdict::Reused { event_id, stored } => Step::Done(End::Reused { event_id, stored }),
            Verdict::Conflict { actual, events } => {
                self.lost_the_place(actual, events, elapsed, jitter)
            }
            Verdict::Unexplained if self.expected.version().is_none() && self.is_full_batch() => {
                Step::Done(End::TooMany { max: self.operations_max.saturating_sub(1) })
            }
            Verdict::Unexplained if predecessor_missing => {
                // The predecessor has appeared since: the place is free now, for this append too.
                self.move_on(first, elapsed, jitter, || End::Unexplained)
            }
            Verdict::Unexplained => Step::Done(End::Unexplained),
        }
    }

    fn is_full_batch(&self) -> bool {
        self.wanted.len() >= self.operations_max
    }

    /// Another event is at the place, so a batch that was sent there will never be stored.
    fn lost_the_place(
        &mut self,
        actual: u64,
        events: Vec<RecordedEvent>,
        elapsed: Duration,
        jitter: u32,
    ) -> Step {
        let conflict = || End::Conflict { actual, events };
        if self.expected.version().is_some() {
            return Step::Done(conflict());
        }
        if self.is_full_batch() && actual > 0 {
            return Step::Done(End::TooMany { max: self.operations_max.saturating_sub(1) });
        }
        if actual == 0 && self.expected == ExpectedVersion::StreamExists {
            return Step::Done(conflict());
        }
        self.unsettled = false;
        self.move_on(actual.saturating_add(1), elapsed, jitter, conflict)
    }

    /// Tries the place, unless the tries or the time are used up.
    fn move_on(
        &mut self,
        first: u64,
        elapsed: Duration,
        jitter: u32,
        end: impl FnOnce() -> End,
    ) -> Step {
        // Whoever is lucky goes at once: the more the waits differ, the fewer meet.
        let full = doubled(CONTENTION_WAIT_MIN, CONTENTION_WAIT_MAX, self.contentions);
        let wait = part(full, jitter);
        self.contentions = self.contentions.saturating_add(1);
        if self.contentions > CONTENTION_TRIES_MAX || elapsed.saturating_add(wait) >= self.time_max
        {
            return Step::Done(end());
        }
        // The first loser goes on at once: there may be no crowd at all.
        let send = Step::Send { first };
        if self.contentions == 1 { send } else { Step::Wait(wait, Box::new(send)) }
    }

    /// Does the step again after a failure, unless that is hopeless or the time is up. A read back is
    /// never settled: the refusal may be the answer to a request that was sent twice.
    fn again(&mut self, step: Step, error: StoreError, elapsed: Duration, jitter: u32) -> Step {
        let wait = backoff(FAILURE_WAIT_MIN, FAILURE_WAIT_MAX, self.failures, jitter)
            .max(error.retry_after().unwrap_or_default());
        self.failures = self.failures.saturating_add(1);
        if is_hopeless(&error) || elapsed.saturating_add(wait) >= self.time_max {
            let settled = matches!(step, Step::Send { .. }) && !self.unsettled;
            Step::Done(if settled { End::Failed(error) } else { End::Unknown(error) })
        } else {
            Step::Wait(wait, Box::new(step))
        }
    }
}

/// Whether sending the same again cannot give another answer.
fn is_hopeless(error: &StoreError) -> bool {
    matches!(
        error.kind(),
        StoreErrorKind::Denied
            | StoreErrorKind::NotProvisioned
            | StoreErrorKind::TooLarge
            | StoreErrorKind::StreamFull
            | StoreErrorKind::Configuration
            | StoreErrorKind::Rejected
    )
}

/// Doubles with each try up to the longest wait, then takes between half of it and all of it, so
/// that those who failed together do not come back together.
fn backoff(min: Duration, max: Duration, tries: u32, jitter: u32) -> Duration {
    let half = doubled(min, max, tries).div_f64(2.0);
    half.saturating_add(part(half, jitter))
}

fn doubled(min: Duration, max: Duration, tries: u32) -> Duration {
    min.saturating_mul(1_u32.checked_shl(tries.min(16)).unwrap_or(u32::MAX)).min(max)
}

fn part(of: Duration, jitter: u32) -> Duration {
    of.mul_f64(f64::from(jitter % JITTER_ONE) / f64::from(JITTER_ONE))
}

#[cfg(test)]
mod tests;

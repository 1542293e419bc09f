//! Who handles changes, and how it is tried.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::{FutureExt as _, future::BoxFuture};
use thiserror::Error;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{FeedRange, holding::Shared, options::BACKOFF_MAX, source::Change};

/// Handles changes.
///
/// It gets consecutive changes of one key, in order. The same changes may come again, after a crash or
/// when another host takes over: a handler must do no harm then. Changes of other keys come at the same
/// time, changes of the same key never.
///
/// A handler must not block its thread, and must not go on when it is told to stop: another host may
/// have the range by then. Whatever it writes should carry the epoch, so that an older one is refused.
pub trait Handler: Send + Sync + 'static {
    /// Handles the changes of one run: all of them, or it fails and gets all of them again.
    fn handle<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Result<(), HandlerFault>>;
}

/// Changes to handle.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Delivery {
    /// The key that all of the changes are of.
    pub key: String,
    /// The changes, in order; at least one.
    pub changes: Arc<[Change]>,
    /// The range that they come from.
    pub range: FeedRange,
    /// Raised whenever another host takes the range.
    pub epoch: u64,
    /// Which attempt it is, counted from 1.
    pub attempt: u32,
    /// Cancelled when the host must stop acting on the range.
    pub stop: CancellationToken,
}

/// Why a handler did not handle a run. The text goes to the parked document and to the log: no payload.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct HandlerFault {
    reason: String,
    is_poison: bool,
}

impl HandlerFault {
    /// A failure that may pass: it is tried again.
    pub fn transient(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_poison: false }
    }

    /// A failure that will not pass: the key is parked at once.
    pub fn poison(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_poison: true }
    }

    /// Whether it will not pass.
    pub fn is_poison(&self) -> bool {
        self.is_poison
    }
}

/// What became of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Handled,
    /// The key has to be set aside.
    Poison {
        reason: String,
        attempts: u32,
    },
    /// The host must not act any more.
    Stopped,
}

/// Tries a handler until it succeeds, the tries or the time are used up, or the host must stop.
///
/// Before each attempt the right to act is looked at: whoever cancels may be as late as this, after the
/// whole process was frozen.
pub(super) async fn attempt(
    shared: &Shared,
    mut delivery: Delivery,
    mut random: Random,
) -> Outcome {
    let options = &shared.options;
    if let Some(problem) = delivery.changes.iter().find_map(|change| change.problem) {
        return Outcome::Poison { reason: problem.to_owned(), attempts: 0 };
    }
    let deadline = Instant::now().checked_add(options.run_time_max);
    let mut backoff = options.backoff;
    loop {
        let begun = Instant::now();
        if begun >= *shared.fence.borrow() {
            return Outcome::Stopped;
        }
        let left = deadline.map(|deadline| deadline.saturating_duration_since(begun));
        let time_max = left.unwrap_or(Duration::MAX).min(options.attempt_time_max);
        let fault = tokio::select! {
            biased;
            () = delivery.stop.cancelled() => return Outcome::Stopped,
            fault = once(&*shared.handler, &delivery, time_max) => fault,
        };
        shared.meter.attempted(begun.elapsed(), fault.is_err());
        let Err(fault) = fault else { return Outcome::Handled };
        let attempts = delivery.attempt;
        let wait = backoff.min(BACKOFF_MAX).mul_f64(random.fraction());
        let is_over = deadline.is_some_and(|deadline| {
            Instant::now().checked_add(wait).is_none_or(|next| next > deadline)
        });
        if fault.is_poison || attempts >= options.attempts_max || is_over {
            return Outcome::Poison { reason: fault.reason, attempts };
        }
        tokio::select! {
            biased;
            () = delivery.stop.cancelled() => return Outcome::Stopped,
            () = tokio::time::sleep(wait) => {}
        }
        backoff = backoff.saturating_mul(2);
        delivery.attempt = attempts.saturating_add(1);
    }
}

/// One attempt. A panic of the handler is its failure, not ours.
async fn once(
    handler: &dyn Handler,
    delivery: &Delivery,
    time_max: Duration,
) -> Result<(), HandlerFault> {
    let Delivery { range, epoch, attempt, changes, .. } = delivery;
    let span = tracing::debug_span!("feed.run", %range, epoch, attempt, items = changes.len());
    let handling = async { handler.handle(delivery).await }.instrument(span);
    let handling = AssertUnwindSafe(handling).catch_unwind();
    match timeout(time_max, handling).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(HandlerFault::transient("the handler panicked")),
        Err(_) => Err(HandlerFault::transient("the handler took too long")),
    }
}

/// Numbers that look random (`SplitMix64`): jitter needs no more, and a simulation can repeat them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From a half to one.
    pub(super) fn fraction(&mut self) -> f64 {
        let thousandths = u32::try_from(self.next() % 500).unwrap_or_default();
        0.5 + f64::from(thousandths) / 1000.0
    }
}

//! One step of trying a key again: the next changes of it are read, and handled.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::feed::{
    FeedRange,
    documents::Parked,
    handler::{Delivery, Outcome, Random, attempt},
    holding::{Shared, Wish},
    source::{Change, FeedFault},
};

/// How long to wait before a key that could not be read is read again.
const RETRY: Duration = Duration::from_secs(1);

/// What a step came to.
#[derive(Debug)]
pub(super) enum StepResult {
    /// The key is in another range.
    Elsewhere,
    /// So many changes were read, so many of them handled, the others given up; this is the order of the
    /// last one.
    Handled {
        changes: usize,
        handled: usize,
        last: Option<u64>,
    },
    Poison {
        first: Option<(u64, i64)>,
        reason: String,
        attempts: u32,
    },
    /// It could not be read this time.
    Unread,
    Stopped,
}

/// What a step begins with.
#[derive(Debug, Clone, Copy)]
pub(super) struct From {
    /// The order of the next change to read.
    pub(super) order: u64,
    /// What was stored before this time is given up, in seconds.
    pub(super) given_up_before: Option<u64>,
}

/// One step: looks whether the key is in the range, reads the next changes of it, and handles them.
pub(super) async fn step(
    shared: &Shared,
    parked: &Parked,
    from: From,
    mut delivery: Delivery,
    wishes: watch::Receiver<Wish>,
    random: Random,
) -> StepResult {
    let stop = delivery.stop.clone();
    let most = shared.options.run_changes_max;
    let reading = async {
        // What was set aside in a part of the range is in it.
        if !delivery.range.contains(&parked.range) {
            let home = shared.feed.range_of(&parked.key).await?;
            let is_at_home = match is_at_home(&delivery.range, &parked.range, home.as_ref()) {
                Some(is_at_home) => is_at_home,
                // Where parts are not read, the leases are about to become one.
                None => shared
                    .feed
                    .has_key(&delivery.range, &parked.key)
                    .await
                    .map_err(|fault| FeedFault::Unavailable(fault.to_string()))?,
            };
            if !is_at_home {
                return Ok(None);
            }
        }
        shared.feed.read_key(&parked.key, from.order, most).await.map(Some)
    };
    let read = tokio::select! {
        biased;
        () = stop.cancelled() => return StepResult::Stopped,
        read = reading => read,
    };
    let mut changes = match read {
        Ok(Some(changes)) => changes,
        Ok(None) => return StepResult::Elsewhere,
        Err(FeedFault::Unavailable(_) | FeedFault::Moved) => {
            tokio::select! {
                biased;
                () = stop.cancelled() => return StepResult::Stopped,
                () = tokio::time::sleep(RETRY) => return StepResult::Unread,
            }
        }
        Err(FeedFault::BadPosition(reason) | FeedFault::Refused(reason)) => {
            let reason = format!("its changes cannot be read: {reason}");
            return StepResult::Poison { first: None, reason, attempts: 0 };
        }
    };
    let found = changes.len();
    let last = changes.last().map(|change: &Change| change.order);
    if let Some(before) = from.given_up_before {
        changes.retain(|change| change.stored_at >= before);
    }
    let handled = changes.len();
    let first = changes.first().map(|change| (change.order, change.lsn));
    if handled == 0 {
        return StepResult::Handled { changes: found, handled, last };
    }
    delivery.changes = changes.into();
    let place = tokio::select! {
        biased;
        () = stop.cancelled() => return StepResult::Stopped,
        place = Arc::clone(&shared.runs).acquire_owned() => place,
    };
    // Nothing begins in a pause, nor when the lease is to be given away.
    if *wishes.borrow() != Wish::Work {
        return StepResult::Unread;
    }
    let outcome = attempt(shared, delivery, random).await;
    drop(place);
    match outcome {
        Outcome::Handled => StepResult::Handled { changes: found, handled, last },
        Outcome::Poison { reason, attempts } => StepResult::Poison { first, reason, attempts },
        Outcome::Stopped => StepResult::Stopped,
    }
}

/// Whether a key that was set aside in one range is in a lease; nothing where the lease is only a part of
/// where it may be. `home` is as narrow as the feed knows; of a key that has no place, the lease at the
/// beginning of the range takes care.
pub(super) fn is_at_home(
    lease: &FeedRange,
    parked: &FeedRange,
    home: Option<&FeedRange>,
) -> Option<bool> {
    let Some(home) = home else {
        return Some(lease.begin() <= parked.begin() && parked.begin() < lease.end());
    };
    let home = home.intersection(parked).unwrap_or_else(|| home.clone());
    match lease {
        lease if lease.contains(&home) => Some(true),
        lease if lease.overlaps(&home) => None,
        _ => Some(false),
    }
}

//! Cosmos DB behind the store: the only place of it that knows the SDK.
//!
//! What the SDK does by itself, and what this module sets, so that nothing is left to defaults that
//! the environment can change:
//!
//! - It repeats a batch after a lost connection, a time-out or a 5xx, up to three times and at once,
//!   without telling; a batch that was stored the first time is then answered with a conflict.
//! - It waits and repeats when it is throttled, within [`THROTTLE_WAIT_MAX`].
//! - It carries session tokens from answers to requests of the same process.
//! - Bodies of written documents are not sent back, answers are text, and every request has a time
//!   limit.
//!
//! The SDK shows neither the consistency level nor the write regions of an account: `cosmos::account` asks
//! for them.

mod changes;
mod connection;
mod failure;
mod permissions;
mod provision;
mod query;
mod snapshots;

use std::time::Duration;

pub(crate) use self::{
    changes::{Change, ChangePages, ChangesStart, FoundChanges},
    connection::{BatchRequest, Client, Connection, connect},
    permissions::missing_permissions,
    provision::{Presence, create_or_read_containers},
    query::{Pages, Projection, Scope},
    snapshots::Written,
};
use super::usage::{SessionToken, Usage};

/// The container of the events.
pub(crate) const EVENTS_CONTAINER: &str = "events";
/// The container of the snapshots.
pub(crate) const SNAPSHOTS_CONTAINER: &str = "snapshots";
/// How long one batch may take with the SDK's own retries. An append has time for a few of them.
const BATCH_TIME_MAX: Duration = Duration::from_secs(10);
/// How long the SDK waits when it is throttled before it gives up. Less than a batch may take, so
/// that throttling is reported as such and not as a time-out.
const THROTTLE_WAIT_MAX: Duration = Duration::from_secs(6);
/// How long the write of a snapshot may take: nobody waits for it, and the next one comes anyway.
const WRITE_TIME_MAX: Duration = Duration::from_secs(10);
/// How long one read request may take.
const READ_TIME_MAX: Duration = Duration::from_secs(30);

/// An answer, with what it took.
#[derive(Debug)]
pub(crate) struct Answered<T> {
    pub(crate) value: T,
    pub(crate) usage: Usage,
    pub(crate) session_token: Option<SessionToken>,
}

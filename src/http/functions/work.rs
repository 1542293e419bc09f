//! What triggers set in motion, as whoever runs the service provides it.

use futures::future::BoxFuture;
use serde_json::{Map, Value};

/// What the Cosmos DB trigger has said of changes: how much, and nothing of what is in them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changed {
    /// The documents that were in the batch.
    pub documents: usize,
    /// The streams that they name.
    pub streams: usize,
}

/// Something that is done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Done {
    /// Lines for the log of the invocation. No payloads, and no ids of streams.
    pub logs: Vec<String>,
    /// What the function returns.
    pub value: Map<String, Value>,
}

/// Something that is not done, and why. The host counts a failure and tries again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotDone(pub String);

/// What triggers set in motion. Invocations come at any time, also several at once, and are repeated; a future
/// that is dropped is one that the host does not wait for any more.
pub trait Work: Send + Sync + 'static {
    /// Keeps read models up to date for a bounded time.
    fn pump(&self) -> BoxFuture<'_, Result<Done, NotDone>>;

    /// Has everything read that is stored at the moment, within a bounded time.
    fn wake(&self, changed: Changed) -> BoxFuture<'_, Result<Done, NotDone>>;

    /// Tells how far read models are behind.
    fn lag(&self) -> BoxFuture<'_, Result<Done, NotDone>>;

    /// Ends what is in motion, and has no more of it.
    fn close(&self) -> BoxFuture<'_, ()>;
}

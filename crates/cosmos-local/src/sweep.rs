//! Removal of expired items in the background.
//!
//! Expired items are invisible to reads at once; the sweep only takes them out of the files. It
//! has no input, so running it at any time, or twice, does no harm.

use std::io;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::storage::Engine;

/// Between two sweeps. Nothing visible depends on it.
const INTERVAL: Duration = Duration::from_secs(5);

/// Sweeps from time to time until `stop`.
pub(crate) async fn run(engine: Engine, stop: CancellationToken) -> io::Result<()> {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(INTERVAL) => {}
        }
        let swept = tokio::select! {
            biased;
            // A round that has begun ends; the next is not waited for.
            () = stop.cancelled() => return Ok(()),
            swept = engine.sweep() => swept,
        };
        match swept {
            Ok(0) => {}
            Ok(removed) => tracing::debug!(removed, "expired items were removed"),
            Err(error) => tracing::warn!(%error, "expired items could not be removed"),
        }
    }
}

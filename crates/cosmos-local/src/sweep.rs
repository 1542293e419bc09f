//! Removal of expired items in the background.
//!
//! Expired items are invisible to reads at once; the sweep only takes them out of the files. It
//! has no input, so running it at any time, or twice, does no harm.

use std::io;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::storage::{Engine, StorageError};

/// Between two sweeps. Nothing visible depends on it.
const INTERVAL: Duration = Duration::from_secs(5);

/// Removes what has expired, in rounds, until nothing is left or `stop`; gives the number of items.
pub(crate) async fn sweep(engine: &Engine, stop: &CancellationToken) -> Result<u64, StorageError> {
    let mut removed = 0;
    while !stop.is_cancelled() {
        let round = engine.sweep().await?;
        removed += round;
        if round == 0 {
            break;
        }
    }
    Ok(removed)
}

/// Sweeps from time to time until `stop`.
pub(crate) async fn run(engine: Engine, stop: CancellationToken) -> io::Result<()> {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(INTERVAL) => {}
        }
        match sweep(&engine, &stop).await {
            Ok(0) => {}
            Ok(removed) => tracing::debug!(removed, "expired items were removed"),
            Err(error) => tracing::warn!(%error, "expired items could not be removed"),
        }
    }
}

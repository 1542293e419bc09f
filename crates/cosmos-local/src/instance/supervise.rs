//! The supervisor of an endpoint's tasks.

use std::io;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::error::ShutdownError;
use crate::folder::FolderLock;
use crate::storage::Engine;

/// How long requests that have begun may take once the endpoint is to stop.
pub(super) const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

/// Waits for every task, closes storage, gives the folder back, and gives the first failure.
pub(super) async fn run(
    mut tasks: JoinSet<io::Result<()>>,
    stop: CancellationToken,
    engine: Engine,
    lock: Option<FolderLock>,
) -> Result<(), ShutdownError> {
    let mut failure = None;
    let mut overdue = std::pin::pin!(async {
        stop.cancelled().await;
        tokio::time::sleep(DRAIN_DEADLINE).await;
    });
    let mut is_overdue = false;
    loop {
        tokio::select! {
            biased;
            ended = tasks.join_next() => {
                let Some(ended) = ended else { break };
                if let Some(reason) = reason(ended) {
                    failure.get_or_insert(ShutdownError::Failed(reason));
                }
                stop.cancel();
            }
            () = overdue.as_mut(), if !is_overdue => {
                is_overdue = true;
                failure.get_or_insert(ShutdownError::Deadline);
                tasks.abort_all();
            }
        }
    }
    if let Err(error) = engine.close().await {
        failure.get_or_insert(ShutdownError::Storage(error.to_string()));
    }
    if let Some(Err(error)) = lock.as_ref().map(FolderLock::withdraw) {
        tracing::warn!(%error, "endpoint.json could not be removed");
    }
    failure.map_or(Ok(()), Err)
}

/// Why a task failed, if it did.
fn reason(ended: Result<io::Result<()>, JoinError>) -> Option<String> {
    match ended {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(error) if error.is_cancelled() => None,
        Err(error) => Some(error.to_string()),
    }
}

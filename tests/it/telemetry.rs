//! What the programs tell about themselves: traces and metrics by OTLP, and what is in none of it.

#[cfg(feature = "otlp")]
mod collector;
#[cfg(feature = "otlp")]
mod otlp;
mod secrets;

use std::time::Duration;

/// A test that waits longer than this has failed.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two looks at what only can be asked for.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Waits until it is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "never: {what}");
}

//! The lag in the log, once a minute: what alerts are made of where nobody collects figures.
//!
//! The names of the fields are a promise: `docs/telemetry.md` has them, and the alerts of the deployment read
//! them.

use std::time::Duration;

use crate::feed::lag::{LagReader, ProcessorLag, RangeState};

/// The target of these lines.
pub(in crate::cli) const TARGET: &str = "cosmos_event_store::lag";
/// How often the lag is told: alerts look once in some minutes.
const INTERVAL: Duration = Duration::from_mins(1);

/// Does something, and tells the lag of all processors once a minute as long as it is done.
pub(in crate::cli) async fn telling<T>(reader: &LagReader, work: impl Future<Output = T>) -> T {
    let telling = async {
        loop {
            tokio::time::sleep(INTERVAL).await;
            match Box::pin(reader.processors()).await {
                Ok(found) => found.iter().for_each(tell),
                Err(error) => tracing::warn!(target: TARGET, %error, "the feed lag is not known"),
            }
        }
    };
    tokio::select! {
        biased;
        done = work => done,
        never = telling => never,
    }
}

/// Tells the lag of one processor.
pub(in crate::cli) fn tell(lag: &ProcessorLag) {
    tracing::info!(
        target: TARGET,
        processor = lag.processor,
        lag_seconds = lag.seconds(),
        lag_transactions = lag.transactions(),
        leases = lag.ranges.len(),
        stalled = lag.count(RangeState::Stalled),
        unowned = lag.count(RangeState::Unowned),
        parked = lag.parked,
        hosts = lag.hosts.len(),
        "feed lag"
    );
}

//! How far the processors of read models are behind.

use serde::Serialize;

use crate::{
    cli::{CliError, lag::Source},
    config::StoreOptions,
    projection::{Projection, ReadModels, processor_name},
};

/// The target of the lines that are logged.
const TARGET: &str = "cosmos_event_store::lag";

/// A processor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LagLine {
    processor: String,
    /// Nothing where it is not known.
    lag_seconds: Option<u64>,
    lag_transactions: Option<u64>,
    parked: u64,
}

impl LagLine {
    pub(super) fn log(&self) {
        let Self { processor, lag_seconds, lag_transactions, parked } = self;
        tracing::info!(target: TARGET, processor, lag_seconds, lag_transactions, parked, "feed lag");
    }

    /// For people.
    pub(super) fn shown(&self) -> String {
        let lag = match (self.lag_seconds, self.lag_transactions) {
            (Some(seconds), Some(transactions)) => {
                format!("{seconds} s, {transactions} transactions")
            }
            _ => "unknown".to_owned(),
        };
        format!("{}: lag {lag}, {} parked", self.processor, self.parked)
    }
}

/// Asks for all versions that this program keeps up to date, whether anybody does so at the moment or not.
pub(super) async fn read(
    account: &StoreOptions,
    read_models: &ReadModels,
) -> Result<Vec<LagLine>, CliError> {
    let source = Box::pin(Source::of(account, "")).await?;
    let mut lines = Vec::new();
    for (name, versions) in read_models.registry().list().await? {
        let Some(code) = read_models.catalog().get(&name).map(Projection::code) else { continue };
        for version in versions.of_code(code) {
            let processor = processor_name(&name, version.number);
            let Some(summary) = source.summary(&processor).await? else { continue };
            lines.push(LagLine {
                processor,
                lag_seconds: summary.lag_seconds,
                lag_transactions: summary.lag_transactions,
                parked: summary.parked,
            });
        }
    }
    Ok(lines)
}

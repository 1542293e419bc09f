//! How far the processors of read models are behind, as the function `lag` answers it.

use serde::Serialize;

use crate::{
    cli::{CliError, lag::telling::tell},
    feed::lag::{LagReader, ProcessorLag, RangeState},
    projection::{Projection, ReadModels, processor_name},
};

/// A processor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LagLine {
    processor: String,
    /// Nothing where it is not known.
    lag_seconds: Option<u64>,
    lag_transactions: Option<u64>,
    leases: usize,
    stalled: u64,
    parked: u64,
}

impl LagLine {
    fn of(lag: &ProcessorLag) -> Self {
        Self {
            processor: lag.processor.clone(),
            lag_seconds: lag.seconds(),
            lag_transactions: lag.transactions(),
            leases: lag.ranges.len(),
            stalled: lag.count(RangeState::Stalled),
            parked: lag.parked,
        }
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

/// Asks for all versions that this program keeps up to date, whether anybody does so at the moment or not, and
/// tells the log.
pub(super) async fn read(
    reader: &LagReader,
    read_models: &ReadModels,
) -> Result<Vec<LagLine>, CliError> {
    let mut lines = Vec::new();
    for (name, versions) in read_models.registry().list().await? {
        let Some(code) = read_models.catalog().get(&name).map(Projection::code) else { continue };
        for version in versions.of_code(code) {
            let processor = processor_name(&name, version.number);
            let Some(lag) = reader.processor(&processor).await? else { continue };
            tell(&lag);
            lines.push(LagLine::of(&lag));
        }
    }
    Ok(lines)
}

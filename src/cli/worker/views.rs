//! Read models, as `worker` and `serve` keep them up to date.

use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{figures::Figures, host::SHUTDOWN_TIME_MAX};
use crate::{
    cli::{CliError, table::counted, target::Account},
    projection::{Catalog, Hosting, ReadModels},
    quotes,
    store::EventStore,
};

/// The projections of this program.
pub(in crate::cli) fn catalog() -> Result<Catalog, CliError> {
    quotes::projections::catalog().map_err(|error| CliError::Usage(error.to_string()))
}

/// Opens the read models of an account.
pub(in crate::cli) async fn open(
    account: &Account,
    store: EventStore,
) -> Result<ReadModels, CliError> {
    Ok(Box::pin(ReadModels::open(&account.options, store, catalog()?)).await?)
}

/// What was done for read models.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct Kept {
    /// Events that were folded into documents, once for each read model that takes them.
    pub(in crate::cli) events: u64,
    pub(in crate::cli) documents: u64,
    pub(in crate::cli) read_models: usize,
}

impl Kept {
    fn of(hostings: &[Hosting]) -> Self {
        let sum =
            |value: fn(&Hosting) -> u64| hostings.iter().map(value).fold(0, u64::saturating_add);
        Self {
            events: sum(|one| one.applied.events),
            documents: sum(|one| one.applied.writes),
            read_models: hostings.len(),
        }
    }

    /// For people.
    pub(super) fn shown(&self) -> String {
        let read_models = u64::try_from(self.read_models).unwrap_or(u64::MAX);
        format!(
            "folded {} into {} of {}",
            counted(self.events, "event"),
            counted(self.documents, "document"),
            counted(read_models, "read model"),
        )
    }
}

/// Keeps the read models up to date until it is told to stop.
pub(in crate::cli) async fn keep(
    read_models: &ReadModels,
    instance: &str,
    figures: &Figures,
    appends: Option<watch::Receiver<u64>>,
    stop: &CancellationToken,
) -> Result<Kept, CliError> {
    let host = read_models.host(instance);
    figures.put_views(host.clone());
    let hostings = Box::pin(host.run(appends, stop, SHUTDOWN_TIME_MAX)).await;
    figures.clear();
    Ok(Kept::of(&hostings?))
}

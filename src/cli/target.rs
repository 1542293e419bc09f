//! Opening the store that a command works on, and closing it.
//!
//! The embedded store is an endpoint on a data folder. Where another process runs one on the folder,
//! the command joins it; otherwise the command runs one for as long as it works.

use std::path::{Path, PathBuf};

use cosmos_local::{LocalCosmos, StartError};

use super::{CliError, args::Target};
use crate::{
    config::{Credential, StoreOptions},
    store::{EventStore, ProvisionReport, provision},
};

/// How often a command tries to join or to start: another process may start or end at the same
/// moment.
const OPEN_TRIES_MAX: usize = 3;

/// What a command does with a data folder that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// It is made: the command stores something, or waits for something.
    Create,
    /// It is refused: there is nothing to read, and the name may be mistyped.
    Refuse,
}

/// A reachable account, with the endpoint that was started for it, if any.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) options: StoreOptions,
    embedded: Option<LocalCosmos>,
    is_folder: bool,
}

impl Account {
    /// Joins or starts what the target needs.
    pub(super) async fn open(target: Target, missing: Missing) -> Result<Self, CliError> {
        match target {
            Target::Endpoint(options) => Ok(Self { options, embedded: None, is_folder: false }),
            Target::Folder { folder, database } => {
                if missing == Missing::Refuse && !folder.is_dir() {
                    return Err(CliError::Usage(format!(
                        "there is no data folder {}; --data-dir names another, and `cosmos-es \
                         import` or `append` makes one",
                        folder.display()
                    )));
                }
                Box::pin(Self::in_folder(folder, database)).await
            }
        }
    }

    async fn in_folder(folder: PathBuf, database: String) -> Result<Self, CliError> {
        let mut tries = 1;
        loop {
            if let Some(running) = LocalCosmos::attach(&folder).await? {
                tracing::info!(endpoint = running.endpoint, "joined a running endpoint");
                let key = Credential::key(running.key);
                let options = StoreOptions::new(running.endpoint, key, database);
                return Ok(Self { options, embedded: None, is_folder: true });
            }
            match start(&folder).await {
                Ok(endpoint) => {
                    tracing::info!(endpoint = endpoint.endpoint(), "started an endpoint");
                    let key = Credential::key(endpoint.key());
                    let options = StoreOptions::new(endpoint.endpoint(), key, database);
                    return Ok(Self { options, embedded: Some(endpoint), is_folder: true });
                }
                Err(StartError::InUse { .. }) if tries < OPEN_TRIES_MAX => tries += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Makes the database ready, or says what is wrong with it.
    pub(super) async fn provision(&self) -> Result<ProvisionReport, CliError> {
        Ok(Box::pin(provision(&self.options)).await?)
    }

    /// Connects to the event store. In a data folder, what is missing of the database is made first.
    pub(super) async fn connect(&self) -> Result<EventStore, CliError> {
        let options = self.options.clone();
        if self.is_folder {
            let (store, _) = Box::pin(EventStore::provision_and_connect(options)).await?;
            return Ok(store);
        }
        Ok(Box::pin(EventStore::connect(options)).await?)
    }

    /// Ends the endpoint that was started. What was acknowledged is stored in any case.
    pub(super) async fn close(self) -> Result<(), CliError> {
        match self.embedded {
            Some(endpoint) => Ok(endpoint.shutdown().await?),
            None => Ok(()),
        }
    }
}

async fn start(folder: &Path) -> Result<LocalCosmos, StartError> {
    LocalCosmos::builder().data_dir(folder).start().await
}

//! Opening the store that a command works on, and closing it.
//!
//! The embedded store is an endpoint on a data folder. Where another process runs one on the folder,
//! the command joins it; otherwise the command runs one for as long as it works.

use std::path::{Path, PathBuf};

use cosmos_local::{LocalCosmos, StartError};

use super::{CliError, args::Target};
use crate::{
    config::{Credential, StoreOptions},
    store::{EventStore, ProvisionReport, check_account, provision},
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
    folder: Option<PathBuf>,
    replaced_port: Option<u16>,
}

impl Account {
    /// Joins or starts what the target needs.
    pub(super) async fn open(target: Target, missing: Missing) -> Result<Self, CliError> {
        Box::pin(Self::open_at(target, missing, 0)).await
    }

    /// Joins or starts what the target needs. What is started takes this port, or a free one where it is
    /// in use; 0 is a free one in any case.
    pub(super) async fn open_at(
        target: Target,
        missing: Missing,
        port: u16,
    ) -> Result<Self, CliError> {
        match target {
            Target::Endpoint(options) => {
                Ok(Self { options, embedded: None, folder: None, replaced_port: None })
            }
            Target::Folder { folder, database } => {
                if missing == Missing::Refuse && !folder.is_dir() {
                    return Err(CliError::Usage(format!(
                        "there is no data folder {}; --data-dir names another, and `cosmos-es \
                         import` or `append` makes one",
                        folder.display()
                    )));
                }
                Box::pin(Self::in_folder(folder, database, port)).await
            }
        }
    }

    async fn in_folder(folder: PathBuf, database: String, wanted: u16) -> Result<Self, CliError> {
        let (mut tries, mut port) = (1, wanted);
        loop {
            if let Some(running) = LocalCosmos::attach(&folder).await? {
                tracing::info!(endpoint = running.endpoint, "joined a running endpoint");
                let key = Credential::key(running.key);
                let options = StoreOptions::new(running.endpoint, key, database);
                let folder = Some(folder);
                return Ok(Self { options, embedded: None, folder, replaced_port: None });
            }
            match start(&folder, port).await {
                Ok(endpoint) => {
                    tracing::info!(endpoint = endpoint.endpoint(), "started an endpoint");
                    let key = Credential::key(endpoint.key());
                    let options = StoreOptions::new(endpoint.endpoint(), key, database);
                    let replaced_port = (port != wanted).then_some(wanted);
                    let folder = Some(folder);
                    return Ok(Self { options, embedded: Some(endpoint), folder, replaced_port });
                }
                Err(StartError::Listen { source, .. })
                    if port != 0 && source.kind() == std::io::ErrorKind::AddrInUse =>
                {
                    port = 0;
                }
                Err(StartError::InUse { .. }) if tries < OPEN_TRIES_MAX => tries += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Looks where the endpoint is that another process runs on the data folder: it may have been started
    /// again elsewhere.
    pub(super) async fn rejoin(&mut self) -> Result<(), CliError> {
        if let (None, Some(folder)) = (&self.embedded, &self.folder)
            && let Some(running) = LocalCosmos::attach(folder).await?
        {
            self.options.endpoint = running.endpoint;
            self.options.credential = Credential::key(running.key);
        }
        Ok(())
    }

    /// Makes the database ready, or says what is wrong with it.
    pub(super) async fn provision(&self) -> Result<ProvisionReport, CliError> {
        self.check().await?;
        Ok(Box::pin(provision(&self.options)).await?)
    }

    /// Connects to the event store. In a data folder, what is missing of the database is made first.
    pub(super) async fn connect(&self) -> Result<EventStore, CliError> {
        let options = self.options.clone();
        if self.folder.is_some() {
            let (store, _) = Box::pin(EventStore::provision_and_connect(options)).await?;
            return Ok(store);
        }
        Ok(Box::pin(EventStore::connect(options)).await?)
    }

    /// Refuses an account in which events could be lost. The embedded store is none.
    pub(super) async fn check(&self) -> Result<(), CliError> {
        if self.folder.is_none() {
            Box::pin(check_account(&self.options)).await?;
        }
        Ok(())
    }

    /// Looks at the account first, and connects to the store in it.
    pub(super) async fn check_and_connect(&self) -> Result<EventStore, CliError> {
        self.check().await?;
        self.connect().await
    }

    /// Makes the database ready, or says what is wrong with it, and connects.
    pub(super) async fn provision_and_connect(
        &self,
    ) -> Result<(EventStore, ProvisionReport), CliError> {
        self.check().await?;
        Ok(Box::pin(EventStore::provision_and_connect(self.options.clone())).await?)
    }

    /// What is at the other end, for people.
    pub(super) fn kind(&self) -> &'static str {
        match (&self.embedded, &self.folder) {
            (Some(_), _) => "cosmos-local (embedded)",
            (None, Some(_)) => "cosmos-local (joined)",
            (None, None) => "Cosmos DB",
        }
    }

    /// The data folder, where the store is in one.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The port that was asked for, where a free one was taken instead.
    pub(super) fn replaced_port(&self) -> Option<u16> {
        self.replaced_port
    }

    /// Waits until the endpoint that was started ends by itself; for ever where none was.
    pub(super) async fn ended(&self) {
        match &self.embedded {
            Some(endpoint) => endpoint.stopping().await,
            None => std::future::pending().await,
        }
    }

    /// Ends the endpoint that was started. What was acknowledged is stored in any case.
    pub(super) async fn close(self) -> Result<(), CliError> {
        match self.embedded {
            Some(endpoint) => Ok(endpoint.shutdown().await?),
            None => Ok(()),
        }
    }
}

async fn start(folder: &Path, port: u16) -> Result<LocalCosmos, StartError> {
    LocalCosmos::builder().data_dir(folder).port(port).start().await
}

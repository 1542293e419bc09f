//! Choosing how an endpoint runs.

use std::fmt;
use std::path::PathBuf;

use super::{LocalCosmos, StartError};
use crate::config::{Durability, Mode, Settings};

/// Chooses how an endpoint runs; [`start`](Self::start) starts it.
#[derive(Clone, Default)]
#[must_use = "nothing runs before `start`"]
pub struct LocalCosmosBuilder {
    settings: Settings,
}

impl fmt::Debug for LocalCosmosBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalCosmosBuilder")
            .field("data_dir", &self.settings.data_dir)
            .field("mode", &self.settings.mode)
            .field("port", &self.settings.port)
            .finish_non_exhaustive()
    }
}

impl LocalCosmosBuilder {
    /// Keeps the data in this folder, which is made when it is missing.
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.settings.data_dir = Some(folder.into());
        self
    }

    /// Keeps the data in memory. This is the default.
    pub fn ephemeral(mut self) -> Self {
        self.settings.data_dir = None;
        self
    }

    /// Strict (the default) or lenient.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.settings.mode = mode;
        self
    }

    /// The port of the endpoint; 0, the default, takes a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.settings.port = port;
        self
    }

    /// The port of the management interface; 0, the default, takes a free one.
    pub fn management_port(mut self, port: u16) -> Self {
        self.settings.management_port = port;
        self
    }

    /// Gives every new container this many physical partitions. By default their number goes by
    /// throughput as on the service: one for each 10,000 RU/s begun.
    pub fn partitions(mut self, partitions: u32) -> Self {
        self.settings.partitions = Some(partitions.max(1));
        self
    }

    /// When a write is acknowledged.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.settings.durability = durability;
        self
    }

    /// The account key in base64. The default is [`EMULATOR_KEY`](crate::EMULATOR_KEY).
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.settings.key = key.into();
        self
    }

    /// Memory for pages of the data file. The default is 48 MiB.
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.settings.cache_bytes = Some(bytes);
        self
    }

    /// Starts the endpoint and gives it when it accepts requests.
    ///
    /// # Errors
    ///
    /// [`StartError::InUse`] when another process uses the folder, [`StartError::Storage`] when the
    /// folder is not a data folder or is damaged (it is left as it was), [`StartError::Listen`] when
    /// a port is taken, [`StartError::Key`] for a key that is not base64.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing running.
    pub async fn start(self) -> Result<LocalCosmos, StartError> {
        super::start(self.settings).await
    }
}

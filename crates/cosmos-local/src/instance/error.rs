//! Why an endpoint did not start or did not end as it should.

use std::io;
use std::path::PathBuf;

use super::supervise::DRAIN_DEADLINE;
use crate::folder::EndpointInfo;
use crate::storage::OpenError;

/// Why an endpoint did not start. Nothing is left running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The account key is not base64.
    #[error("the account key is not valid base64")]
    Key,
    /// Another process uses the data folder.
    #[error("{} is in use by another process{}", folder.display(), describe(running.as_ref()))]
    InUse {
        /// The data folder.
        folder: PathBuf,
        /// That process and its endpoint, when it has published them.
        running: Option<EndpointInfo>,
    },
    /// The data folder could not be made or locked.
    #[error("cannot use {}: {source}", folder.display())]
    Folder {
        /// The data folder.
        folder: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The data folder is not one of ours, or is damaged, or of another version. It is left as it
    /// was.
    #[error("{reason}")]
    Storage {
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// A port could not be taken.
    #[error(
        "cannot listen on 127.0.0.1:{port}: {source}; choose another port, or 0 for a free one"
    )]
    Listen {
        /// The port asked for.
        port: u16,
        /// What the operating system said.
        source: io::Error,
    },
}

fn describe(running: Option<&EndpointInfo>) -> String {
    running
        .map(|running| format!(" (process {}, endpoint {})", running.pid, running.endpoint))
        .unwrap_or_default()
}

impl From<OpenError> for StartError {
    fn from(error: OpenError) -> Self {
        Self::Storage { reason: error.to_string() }
    }
}

/// Why an endpoint did not end as it should. What was acknowledged is stored nevertheless.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShutdownError {
    /// Requests that had begun did not end in time and were cut off.
    #[error("requests did not end within {} s and were cut off", DRAIN_DEADLINE.as_secs())]
    Deadline,
    /// A part of the endpoint failed, which ended the others.
    #[error("a part of the endpoint failed: {0}")]
    Failed(String),
    /// Storage could not be closed.
    #[error("storage could not be closed: {0}")]
    Storage(String),
}

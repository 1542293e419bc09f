//! Typed settings of the event store.
//!
//! Where the settings come from (flags, variables, files) is the business of the binary; here they
//! have types, defaults and reasons.

use std::{fmt, sync::Arc, time::Duration};

use crate::clock::{Clock, SystemClock};

/// How long an append may take, with everything it retries. Long enough to ride out a fail-over of
/// a partition's primary, short enough for a caller that waits.
pub const APPEND_TIME_MAX: Duration = Duration::from_secs(30);
/// The events of one page of a read. A page is held in memory; with events of a kilobyte it is
/// about a tenth of what the service sends at most.
pub const PAGE_EVENTS: u32 = 400;

/// How to sign requests to the account. Secrets do not show in `Debug`.
#[derive(Clone)]
#[non_exhaustive]
pub enum Credential {
    /// The account's key, in base64.
    Key(String),
    /// The managed identity of the host: the system-assigned one, or the user-assigned one with this
    /// client id.
    ManagedIdentity {
        /// The client id of a user-assigned identity.
        client_id: Option<String>,
    },
    /// The federated identity of a Kubernetes workload, from its environment.
    WorkloadIdentity,
    /// Whoever is signed in to the Azure CLI or the Azure Developer CLI on this machine.
    DeveloperTools,
}

impl Credential {
    /// The account's key, in base64.
    pub fn key(key: impl Into<String>) -> Self {
        Self::Key(key.into())
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key(_) => "Key(..)",
            Self::ManagedIdentity { .. } => "ManagedIdentity(..)",
            Self::WorkloadIdentity => "WorkloadIdentity",
            Self::DeveloperTools => "DeveloperTools",
        })
    }
}

/// Where the event store is and how to reach it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoreOptions {
    /// The account's endpoint, for example `https://account.documents.azure.com/`.
    pub endpoint: String,
    /// How to sign requests.
    pub credential: Credential,
    /// The database; a tenant is a database.
    pub database: String,
    /// The Azure region that this process runs in, for the order in which regions are read; the
    /// account's own order unless it is set. Writes go to the write region in any case.
    pub region: Option<String>,
    /// How long an append may take with everything it retries; [`APPEND_TIME_MAX`] unless it is set.
    pub append_time_max: Duration,
    /// The events of one page of a read; [`PAGE_EVENTS`] unless it is set.
    pub page_events: u32,
    /// What tells the time.
    pub clock: Arc<dyn Clock>,
}

impl StoreOptions {
    /// The settings that have no default.
    pub fn new(
        endpoint: impl Into<String>,
        credential: Credential,
        database: impl Into<String>,
    ) -> Self {
        Self {
            endpoint: endpoint.into(),
            credential,
            database: database.into(),
            region: None,
            append_time_max: APPEND_TIME_MAX,
            page_events: PAGE_EVENTS,
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// Sets the Azure region that this process runs in.
    #[must_use]
    pub fn with_region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Sets how long an append may take. The SDK needs at least a second for a request.
    #[must_use]
    pub fn with_append_time_max(mut self, time: Duration) -> Self {
        self.append_time_max = time;
        self
    }

    /// Sets the events of one page of a read; 0 counts as 1.
    #[must_use]
    pub fn with_page_events(mut self, events: u32) -> Self {
        self.page_events = events;
        self
    }

    /// Sets what tells the time.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_show() {
        let options = StoreOptions::new("http://localhost:1", Credential::key("c2VjcmV0"), "db");
        assert!(!format!("{options:?}").contains("c2VjcmV0"));
    }
}

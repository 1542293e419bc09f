//! How long is waited for what the SDK does.

use std::time::Duration;

use azure_data_cosmos::{ContainerClient, CosmosError};
use futures::{Stream, StreamExt as _};

use super::{ConnectError, connect};
use crate::config::StoreOptions;

/// What the SDK may take beyond the limit that it was given, before it is cut off. What it reads about
/// containers and partitions has no limit of its own.
const GRACE: Duration = Duration::from_millis(500);

/// How long an operation may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeLimits {
    /// With the SDK's own retries.
    pub(crate) time_max: Duration,
    /// While it is throttled. Less than the whole, so that throttling is reported as such and not as a
    /// time-out.
    pub(crate) throttle_wait_max: Duration,
}

/// Why there is no answer that can be used.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// The SDK says why.
    Failed(CosmosError),
    /// The credential cannot be made from its settings.
    Credential,
    /// It was cut off.
    Late,
}

impl TimeLimits {
    /// After how long one request is cut off.
    pub(crate) fn cut_off(self) -> Duration {
        self.time_max + GRACE
    }

    /// Waits for something that the SDK does, but not for ever.
    pub(crate) async fn within<T>(
        self,
        work: impl Future<Output = Result<T, CosmosError>> + Send,
    ) -> Result<T, Unanswered> {
        match tokio::time::timeout(self.cut_off(), work).await {
            Ok(result) => result.map_err(Unanswered::Failed),
            Err(_) => Err(Unanswered::Late),
        }
    }

    /// The next page of the SDK; nothing behind the last one.
    pub(crate) async fn next<T>(
        self,
        pages: &mut (impl Stream<Item = Result<T, CosmosError>> + Unpin),
    ) -> Result<Option<T>, Unanswered> {
        match tokio::time::timeout(self.cut_off(), pages.next()).await {
            Ok(page) => page.transpose().map_err(Unanswered::Failed),
            Err(_) => Err(Unanswered::Late),
        }
    }

    /// Opens a container, with a connection of its own.
    pub(crate) async fn open(
        self,
        options: &StoreOptions,
        container: &str,
    ) -> Result<ContainerClient, Unanswered> {
        let connecting = Box::pin(connect(options));
        let client = match tokio::time::timeout(self.cut_off(), connecting).await {
            Ok(Ok(client)) => client,
            Ok(Err(ConnectError::Account(error))) => return Err(Unanswered::Failed(error)),
            Ok(Err(ConnectError::Credential(_))) => return Err(Unanswered::Credential),
            Err(_) => return Err(Unanswered::Late),
        };
        let database = client.database_client(&options.database);
        self.within(Box::pin(database.container_client(container, None))).await
    }
}

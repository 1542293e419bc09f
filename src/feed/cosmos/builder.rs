//! A processor over a container of Cosmos DB, from one place.

use std::sync::Arc;

use thiserror::Error;

use super::{CosmosFeed, CosmosLeases, FeedFields};
use crate::{
    config::StoreOptions,
    feed::{
        FeedFault, Handler, InvalidOptions, Processor, ProcessorOptions, RunningProcessor,
        StoreFault, options::PAGE_CHANGES,
    },
};

/// A processor of one container, with its leases in another one of the same database.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use cosmos_event_store::{StoreOptions, feed::{CosmosProcessor, FeedFields, Handler, ProcessorOptions}};
/// # async fn example(account: StoreOptions, handler: Arc<dyn Handler>) -> Result<(), Box<dyn std::error::Error>> {
/// let orders = FeedFields::new("/customer", "/_ts")?;
/// let host = CosmosProcessor::new(&account, "orders", orders)
///     .leases("leases")
///     .named("mails")
///     .start(ProcessorOptions::new("host-1"), handler)
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a processor does nothing until it is started"]
pub struct CosmosProcessor<'a> {
    account: &'a StoreOptions,
    monitored: String,
    fields: FeedFields,
    leases: String,
    name: String,
    page_changes: u32,
}

/// Why a processor could not be started.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The settings do not go together.
    #[error(transparent)]
    Options(#[from] InvalidOptions),
    /// The monitored container cannot be opened.
    #[error("the monitored container: {0}")]
    Feed(#[from] FeedFault),
    /// The container of the leases cannot be opened.
    #[error("the container of the leases: {0}")]
    Leases(#[from] StoreFault),
}

impl<'a> CosmosProcessor<'a> {
    /// A processor of the changes of a container, of any kind of document. Its name is `default`, its leases
    /// are in the container `leases`, and a page has about 100 changes.
    pub fn new(
        account: &'a StoreOptions,
        monitored: impl Into<String>,
        fields: FeedFields,
    ) -> Self {
        Self {
            account,
            monitored: monitored.into(),
            fields,
            leases: "leases".to_owned(),
            name: "default".to_owned(),
            page_changes: PAGE_CHANGES,
        }
    }

    /// Sets the container of the leases. Its partition key is `/processor`, and it has time to live without
    /// a default.
    pub fn leases(mut self, container: impl Into<String>) -> Self {
        self.leases = container.into();
        self
    }

    /// Sets the name of the processor: hosts with the same name share its ranges.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets about how many changes a page has; 0 counts as 1. The changes of a transaction are in one page.
    pub fn page_changes(mut self, changes: u32) -> Self {
        self.page_changes = changes;
        self
    }

    /// Opens both containers and starts a host. A few requests before it returns; the host joins the
    /// processor, or makes it, after that.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, no host was started.
    pub async fn start(
        self,
        options: ProcessorOptions,
        handler: Arc<dyn Handler>,
    ) -> Result<RunningProcessor, StartError> {
        // Before anything is asked of the service.
        options.check()?;
        let feed = Box::pin(CosmosFeed::open(self.account, &self.monitored, self.fields)).await?;
        let feed = feed.with_page_changes(self.page_changes);
        let leases = Box::pin(CosmosLeases::open(self.account, &self.leases, &self.name)).await?;
        let host = Processor::new(Arc::new(feed), Arc::new(leases), handler, options).start()?;
        Ok(host)
    }
}

//! The change-feed processor: every change of a container, at least once, in order per partition key.
//!
//! Any number of hosts share the feed of a container. The key-hash space is cut into [ranges](FeedRange);
//! each has a lease, and whoever holds the lease reads the range and hands its changes to a [`Handler`].
//! A [`Processor`] is one host; [`Control`] tells all of them to pause, resume or rewind.
//!
//! What decides is a pure function, without clock or IO: which host should hold which lease
//! ([`balancer`]), who is alive ([`liveness`]), whether the leases cover the key space ([`coverage`]), what
//! may run side by side ([`schedule`]), and how far a lease has come ([`progress`]). The loops around them
//! know a [`Feed`] and a [`LeaseStore`], on Cosmos DB or in [`memory`], so that whole processors run in a
//! simulation.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use cosmos_event_store::{Credential, StoreOptions};
//! use cosmos_event_store::feed::{
//!     CosmosProcessor, Delivery, FeedFields, Handler, HandlerFault, ProcessorOptions,
//! };
//! use futures::future::BoxFuture;
//!
//! struct Count;
//!
//! impl Handler for Count {
//!     fn handle<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Result<(), HandlerFault>> {
//!         Box::pin(async move {
//!             println!("{} changes of {}", delivery.changes.len(), delivery.key);
//!             Ok(())
//!         })
//!     }
//! }
//!
//! # async fn example(account: StoreOptions) -> Result<(), Box<dyn std::error::Error>> {
//! let fields = FeedFields::new("/aggregateId", "/sequenceNumber")?.with_rising_order();
//! let host = CosmosProcessor::new(&account, "events", fields)
//!     .named("counter")
//!     .start(ProcessorOptions::new("host-1"), Arc::new(Count))
//!     .await?;
//! host.wait_caught_up().await?;
//! host.shutdown(std::time::Duration::from_secs(10)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! It knows nothing of events, projections or HTTP.

pub mod balancer;
mod control;
mod cosmos;
pub mod coverage;
pub mod documents;
mod handler;
mod holding;
mod host;
pub mod lag;
pub mod liveness;
pub mod memory;
pub mod metrics;
pub mod options;
mod processor;
pub mod progress;
mod range;
pub mod restart;
pub mod schedule;
#[cfg(test)]
mod simulation;
mod source;
mod store;

pub(crate) use self::handler::Random;
pub use self::{
    control::{Control, ControlError, Overview, Positions},
    cosmos::{CosmosFeed, CosmosLeases, CosmosProcessor, FeedFields, InvalidPath, StartError},
    handler::{Delivery, Handler, HandlerFault},
    host::{HeldStatus, LeaseState, LeaseStatus, Status},
    metrics::Metrics,
    options::{InvalidOptions, ProcessorOptions},
    processor::{CaughtUp, HostFailed, Processor, RunningProcessor, Standing},
    range::{FeedRange, InvalidRange},
    source::{Change, Feed, FeedFault, FeedReader, Page},
    store::{Done, LeaseStore, OPERATIONS_MAX, Operation, StoreFault},
};

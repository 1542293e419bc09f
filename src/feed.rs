//! The change-feed processor: every change of a container, at least once, in order per partition key.
//!
//! Any number of hosts share the feed of a container. The key-hash space is cut into [ranges](FeedRange);
//! each has a lease, and whoever holds the lease reads the range. This module has the parts that decide,
//! as pure functions: which host should hold which lease ([`balancer`]), who is alive ([`liveness`]),
//! whether the leases cover the key space ([`coverage`]), what may run side by side ([`schedule`]), and
//! how far a lease has come ([`progress`]). They read no clock and do no IO.
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
pub mod liveness;
pub mod memory;
pub mod options;
mod processor;
pub mod progress;
mod range;
pub mod schedule;
#[cfg(test)]
mod simulation;
mod source;
mod store;

pub use self::{
    control::{Control, ControlError, Overview},
    cosmos::{CosmosFeed, CosmosLeases, FeedFields, InvalidPath},
    handler::{Delivery, Handler, HandlerFault},
    host::{HeldStatus, LeaseStatus, Status},
    options::{InvalidOptions, ProcessorOptions},
    processor::{HostFailed, Processor, RunningProcessor},
    range::{FeedRange, InvalidRange},
    source::{Change, Feed, FeedFault, FeedReader, Page},
    store::{Done, LeaseStore, OPERATIONS_MAX, Operation, StoreFault},
};

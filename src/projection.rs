//! Projections: pure code that turns events into read models, and what runs it on the change feed.
//!
//! A projection is of one of two kinds. [`Views`] of streams: each view is made from the events of one
//! stream, in order. [`Totals`] over many streams: each stream adds its part, its **contribution**, and the
//! parts are merged in ways whose order does not matter. Both are pure; what runs them is the same:
//!
//! - Every document that is made from a stream carries a guard: the sequence number and the id of the last
//!   event in it. It changes in one transaction with everything else that these events change, under the
//!   etags that were read. So an event counts once, whoever delivers it, however often, and whoever dies in
//!   between.
//! - Events that come again are passed over. Where some are missing they are read from the store first.
//! - All events of a run are folded together: a view is read once, if at all, and written once.
//!
//! What a projection has made stands under a number, its **version**; a new one is built beside the one
//! that readers use, and takes its place at once ([`Registry`]). The documents are described in
//! `docs/stored-format.md`, how to write a projection in `docs/projections.md`. This module knows nothing of
//! HTTP; its sub-module `cosmos` is the only one that knows the SDK.

mod attendance;
mod catalog;
mod cosmos;
mod definition;
mod document;
mod drift;
#[cfg(test)]
mod exactness;
mod fold;
pub mod generic;
mod handler;
mod hosting;
pub mod kit;
mod lane;
mod measure;
pub mod memory;
pub mod metrics;
mod order;
pub mod pump;
mod read_models;
mod rebuild;
mod registry;
mod source;
mod store;
mod totals;
mod verify;
mod versions;
mod views;

pub(crate) use self::hosting::open_events;
pub use self::{
    catalog::Catalog,
    cosmos::CosmosViews,
    definition::{Definition, InvalidDefinition, Takes},
    document::{Document, Kind},
    drift::{Difference, Drift, What},
    fold::{FoldFault, Projection},
    handler::{Applied, ProjectionHandler},
    hosting::{Hosting, ProjectionHost},
    measure::{Measure, Scalar},
    pump::{Pump, PumpError, Pumped},
    read_models::{
        InvalidToken, List, Listed, ReadModelError, ReadModels, ReceiptToken, TotalsList, View,
        Waited, processor_name,
    },
    rebuild::{Compare, RebuildError, RebuildOptions, RebuildProgress, Rebuilt, RollBackError},
    registry::{Registry, RegistryError},
    source::{History, HistoryFault},
    store::{Found, ViewFault, ViewQuery, ViewStore, Write},
    totals::{Adds, Total, Totals},
    verify::Verified,
    versions::{Code, Version, VersionFault, VersionState, Versions},
    views::{Unreadable, ViewKey, Views},
};

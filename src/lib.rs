//! An event store on Azure Cosmos DB.
//!
//! [`EventStore`] appends events to streams and reads them. Its example is the place to start;
//! [`provision`] makes a database ready for it.
//!
//! # Words
//!
//! - A **stream** is the ordered events of one aggregate; its **version** is the **sequence number**
//!   of its last event, 0 when it is empty. The first sequence number is 1.
//! - A **commit** is the events of one append.
//! - The **expected version** is what an append requires of the stream.
//! - A **request charge** is what the service counts for a request, in request units (RU).
#![forbid(unsafe_code)]

pub mod aggregate;
pub mod cli;
pub mod clock;
pub mod config;
mod cosmos;
pub mod event;
pub mod feed;
pub mod http;
pub mod projection;
pub mod quotes;
pub mod store;
pub mod stream;
pub mod telemetry;

pub use self::{
    config::{Credential, StoreOptions},
    event::{BadInput, EventId, EventType, Metadata, NewEvent, RecordedEvent},
    store::{
        AppendError, AppendOptions, AppendOutcome, EventStore, ReadError, Receipt, StoreError,
        StoreErrorKind, Usage, provision,
    },
    stream::{ExpectedVersion, SequenceNumber, StreamId},
};

/// The example in `README.md` is compiled and run with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

/// The example in `docs/projections.md`, too.
#[cfg(doctest)]
#[doc = include_str!("../docs/projections.md")]
mod projections {}

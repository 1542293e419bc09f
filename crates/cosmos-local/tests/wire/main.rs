//! The protocol over the wire, request by request, with a plain HTTP client.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that is surprised has failed"
)]

mod batches;
mod client;
mod feeds;
mod items;
mod management;
mod metadata;
mod partitions;
mod program;
mod protocol;
mod queries;

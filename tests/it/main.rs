//! Integration tests of the root package, in one binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a test that is surprised has failed"
)]

mod aggregate;
mod cli;
mod clients;
mod crash;
mod deployment;
mod feed;
mod fixture;
mod functions;
mod http;
mod operations;
mod projection;
mod readme;
mod sdk;
mod store;
mod telemetry;
mod tidy;
mod tools;

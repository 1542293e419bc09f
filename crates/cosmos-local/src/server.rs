//! The HTTP server: the REST protocol of Azure Cosmos DB over storage and query engine.
//!
//! A connection (HTTP/1.1, or HTTP/2 with prior knowledge, on the same port) yields requests; each
//! is checked for its signature, routed by a pure function, carried out by one handler, and
//! answered with the headers that clients rely on. Handlers fail in one way only, by a
//! `ServiceError`.
//!
//! What it does not do: it keeps no state of its own between requests, and nothing here decides
//! what a query means or how an item is stored.

mod access;
mod account;
mod batch;
mod charge;
mod container;
mod context;
mod database;
mod dispatch;
mod error;
mod feed;
mod item;
mod listener;
mod listing;
mod names;
mod offer;
mod patch;
mod query;
mod ranges;
mod respond;
mod route;
mod scope;

pub(crate) use listener::serve;

use crate::state::ServerState;

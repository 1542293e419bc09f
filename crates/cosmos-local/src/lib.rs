//! A persistent local endpoint for the Azure Cosmos DB NoSQL REST protocol.
#![forbid(unsafe_code)]

mod auth;
mod clock;
mod json;
mod key;
mod management;
mod query;
mod rid;
mod server;
mod session;
mod storage;

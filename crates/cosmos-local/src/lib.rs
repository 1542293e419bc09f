//! A persistent local endpoint for the REST protocol of Azure Cosmos DB (the SQL interface).
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

pub use auth::EMULATOR_KEY;

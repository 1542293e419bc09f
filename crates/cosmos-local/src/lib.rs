//! A persistent local endpoint for the REST protocol of Azure Cosmos DB (the SQL interface).
//!
//! [`LocalCosmos`] runs one inside the process, in milliseconds and on a free port, so every test
//! can have its own; the binary `cosmos-local` runs one by itself. Clients use the official SDKs
//! and cannot tell it from a small account, except that it stays on this machine: it binds the
//! loopback interface only.
//!
//! ```
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use cosmos_local::{LocalCosmos, Mode};
//!
//! let endpoint = LocalCosmos::builder()
//!     .data_dir("./cosmos-local-data")
//!     .mode(Mode::Lenient)
//!     .partitions(4)
//!     .start()
//!     .await?;
//! println!("{}", endpoint.connection_string());
//! endpoint.shutdown().await?;
//! # Ok(()) }
//! ```
#![forbid(unsafe_code)]

mod auth;
mod clock;
mod config;
mod folder;
mod instance;
mod json;
mod key;
mod management;
mod query;
mod rid;
mod server;
mod session;
mod state;
mod storage;
mod sweep;

pub use auth::EMULATOR_KEY;
pub use config::{Durability, Mode};
pub use folder::{AttachError, EndpointInfo};
pub use instance::{LocalCosmos, LocalCosmosBuilder, ShutdownError, StartError};
pub use management::counters::Counts;
pub use management::fault::{ActiveFault, Fault, FaultAction, FaultMatch, Throttle};
pub use management::{Control, ControlError, Partition};

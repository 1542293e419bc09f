//! The event store over the wire.

mod append;
mod changes;
mod contention;
mod faults;
mod histories;
mod provision;
mod read;
mod telemetry;

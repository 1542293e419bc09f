//! The command line: every command of the built binary, on data folders of its own.

mod append;
mod demo;
mod doctor;
mod export;
mod identity;
mod import;
mod inside;
mod life;
mod metrics;
mod probes;
pub(crate) mod program;
mod projections;
mod read;
mod settings;
mod shared_log;
mod stub;
mod worker;

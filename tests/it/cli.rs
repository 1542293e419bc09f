//! The command line: every command of the built binary, on data folders of its own.

mod append;
mod demo;
mod export;
mod import;
mod inside;
mod life;
mod metrics;
pub(crate) mod program;
mod projections;
mod read;
mod shared_log;
mod worker;

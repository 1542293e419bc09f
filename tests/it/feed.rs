//! The change-feed processor over the wire.

mod any_container;
mod leases;
pub(crate) mod processes;
mod processor;
mod source;
mod topology;
mod watched;

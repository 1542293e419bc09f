//! The change-feed processor over the wire.

mod leases;
mod processes;
mod processor;
mod source;
mod topology;
mod watched;

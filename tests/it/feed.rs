//! The change-feed processor over the wire.

mod leases;
mod processor;
mod source;
mod topology;
mod watched;

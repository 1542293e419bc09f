//! The change-feed processor over the wire.

mod leases;
mod source;
mod topology;
mod watched;

//! The program as a custom handler of Azure Functions, under a driver that plays the Functions host.
//!
//! The host itself cannot be had here. The driver keeps to its contract (`docs/functions.md`) and is stricter where
//! the host would wait for ever or lose something in silence.

mod app;
mod changes;
mod encode;
mod faults;
mod host;
mod packaging;
mod proxied;
mod reply;
mod retry;
mod service;
mod starting;
mod triggers;

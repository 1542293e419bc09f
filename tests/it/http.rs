//! The HTTP service over real sockets, with a client that is not ours.

mod access;
mod append;
mod bounds;
mod cloudevents;
mod faults;
mod feed;
mod lag;
mod metrics;
mod problems;
mod process;
mod quotes;
mod read;
mod read_models;
mod service;
mod sites;
mod stopping;
mod trace;

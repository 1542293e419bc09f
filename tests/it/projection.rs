//! Read models over the wire: what they cost, and whether they are what their events make of them.

mod cost;
mod pump;
mod shared_log;
mod topology;
mod versions;

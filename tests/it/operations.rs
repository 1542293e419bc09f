//! The procedures of `docs/operations.md`, carried out.
//!
//! A block marked `console` under a heading of that page is a procedure. A test sets up the trouble, runs the
//! commands of the block one after the other by the binary of this build, and does in between what the page
//! leaves to the operator. Output is compared as for `README.md`. A procedure has to be gone through to its
//! end, and `page` checks that each one has its test and that the page names it.

mod alerts;
mod backup;
mod cost;
mod desk;
mod failover;
mod lost;
mod page;
mod parked;
mod procedure;
mod rebuild;
mod upgrade;

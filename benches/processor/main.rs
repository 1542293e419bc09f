//! `cargo bench --bench processor`: how soon the change-feed processor goes on after a crash, how soon leases
//! move, what it costs when nothing happens, and how fast it reads and handles.
//!
//! Every figure stands on a line of its own, with its reference: `figure NAME = VALUE UNIT (reference: WHAT =
//! VALUE)`. References are measured in the same run, except those of the .NET processor: they follow from
//! its rules. `BENCH_QUICK=1` runs on less data and less time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a benchmark that is surprised has failed, and it measures time"
)]

#[allow(dead_code, reason = "another benchmark needs the rest")]
#[path = "../harness/account.rs"]
mod account;
mod failover;
mod idle;
mod ledger;
#[path = "../harness/log.rs"]
mod log;
mod moves;
#[path = "../harness/parts.rs"]
mod parts;
#[path = "../harness/sdk.rs"]
mod sdk;
mod slow_handler;
mod throughput;

use parts::{chosen, median, scratch};
use std::time::Duration;

/// How much work a run does.
struct Scale {
    /// How often a host is killed.
    failovers: usize,
    /// How long requests are counted.
    idle: Duration,
    /// How often the log is imported.
    logs: usize,
    rounds: usize,
}

impl Scale {
    fn from_environment() -> Self {
        if std::env::var_os("BENCH_QUICK").is_some_and(|quick| quick != "0") {
            println!("BENCH_QUICK is set: less data, so the figures are not those of a full run");
            Self { failovers: 1, idle: Duration::from_secs(20), logs: 1, rounds: 3 }
        } else {
            Self { failovers: 3, idle: Duration::from_mins(1), logs: 10, rounds: 3 }
        }
    }
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // The hosts that are killed are processes of this very program.
    if let Some(instance) = failover::host_to_be() {
        runtime.block_on(failover::host(instance));
        return;
    }
    // `cargo test --benches` runs this too; only `cargo bench` says that it means it.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("run it with: cargo bench --bench processor");
        return;
    }
    let scale = Scale::from_environment();
    runtime.block_on(async {
        if chosen("slow_handler") {
            Box::pin(slow_handler::speedup()).await;
        }
        if chosen("feed_vs_sdk") {
            Box::pin(throughput::feed_vs_sdk(&scale)).await;
        }
        if chosen("rebalance") {
            Box::pin(moves::rebalance()).await;
        }
        if chosen("stop") {
            Box::pin(moves::stop()).await;
        }
        if chosen("failover") {
            Box::pin(failover::after_kill(&scale)).await;
        }
        if chosen("idle") {
            Box::pin(idle::requests(&scale)).await;
        }
    });
}

//! `cargo bench --bench projection`: how soon an append is visible in a view, and how fast a read model is
//! built.
//!
//! Every figure stands on a line of its own, with its reference: `figure NAME = VALUE UNIT (reference: WHAT =
//! VALUE)`. References are measured in the same run. `BENCH_QUICK=1` runs on less data and less time.
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
#[path = "../harness/log.rs"]
mod log;
#[path = "../harness/parts.rs"]
mod parts;
mod rebuild;
#[path = "../harness/sdk.rs"]
mod sdk;
mod visible;

/// As in the shipped binary, for the reference too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use parts::{chosen, median, scratch};

/// How much work a run does.
struct Scale {
    /// How often the log is imported.
    logs: usize,
    /// How long events are appended.
    seconds: u64,
}

impl Scale {
    fn from_environment() -> Self {
        if std::env::var_os("BENCH_QUICK").is_some_and(|quick| quick != "0") {
            println!("BENCH_QUICK is set: less data, so the figures are not those of a full run");
            Self { logs: 1, seconds: 8 }
        } else {
            Self { logs: 10, seconds: 30 }
        }
    }
}

fn main() {
    // `cargo test --benches` runs this too; only `cargo bench` says that it means it.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("run it with: cargo bench --bench projection");
        return;
    }
    let scale = Scale::from_environment();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        if chosen("rebuild") {
            Box::pin(rebuild::rebuild_vs_feed(&scale)).await;
        }
        if chosen("visible") {
            Box::pin(visible::here(&scale)).await;
            Box::pin(visible::in_another_process(&scale)).await;
        }
    });
}

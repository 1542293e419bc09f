//! `cargo bench --bench append`: appends against a do-nothing server, appends while the store grows, the
//! import of a log, and how soon an endpoint is ready on its folder.
//!
//! Every figure stands on a line of its own, with its reference measured in the same run:
//! `figure NAME = VALUE UNIT (reference: WHAT = VALUE)`. `BENCH_QUICK=1` runs on less data.
//!
//! The library is measured on the system's allocator, which is what a program has that does not choose one;
//! the import is measured on the shipped binary, which brings its own.
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

mod load;
mod null_server;
#[path = "../harness/parts.rs"]
mod parts;
mod process;

use parts::{chosen, median, scratch};
use std::time::Duration;

use cosmos_event_store::{Credential, EventStore, StoreOptions, provision};
use cosmos_local::LocalCosmos;

use load::{Load, TASKS};
use null_server::NullServer;

const EVENTS_PER_APPEND: u64 = 3;

/// How much work a run does.
struct Scale {
    /// Events stored before the comparison with the do-nothing server.
    stored: u64,
    rounds: usize,
    round: Duration,
    /// Events of the run that looks for a slow-down.
    grown: u64,
    quick: bool,
}

impl Scale {
    fn from_environment() -> Self {
        if std::env::var_os("BENCH_QUICK").is_some_and(|quick| quick != "0") {
            println!("BENCH_QUICK is set: less data, so the figures are not those of a full run");
            let round = Duration::from_secs(1);
            Self { stored: 6_000, rounds: 3, round, grown: 30_000, quick: true }
        } else {
            let round = Duration::from_secs(2);
            Self { stored: 60_000, rounds: 7, round, grown: 300_000, quick: false }
        }
    }
}

fn main() {
    // `cargo test --benches` runs this too; only `cargo bench` says that it means it.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("run it with: cargo bench --bench append");
        return;
    }
    let scale = Scale::from_environment();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        if chosen("null") {
            append_vs_null(&scale).await;
        }
        if chosen("grow") {
            append_last_tenth_vs_first(&scale).await;
        }
        if chosen("process") {
            Box::pin(process::import_and_start(&scale)).await;
        }
    });
}

async fn store_on(endpoint: &str, key: &str) -> EventStore {
    let options = StoreOptions::new(endpoint, Credential::key(key), "bench");
    Box::pin(provision(&options)).await.unwrap();
    Box::pin(EventStore::connect(options)).await.unwrap()
}

/// The same client code on a server that does nothing and on a durable endpoint that holds events, in turns.
async fn append_vs_null(scale: &Scale) {
    let null_server = NullServer::start().await;
    let folder = scratch();
    let cosmos = LocalCosmos::builder().data_dir(folder.path()).start().await.unwrap();
    let options = StoreOptions::new(null_server.endpoint(), Credential::key(cosmos.key()), "bench");
    let nothing = Load::new(Box::pin(EventStore::connect(options)).await.unwrap(), "null");
    let ours = Load::new(store_on(cosmos.endpoint(), cosmos.key()).await, "ours");
    ours.append_events(scale.stored).await;
    nothing.append_events(3_000).await;

    let (mut null_rates, mut our_rates) = (Vec::new(), Vec::new());
    for _ in 0..scale.rounds {
        null_rates.push(nothing.appends_per_second(scale.round).await);
        our_rates.push(ours.appends_per_second(scale.round).await);
    }
    let (null_rate, our_rate) = (median(&mut null_rates), median(&mut our_rates));
    println!(
        "appends of {EVENTS_PER_APPEND} events at {TASKS} tasks, durable, {} events stored before",
        scale.stored
    );
    println!("  do-nothing server {null_rate:.0}/s, cosmos-local {our_rate:.0}/s (medians)");
    println!(
        "figure append_vs_null = {:.2} ratio (reference: do-nothing server = {null_rate:.0} appends/s)",
        our_rate / null_rate
    );
    cosmos.shutdown().await.unwrap();
    null_server.stop().await;
}

/// Whether appends become slower as the store grows. The first tenth is warm-up.
async fn append_last_tenth_vs_first(scale: &Scale) {
    let folder = scratch();
    let cosmos = LocalCosmos::builder().data_dir(folder.path()).start().await.unwrap();
    let load = Load::new(store_on(cosmos.endpoint(), cosmos.key()).await, "grow");
    let mut rates = Vec::new();
    for _ in 0..10 {
        rates.push(load.append_events(scale.grown / 10).await);
    }
    let shown: Vec<_> = rates.iter().map(|rate| format!("{rate:.0}")).collect();
    println!("appends/s by tenth of {} events: {}", scale.grown, shown.join(" "));
    println!(
        "figure append_last_tenth_vs_first = {:.2} ratio (reference: second tenth = {:.0} appends/s)",
        rates[9] / rates[1],
        rates[1]
    );
    cosmos.shutdown().await.unwrap();
}

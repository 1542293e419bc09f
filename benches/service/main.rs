//! `cargo bench --bench service`: appends over HTTP against the library's own, quote commands on cached
//! states against plain appends, and the memory of `serve` under load.
//!
//! Every figure stands on a line of its own, with its reference measured in the same run:
//! `figure NAME = VALUE UNIT (reference: WHAT = VALUE)`. `BENCH_QUICK=1` runs on less time.
//!
//! The rates are measured in one process on the system's allocator, with the clients in it; the memory is
//! that of the shipped binary.
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

mod client;
mod commands;
mod memory;
#[path = "../harness/parts.rs"]
mod parts;
mod rates;

use parts::{chosen, median, scratch};
use std::time::Duration;

use cosmos_event_store::{
    Credential, EventStore, StoreOptions,
    http::{Service, ServiceOptions},
};
use cosmos_local::LocalCosmos;
use tokio_util::sync::CancellationToken;

use crate::{client::Clients, commands::Commands, rates::Appends};

/// Clients, and tasks of the library, that work side by side.
const TASKS: usize = 32;

/// How long a run takes.
struct Scale {
    rounds: usize,
    round: Duration,
    /// How long `serve` is under load when its memory is looked at.
    memory: Duration,
}

impl Scale {
    fn from_environment() -> Self {
        if std::env::var_os("BENCH_QUICK").is_some_and(|quick| quick != "0") {
            println!("BENCH_QUICK is set: less time, so the figures are not those of a full run");
            Self { rounds: 3, round: Duration::from_secs(1), memory: Duration::from_secs(10) }
        } else {
            Self { rounds: 7, round: Duration::from_secs(2), memory: Duration::from_mins(1) }
        }
    }
}

fn main() {
    // `cargo test --benches` runs this too; only `cargo bench` says that it means it.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("run it with: cargo bench --bench service");
        return;
    }
    let scale = Scale::from_environment();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        if chosen("http") || chosen("commands") {
            Box::pin(rates(&scale)).await;
        }
        if chosen("memory") {
            memory::of_serve(&scale).await;
        }
    });
}

async fn rates(scale: &Scale) {
    let folder = scratch();
    let cosmos = LocalCosmos::builder().data_dir(folder.path()).start().await.unwrap();
    let options = StoreOptions::new(cosmos.endpoint(), Credential::key(cosmos.key()), "bench");
    let connected = Box::pin(EventStore::provision_and_connect(options)).await;
    let (store, _) = connected.unwrap();
    let appends = Appends::new(store.clone());
    appends.per_second(scale.round).await;
    if chosen("http") {
        http_append_vs_library(scale, &store, &appends).await;
    }
    if chosen("commands") {
        command_cached_vs_append(scale, &store, &appends).await;
    }
    cosmos.shutdown().await.unwrap();
}

/// The same append by the library and over HTTP, in turns.
async fn http_append_vs_library(scale: &Scale, store: &EventStore, appends: &Appends) {
    let options = ServiceOptions::default().with_listen("127.0.0.1:0".parse().unwrap());
    let service = Service::bind(store.clone(), options).await.unwrap();
    let address = service.address();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(service.serve(stop.clone()));
    let clients = Clients::connect(address).await;
    clients.appends_per_second(scale.round).await;
    let (mut library, mut http) = (Vec::new(), Vec::new());
    for _ in 0..scale.rounds {
        library.push(appends.per_second(scale.round).await);
        http.push(clients.appends_per_second(scale.round).await);
    }
    drop(clients);
    stop.cancel();
    serving.await.unwrap().unwrap();
    let (library, http) = (median(&mut library), median(&mut http));
    println!(
        "appends of one event, {TASKS} tasks or connections: library {library:.0}/s, HTTP {http:.0}/s"
    );
    println!(
        "figure http_append_vs_library = {:.2} ratio (reference: library = {library:.0} appends/s)",
        http / library
    );
}

/// Commands that change the contact details of quotes, and plain appends of such an event, in turns.
async fn command_cached_vs_append(scale: &Scale, store: &EventStore, appends: &Appends) {
    let commands = Commands::new(store);
    commands.per_second(scale.round).await;
    let (mut plain, mut probed, mut trusted) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..scale.rounds {
        plain.push(appends.per_second(scale.round).await);
        probed.push(commands.per_second(scale.round).await);
        trusted.push(commands.trusting_per_second(scale.round).await);
    }
    let plain = median(&mut plain);
    for (name, rates) in [("command_cached", &mut probed), ("command_trusting", &mut trusted)] {
        let rate = median(rates);
        println!("{name}: {rate:.0} commands/s");
        println!(
            "figure {name}_vs_append = {:.2} ratio (reference: plain append = {plain:.0} appends/s)",
            rate / plain
        );
    }
    commands.close().await;
}

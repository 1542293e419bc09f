//! `cargo bench --bench service`: appends over HTTP against appends by the library, in the same process.
//!
//! Every figure stands on a line of its own, with its reference measured in the same run:
//! `figure NAME = VALUE UNIT (reference: WHAT = VALUE)`. `BENCH_QUICK=1` runs for a shorter time.
//!
//! Store, service and clients share the cores of the machine, so the figure says what the service adds to
//! an append, with the client's part of it.
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

mod connection;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use cosmos_event_store::{
    Credential, EventStore, ExpectedVersion, NewEvent, StoreOptions,
    http::{Service, ServiceOptions},
};
use cosmos_local::LocalCosmos;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use connection::Connection;

/// The allocator of the shipped binary, of which the service is a part.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Connections, and tasks of the library, that append side by side.
const TASKS: u64 = 32;
/// Streams of each task; it goes round them.
const STREAMS: u64 = 100;
/// About 400 bytes of data, as an insurance quote has them.
const DATA: &str = r#"{"quoteId":"0190b6a5-7d8e-7c3b-9f6e-3d0f1a2b3c4d","section":"contact","contact":{"name":"Asha Raghunathan","email":"asha.raghunathan@example.com","phone":"+91 80 5550 1234","address":["14 Residency Road","Bengaluru","Karnataka","560001","IN"]},"premium":{"amount":18250.5,"currency":"INR","frequency":"annual"},"remark":"captured page by page; the applicant came back to it once"}"#;

/// One side of the comparison: the appends of each task go on where the last round stopped.
struct Side {
    name: &'static str,
    done: Vec<Arc<AtomicU64>>,
}

/// The next append of a task: its stream and the version that it must have.
struct Next {
    stream: String,
    version: u64,
}

impl Side {
    fn new(name: &'static str) -> Self {
        Self { name, done: (0..TASKS).map(|_| Arc::default()).collect() }
    }

    /// Runs all tasks for this long; returns appends per second.
    async fn run<A, F>(&self, time: Duration, begin: impl Fn(u64) -> A) -> f64
    where
        A: FnMut(Next) -> F + Send + 'static,
        F: Future<Output = ()> + Send,
    {
        let started = Instant::now();
        let mut tasks = JoinSet::new();
        for (number, done) in (0..).zip(&self.done) {
            let (done, mut append, name) = (Arc::clone(done), begin(number), self.name);
            tasks.spawn(async move {
                let mut appends = 0_u64;
                while started.elapsed() < time {
                    let count = done.fetch_add(1, Ordering::Relaxed);
                    let stream = format!("{name}{number}-{}", count % STREAMS);
                    append(Next { stream, version: count / STREAMS }).await;
                    appends += 1;
                }
                appends
            });
        }
        let appends: u64 = tasks.join_all().await.into_iter().sum();
        appends as f64 / started.elapsed().as_secs_f64()
    }
}

async fn append_by_library(store: EventStore, next: Next) {
    let event = NewEvent::from_json("ContactDetailsSet", DATA).unwrap();
    let expected = ExpectedVersion::Exact(next.version);
    let outcome = Box::pin(store.append(next.stream, expected, vec![event])).await.unwrap();
    assert!(!outcome.is_repeated());
}

async fn http_append_vs_library(rounds: usize, round: Duration) {
    let base = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let folder = tempfile::Builder::new().prefix("bench").tempdir_in(base).unwrap();
    let cosmos = LocalCosmos::builder().data_dir(folder.path()).start().await.unwrap();
    let options = StoreOptions::new(cosmos.endpoint(), Credential::key(cosmos.key()), "bench");
    let (store, _) = Box::pin(EventStore::provision_and_connect(options)).await.unwrap();
    let options = ServiceOptions::default().with_listen("127.0.0.1:0".parse().unwrap());
    let service = Service::bind(store.clone(), options).await.unwrap();
    let address = service.address();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(service.serve(stop.clone()));

    let (library, http) = (Side::new("library"), Side::new("http"));
    let (mut library_rates, mut http_rates) = (Vec::new(), Vec::new());
    // The first round is warm-up.
    for number in 0..=rounds {
        let store = store.clone();
        let of_library = library
            .run(round, move |_| {
                let store = store.clone();
                move |next| append_by_library(store.clone(), next)
            })
            .await;
        let of_http = http
            .run(round, move |_| {
                let connection = Arc::new(tokio::sync::Mutex::new(Connection::new(address)));
                move |next| {
                    let connection = Arc::clone(&connection);
                    async move { connection.lock().await.append(&next.stream, next.version).await }
                }
            })
            .await;
        if number > 0 {
            library_rates.push(of_library);
            http_rates.push(of_http);
        }
    }
    let (library, http) = (median(&mut library_rates), median(&mut http_rates));
    println!("appends of one event at {TASKS} tasks and connections, durable (medians)");
    println!("  library {library:.0}/s, over HTTP {http:.0}/s");
    println!(
        "figure http_append_vs_library = {:.2} ratio (reference: library = {library:.0} appends/s)",
        http / library
    );
    stop.cancel();
    serving.await.unwrap().unwrap();
    cosmos.shutdown().await.unwrap();
}

fn main() {
    // `cargo test --benches` runs this too; only `cargo bench` says that it means it.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("run it with: cargo bench --bench service");
        return;
    }
    let (rounds, round) = if std::env::var_os("BENCH_QUICK").is_some_and(|quick| quick != "0") {
        println!("BENCH_QUICK is set: shorter rounds, so the figures are not those of a full run");
        (3, Duration::from_secs(1))
    } else {
        (7, Duration::from_secs(2))
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(Box::pin(http_append_vs_library(rounds, round)));
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

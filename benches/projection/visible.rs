//! How long an append takes until it is visible in a view, at 500 events a second.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    sync::Arc,
    time::Duration,
};

use cosmos_event_store::{
    EventStore, ExpectedVersion, NewEvent,
    projection::{Catalog, ReadModels, ViewKey, generic::StreamSummary},
};
use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Scale,
    account::{Account, Endpoint, cosmos_es},
    scratch,
};

/// Events in a second.
const RATE: u64 = 500;
/// The streams that take turns.
const STREAMS: u64 = 2000;
/// Every so many appends one is watched.
const WATCHED: u64 = 10;
/// The time between two looks at a view.
const LOOK: Duration = Duration::from_millis(2);
/// Before anything is measured.
const WARM_UP: Duration = Duration::from_secs(3);

/// With the host in the process that appends.
pub(crate) async fn here(scale: &Scale) {
    let folder = scratch();
    let endpoint = Endpoint::start(&folder.path().join("data"), 1);
    let (store, read_models) = open(&endpoint).await;
    let host = read_models.host("bench");
    let stop = CancellationToken::new();
    let running = host.run(Some(store.appends()), &stop, Duration::from_secs(5));
    let measuring = async {
        measure(&store, &read_models, scale, "visible").await;
        stop.cancel();
    };
    let (ran, ()) = tokio::join!(Box::pin(running), Box::pin(measuring));
    for hosting in ran.unwrap() {
        println!("{} version {}: {:?}", hosting.name, hosting.version, hosting.applied);
    }
}

/// With the host in a process of its own, which learns of appends by asking.
pub(crate) async fn in_another_process(scale: &Scale) {
    let folder = scratch();
    let endpoint = Endpoint::start(&folder.path().join("data"), 1);
    let (store, read_models) = open(&endpoint).await;
    let _worker = Worker::start(&endpoint);
    Box::pin(measure(&store, &read_models, scale, "visible_other_process")).await;
}

/// A worker, which is killed when it is dropped.
struct Worker(Child);

impl Worker {
    fn start(endpoint: &Endpoint) -> Self {
        let mut command = cosmos_es();
        command.args(["worker", "--output", "json", "--database", "bench"]);
        command.args(["--endpoint", &endpoint.address]).env("COSMOS_ES_KEY", &endpoint.key);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self(process)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.0.kill().is_err();
        self.0.wait().unwrap();
    }
}

async fn open(endpoint: &Endpoint) -> (EventStore, ReadModels) {
    let account = Account::of(endpoint);
    let store = account.store().await;
    let opening = ReadModels::open(account.options(), store.clone(), Catalog::generic().unwrap());
    (store, Box::pin(opening).await.unwrap())
}

async fn measure(store: &EventStore, read_models: &ReadModels, scale: &Scale, figure: &str) {
    let begun = Instant::now();
    let appends = RATE * (scale.seconds + WARM_UP.as_secs());
    let mut ticks = interval(Duration::from_secs(1) / u32::try_from(RATE).unwrap());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let read_models = Arc::new(read_models.clone());
    let mut tasks = JoinSet::new();
    for number in 0..appends {
        ticks.tick().await;
        let (store, read_models) = (store.clone(), Arc::clone(&read_models));
        tasks.spawn(Box::pin(one(store, read_models, number)));
    }
    let rate = appends as f64 / begun.elapsed().as_secs_f64();
    let mut times = Vec::new();
    while let Some(done) = tasks.join_next().await {
        times.extend(done.unwrap().filter(|(number, _)| *number >= RATE * WARM_UP.as_secs()));
    }
    let mut times: Vec<f64> = times.into_iter().map(|(_, ms)| ms).collect();
    times.sort_by(f64::total_cmp);
    let at = |hundredths: usize| times[(times.len() - 1) * hundredths / 100];
    println!("{} of {appends} appends were watched, {rate:.0} events/s", times.len());
    for (name, part) in [("p50", 50), ("p99", 99), ("max", 100)] {
        println!(
            "figure {figure}_{name}_ms = {:.1} ms (reference: target of p99 = 150 ms)",
            at(part)
        );
    }
}

/// Appends an event, and looks until the view has it, where it is watched.
async fn one(store: EventStore, read_models: Arc<ReadModels>, number: u64) -> Option<(u64, f64)> {
    let stream = format!("visible-{}", number % STREAMS);
    let version = number / STREAMS;
    let event = NewEvent::new("Noted", json!({"remark": "one of many"})).unwrap();
    let begun = Instant::now();
    let appending = store.append(stream.as_str(), ExpectedVersion::Exact(version), vec![event]);
    Box::pin(appending).await.unwrap();
    if !number.is_multiple_of(WATCHED) {
        return None;
    }
    loop {
        let view = read_models.view(StreamSummary::NAME, &stream, &ViewKey::Stream).await;
        let seen = view.ok().flatten().map_or(0, |view| view.sequence_number);
        if seen > version {
            return Some((number, begun.elapsed().as_secs_f64() * 1000.0));
        }
        tokio::time::sleep(LOOK).await;
    }
}

//! `kill -9` of one of three hosts, each a process of its own.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write as _},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
    time::Instant,
};

use cosmos_event_store::feed::{Delivery, Handler, HandlerFault};
use futures::{FutureExt as _, future::BoxFuture};

use crate::{
    Scale,
    account::{Account, Endpoint, append_to_streams, wait_until_shared},
    median, scratch,
};

const PARTITIONS: usize = 12;
const HOSTS: usize = 3;
/// Streams that events are stored in: enough for every range to have some.
const STREAMS: u64 = 300;
/// The argument of a process that is a host: the processor and the instance follow it.
const HOST: &str = "--host";
const ADDRESS: &str = "BENCH_ENDPOINT";
const KEY: &str = "BENCH_KEY";

/// The processor and the instance, when this process is to be a host.
pub(crate) fn host_to_be() -> Option<(String, String)> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next()? != HOST {
        return None;
    }
    Some((arguments.next()?, arguments.next()?))
}

/// Is a host until it is killed, or its parent is gone.
pub(crate) async fn host((processor, instance): (String, String)) {
    let text = |name| std::env::var(name).unwrap();
    let account = Account::new(&text(ADDRESS), &text(KEY));
    let host = account.start_host(&processor, &instance, Arc::new(Telling::default())).await;
    let parent = tokio::task::spawn_blocking(|| std::io::stdin().lines().count());
    parent.await.unwrap();
    drop(host);
}

/// Prints a line for every run: the range and the key.
#[derive(Default)]
struct Telling {
    /// One line at a time.
    lines: Mutex<()>,
}

impl Handler for Telling {
    fn handle<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Result<(), HandlerFault>> {
        let _line = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let told = writeln!(std::io::stdout(), "{} {}", delivery.range, delivery.key);
        let told = told.map_err(|_| HandlerFault::transient("nobody reads"));
        std::future::ready(told).boxed()
    }
}

/// A run of a host: its range and its key, and when it was told.
type Run = (String, String, Instant);

/// A host in a process of its own; it is killed when it is dropped.
struct HostProcess {
    process: Child,
    reading: Option<JoinHandle<()>>,
}

impl HostProcess {
    fn start(endpoint: &Endpoint, processor: &str, instance: &str, runs: Sender<Run>) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([HOST, processor, instance]);
        command.env(ADDRESS, &endpoint.address).env(KEY, &endpoint.key);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let reading = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let (range, key) = line.split_once(' ').unwrap();
                // Nobody listens any more at the end of a round.
                let _over = runs.send((range.to_owned(), key.to_owned(), Instant::now())).is_err();
            }
        });
        Self { process, reading: Some(reading) }
    }
}

impl Drop for HostProcess {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        if let Some(reading) = self.reading.take() {
            reading.join().unwrap();
        }
    }
}

pub(crate) async fn after_kill(scale: &Scale) {
    let folder = scratch();
    let endpoint = Endpoint::start(folder.path(), PARTITIONS);
    let mut times = Vec::new();
    for round in 0..scale.failovers {
        times.push(Box::pin(one_kill(&endpoint, round)).await);
    }
    let shown: Vec<_> = times.iter().map(|time| format!("{time:.1}")).collect();
    println!("{HOSTS} hosts, {PARTITIONS} leases, kill -9 of one: {} s", shown.join(" "));
    let worst = times.iter().copied().fold(0.0, f64::max);
    println!(
        "figure failover_seconds = {:.1} s (reference: .NET at its defaults = 60 to 73 s)",
        median(&mut times)
    );
    println!(
        "figure failover_worst_seconds = {worst:.1} s (reference: .NET at its defaults = 73 s)"
    );
}

/// From the kill until every range has handled an event that was stored after it.
async fn one_kill(endpoint: &Endpoint, round: usize) -> f64 {
    let account = Account::of(endpoint);
    let store = account.store().await;
    let (processor, (told, runs)) = (format!("failover{round}"), channel());
    let start =
        |number| HostProcess::start(endpoint, &processor, &format!("host{number}"), told.clone());
    let mut hosts: Vec<HostProcess> = (0..HOSTS).map(start).collect();
    let control = account.control(&processor).await;
    let shared = wait_until_shared(&control, PARTITIONS, HOSTS).await;
    let ranges: BTreeSet<String> =
        shared.leases.iter().map(|lease| lease.range.to_string()).collect();

    let before = format!("before{round}");
    append_to_streams(&store, &before, STREAMS).await;
    tokio::task::block_in_place(|| wait_for_ranges(&runs, &before, ranges.clone()));

    let killed = Instant::now();
    drop(hosts.remove(round % HOSTS));
    let after = format!("after{round}");
    append_to_streams(&store, &after, STREAMS).await;
    let last = tokio::task::block_in_place(|| wait_for_ranges(&runs, &after, ranges));
    last.duration_since(killed).as_secs_f64()
}

/// Waits until every range has handled a key that begins like this; gives when the last one did.
fn wait_for_ranges(runs: &Receiver<Run>, prefix: &str, mut ranges: BTreeSet<String>) -> Instant {
    loop {
        let (range, key, at) = runs.recv().unwrap();
        if key.starts_with(prefix) && ranges.remove(&range) && ranges.is_empty() {
            return at;
        }
    }
}

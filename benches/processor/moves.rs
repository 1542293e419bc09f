//! Leases that move while events are stored: to a host that starts, and from one that stops.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use cosmos_event_store::EventStore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    account::{Account, Endpoint, append, shares, wait_until_shared},
    ledger::Ledger,
    scratch,
};

/// The leases of the rebalance.
const MANY: usize = 100;
/// The leases of the stop.
const SOME: usize = 12;
/// Between two events that are stored meanwhile.
const PACE: Duration = Duration::from_millis(5);
/// How often it is looked whether everything is handled.
const LOOK: Duration = Duration::from_millis(20);
/// How long events are stored before and after leases move.
const AROUND: Duration = Duration::from_secs(2);

/// Events that are stored all the time, in streams of all ranges.
struct Writer {
    stop: CancellationToken,
    task: JoinHandle<u64>,
}

impl Writer {
    fn start(store: EventStore) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut events = 0_u64;
            let mut pace = tokio::time::interval(PACE);
            while !stopped.is_cancelled() {
                pace.tick().await;
                let stream = format!("stream-{}", events % 1_000);
                append(&store, stream, events / 1_000).await;
                events += 1;
            }
            events
        });
        Self { stop, task }
    }

    /// Gives the events that were stored.
    async fn stop(self) -> u64 {
        self.stop.cancel();
        self.task.await.unwrap()
    }
}

async fn wait_until_handled(ledger: &Ledger, events: u64) {
    while ledger.handled() < events {
        tokio::time::sleep(LOOK).await;
    }
}

/// One host has everything, and a second one starts.
pub(crate) async fn rebalance() {
    let folder = scratch();
    let endpoint = Endpoint::start(folder.path(), MANY);
    let account = Account::of(&endpoint);
    let store = account.store().await;
    let ledger = Arc::new(Ledger::default());
    let first = account.start_host("rebalance", "first", Arc::<Ledger>::clone(&ledger)).await;
    let control = account.control("rebalance").await;
    wait_until_shared(&control, MANY, 1).await;
    let writer = Writer::start(store);
    tokio::time::sleep(AROUND).await;

    let started = Instant::now();
    let second = account.start_host("rebalance", "second", Arc::<Ledger>::clone(&ledger)).await;
    wait_until_shared(&control, MANY, 2).await;
    let seconds = started.elapsed().as_secs_f64();
    tokio::time::sleep(AROUND).await;
    let events = writer.stop().await;
    wait_until_handled(&ledger, events).await;
    println!("one host to two, {MANY} leases, {events} events stored meanwhile");
    println!(
        "figure rebalance_100_leases_seconds = {seconds:.1} s (reference: .NET, a lease every 13 s = about 11 \
         minutes)"
    );
    println!("figure rebalance_repeated = {} changes (reference: must be = 0)", ledger.repeated());
    first.shutdown(Duration::from_secs(5)).await.unwrap();
    second.shutdown(Duration::from_secs(5)).await.unwrap();
}

/// Two hosts share everything, and one stops cleanly.
pub(crate) async fn stop() {
    let folder = scratch();
    let endpoint = Endpoint::start(folder.path(), SOME);
    let account = Account::of(&endpoint);
    let store = account.store().await;
    let ledger = Arc::new(Ledger::default());
    let stays = account.start_host("stop", "stays", Arc::<Ledger>::clone(&ledger)).await;
    let stops = account.start_host("stop", "stops", Arc::<Ledger>::clone(&ledger)).await;
    let control = account.control("stop").await;
    wait_until_shared(&control, SOME, 2).await;
    let writer = Writer::start(store);
    tokio::time::sleep(AROUND).await;

    let name = stops.incarnation().to_owned();
    let started = Instant::now();
    stops.shutdown(Duration::from_secs(5)).await.unwrap();
    let free = started.elapsed().as_secs_f64();
    let left = control.overview().await.unwrap().leases;
    let kept = left.iter().filter(|lease| lease.owner.as_ref() == Some(&name)).count();
    assert_eq!(kept, 0, "a host that has stopped holds leases");
    let overview = wait_until_shared(&control, SOME, 1).await;
    let taken = started.elapsed().as_secs_f64();
    assert_eq!(shares(&overview, SOME).unwrap().len(), 1);
    tokio::time::sleep(AROUND).await;
    let events = writer.stop().await;
    wait_until_handled(&ledger, events).await;
    println!("two hosts to one by a clean stop, {SOME} leases, {events} events stored meanwhile");
    println!(
        "figure stop_leases_free = {free:.2} s (reference: all with the other host = {taken:.1} s)"
    );
    println!("figure stop_repeated = {} changes (reference: must be = 0)", ledger.repeated());
    stays.shutdown(Duration::from_secs(5)).await.unwrap();
}

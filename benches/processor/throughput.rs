//! One host whose handler does nothing, against the bare SDK.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use cosmos_event_store::feed::{Delivery, Handler, HandlerFault, ProcessorOptions};
use futures::{FutureExt as _, future::BoxFuture};
use tokio::sync::Notify;

use crate::{
    Scale,
    account::{Account, Endpoint},
    log, median, scratch, sdk,
};

const PARTITIONS: usize = 4;

/// Counts, and does nothing else.
struct Counting {
    all: u64,
    changes: AtomicU64,
    runs: AtomicU64,
    done: Notify,
}

impl Handler for Counting {
    fn handle<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Result<(), HandlerFault>> {
        let changes = delivery.changes.len() as u64;
        self.runs.fetch_add(1, Ordering::Relaxed);
        if self.changes.fetch_add(changes, Ordering::Relaxed) + changes == self.all {
            self.done.notify_one();
        }
        std::future::ready(Ok(())).boxed()
    }
}

pub(crate) async fn feed_vs_sdk(scale: &Scale) {
    let folder = scratch();
    let endpoint = Endpoint::start(&folder.path().join("data"), PARTITIONS);
    let account = Account::of(&endpoint);
    account.store().await;
    let events = log::import(&endpoint, folder.path(), scale.logs);
    let container = sdk::container(&endpoint).await;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut runs = 0;
    // The first round warms up.
    for round in 0..=scale.rounds {
        let (read, seconds) = sdk::read_all(&container).await;
        assert_eq!(read, events);
        theirs.push(events as f64 / seconds);
        let (handled, seconds) = handle_all(&account, round, events).await;
        runs = handled;
        ours.push(events as f64 / seconds);
    }
    let (ours, theirs) = (median(&mut ours[1..]), median(&mut theirs[1..]));
    println!(
        "{events} events in {PARTITIONS} ranges: SDK {theirs:.0}/s, host {ours:.0}/s (medians), {runs} runs"
    );
    println!(
        "figure feed_vs_sdk = {:.2} ratio (reference: SDK = {theirs:.0} events/s)",
        ours / theirs
    );
}

/// Handles everything as a processor that is new; gives the runs, and how long it took in seconds, with the
/// start of the host.
async fn handle_all(account: &Account, round: usize, events: u64) -> (u64, f64) {
    let counting = Arc::new(Counting {
        all: events,
        changes: AtomicU64::new(0),
        runs: AtomicU64::new(0),
        done: Notify::new(),
    });
    let (processor, options) = (format!("all{round}"), ProcessorOptions::new("bench"));
    let handler = Arc::<Counting>::clone(&counting);
    let host = Box::pin(account.host(&processor, handler, options)).await;
    let started = Instant::now();
    let host = host.start().unwrap();
    counting.done.notified().await;
    let seconds = started.elapsed().as_secs_f64();
    host.shutdown(Duration::from_secs(5)).await.unwrap();
    assert_eq!(counting.changes.load(Ordering::Relaxed), events);
    (counting.runs.load(Ordering::Relaxed), seconds)
}

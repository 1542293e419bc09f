//! A handler that takes its time, with many keys side by side and one at a time.

use std::{
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use cosmos_event_store::feed::{Delivery, Handler, HandlerFault, ProcessorOptions};
use futures::{FutureExt as _, future::BoxFuture};
use tokio::sync::Notify;

use crate::{
    account::{Account, Endpoint, append_to_streams},
    scratch,
};

const RUNS: u64 = 2_000;
const RUN_TIME: Duration = Duration::from_millis(5);
const PARTITIONS: usize = 4;

/// Waits in every run.
struct Slow {
    runs: AtomicU64,
    all: Notify,
}

impl Handler for Slow {
    fn handle<'a>(&'a self, _: &'a Delivery) -> BoxFuture<'a, Result<(), HandlerFault>> {
        async {
            tokio::time::sleep(RUN_TIME).await;
            if self.runs.fetch_add(1, Ordering::Relaxed) + 1 == RUNS {
                self.all.notify_one();
            }
            Ok(())
        }
        .boxed()
    }
}

pub(crate) async fn speedup() {
    let folder = scratch();
    let endpoint = Endpoint::start(folder.path(), PARTITIONS);
    let account = Account::of(&endpoint);
    append_to_streams(&account.store().await, "slow", RUNS).await;
    let together = ProcessorOptions::new("bench");
    let mut serial = ProcessorOptions::new("bench");
    serial.runs_max = 1;
    let places = together.runs_max;
    let (together, serial) = (seconds(&account, together).await, seconds(&account, serial).await);
    println!(
        "{RUNS} runs of {} ms, start of the host included: {places} at once {together:.2} s, one at a time \
         {serial:.2} s",
        RUN_TIME.as_millis()
    );
    println!(
        "figure slow_handler_speedup = {:.1} ratio (reference: one at a time = {:.0} runs/s)",
        serial / together,
        RUNS as f64 / serial
    );
}

/// How long it takes from the start of a host to the end of the last run.
async fn seconds(account: &Account, options: ProcessorOptions) -> f64 {
    let slow = Arc::new(Slow { runs: AtomicU64::new(0), all: Notify::new() });
    let processor = format!("slow{}", options.runs_max);
    let handler = Arc::<Slow>::clone(&slow);
    let host = Box::pin(account.host(&processor, handler, options)).await;
    let started = Instant::now();
    let host = host.start().unwrap();
    slow.all.notified().await;
    let seconds = started.elapsed().as_secs_f64();
    host.shutdown(Duration::from_secs(5)).await.unwrap();
    assert_eq!(slow.runs.load(Ordering::Relaxed), RUNS);
    seconds
}

//! Bounded runs of a host of read models: shared, and ended in order.

use std::time::Duration;

use cosmos_event_store::projection::{
    Catalog, Pump, PumpError, ReadModels,
    pump::{RUN_TIME_MAX, RUN_TIME_MIN, SHUTDOWN_TIME_MAX},
};
use futures::future::join_all;
use tokio::time::{Instant, sleep};

use crate::fixture::{Fixture, events, options};

/// How long a test waits for what should happen within moments.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two looks at what only can be asked for.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

async fn read_models(fixture: &Fixture) -> ReadModels {
    let account = options(fixture.endpoint.endpoint());
    ReadModels::open(&account, fixture.store.clone(), Catalog::generic().unwrap()).await.unwrap()
}

/// How often leases were taken, and who has them.
async fn leases(read_models: &ReadModels) -> (u64, Vec<String>) {
    let overview = read_models.overview("stream-summary", 1).await.unwrap();
    let epochs = overview.leases.iter().map(|lease| lease.epoch).sum();
    (epochs, overview.leases.into_iter().filter_map(|lease| lease.owner).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_wake_it_share_a_run() {
    let fixture = Fixture::new().await;
    fixture.given("s-1", &events(5)).await;
    let read_models = read_models(&fixture).await;
    let pump = Pump::new(read_models.clone(), "pump", RUN_TIME_MIN);
    for woken in join_all((0..10).map(|_| pump.wake())).await {
        assert!(woken.unwrap().is_caught_up);
    }
    let view = read_models.verify("stream-summary", None, |_| {}).await.unwrap();
    assert_eq!((view.streams, view.behind, view.drift.different), (1, 0, 0));
    assert_eq!(leases(&read_models).await, (1, Vec::new()), "taken once, and given away");
    // The next one has a run of its own.
    fixture.given("s-2", &events(1)).await;
    let woken = pump.wake().await.unwrap();
    assert!(woken.is_caught_up && woken.events > 0, "{woken:?}");
    assert_eq!(leases(&read_models).await, (2, Vec::new()));
    pump.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_closed_ends_and_begins_no_more() {
    let fixture = Fixture::new().await;
    fixture.given("s-1", &events(5)).await;
    let read_models = read_models(&fixture).await;
    let pump = Pump::new(read_models.clone(), "pump", RUN_TIME_MAX);
    let closing = async {
        let begun = Instant::now();
        while leases(&read_models).await.1.is_empty() {
            assert!(begun.elapsed() < PATIENCE, "nobody ever has leases");
            sleep(LOOK_AGAIN).await;
        }
        let begun = Instant::now();
        pump.close().await;
        assert!(begun.elapsed() < SHUTDOWN_TIME_MAX);
    };
    let (ran, woken, ()) = tokio::join!(pump.run(), pump.wake(), closing);
    assert!(ran.is_ok(), "a part of its time is as good as all of it: {ran:?}");
    // It may have been done before the end.
    assert!(woken == Err(PumpError::Closing) || woken.is_ok_and(|woken| woken.is_caught_up));
    assert_eq!(leases(&read_models).await, (1, Vec::new()));
    assert_eq!(pump.run().await, Err(PumpError::Closing));
    assert_eq!(pump.wake().await, Err(PumpError::Closing));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_work_of_others_counts() {
    let fixture = Fixture::new().await;
    fixture.given("s-1", &events(3)).await;
    let read_models = read_models(&fixture).await;
    let one = Pump::new(read_models.clone(), "one", RUN_TIME_MIN);
    let other = Pump::new(self::read_models(&fixture).await, "other", RUN_TIME_MIN);
    // Two processes, one lease: whoever has none waits for the other.
    let (first, second) = tokio::join!(one.wake(), other.wake());
    assert!(first.unwrap().is_caught_up && second.unwrap().is_caught_up);
    tokio::join!(one.close(), other.close());
    assert!(leases(&read_models).await.1.is_empty());
}

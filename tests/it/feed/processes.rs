//! Real worker processes on a separate strict endpoint: killed, stopped, split, throttled, told.

mod fleet;
pub(crate) mod ledger;
mod parked;
pub(crate) mod receiver;

use cosmos_event_store::feed::documents::Rewind;
use serde_json::json;

use self::{fleet::Fleet, ledger::Ledger};

const ALL: [&str; 3] = ["a", "b", "c"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ranges_of_a_killed_worker_are_taken_over() {
    let mut fleet = Fleet::start(4).await;
    fleet.join_all(&ALL).await;
    let import = fleet.import(150, 1..=20);
    // It holds a range and has events of it, and more are on their way.
    fleet.wait("a works", |ledger| ledger.has_from("a")).await;
    fleet.kill("a");
    import.done();
    fleet.wait_complete(150, 20).await;
    fleet.wait_owners(&["b", "c"]).await;
    fleet.import(150, 21..=25).done();
    fleet.wait_complete(150, 25).await;
    fleet.ledger().check_order();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_comes_twice_when_a_worker_is_stopped() {
    let mut fleet = Fleet::start(4).await;
    fleet.join_all(&ALL).await;
    let import = fleet.import(150, 1..=20);
    fleet.wait("b works", |ledger| ledger.has_from("b")).await;
    assert_eq!(fleet.stop("b"), 0);
    import.done();
    fleet.wait_complete(150, 20).await;
    fleet.wait_owners(&["a", "c"]).await;
    fleet.ledger().check_order();
    fleet.ledger().check_once();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_split_loses_nothing() {
    let mut fleet = Fleet::start(2).await;
    fleet.join_all(&["a", "b"]).await;
    let import = fleet.import(150, 1..=15);
    fleet.wait("there is work", |ledger| ledger.has_from("a")).await;
    fleet.manage(
        "split",
        &json!({"database": "event-store", "container": "events", "partition": 0}),
    );
    import.done();
    fleet.wait_complete(150, 15).await;
    fleet.import(150, 16..=20).done();
    fleet.wait_complete(150, 20).await;
    fleet.ledger().check_order();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_that_cannot_be_renewed_lose_nothing() {
    let mut fleet = Fleet::start(4).await;
    fleet.join_all(&ALL).await;
    let import = fleet.import(150, 1..=10);
    fleet.wait("there is work", |ledger| ledger.has_from("a")).await;
    // Longer than a renewal lasts, so that all workers must lay down their work.
    fleet.throttle_leases(10);
    import.done();
    fleet.import(150, 11..=20).done();
    fleet.wait_complete(150, 20).await;
    fleet.wait_owners(&ALL).await;
    fleet.ledger().check_order();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_workers_pause_resume_and_rewind() {
    let mut fleet = Fleet::start(4).await;
    fleet.join_all(&ALL).await;
    fleet.import(60, 1..=3).done();
    fleet.wait_complete(60, 3).await;
    fleet.run(&["processors", "pause", "default"]);
    // Beats that were sent before may not have seen it.
    fleet.wait_beats(2).await;
    fleet.import(60, 4..=6).done();
    fleet.wait_beats(2).await;
    assert_eq!(fleet.ledger().most(), 3, "a worker did not hold still");
    assert!(fleet.lag().iter().all(|range| range["state"] == "paused"));
    fleet.run(&["processors", "resume", "default"]);
    fleet.wait_complete(60, 6).await;
    fleet.ledger().check_once();
    fleet.run(&["processors", "rewind", "default", "--to", "beginning"]);
    fleet.wait("all again", |ledger| ledger.is_complete(60, 6, 2)).await;
    fleet.ledger().check_order();
    assert_eq!(fleet.overview().await.topology.unwrap().rewind, Some(Rewind::Beginning));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_stood_still_does_no_harm_and_joins_again() {
    let mut fleet = Fleet::start(4).await;
    fleet.join_all(&ALL).await;
    let import = fleet.import(150, 1..=20);
    fleet.wait("a works", |ledger| ledger.has_from("a")).await;
    fleet.freeze("a");
    import.done();
    fleet.wait_complete(150, 20).await;
    fleet.wait_owners(&["b", "c"]).await;
    fleet.import(150, 21..=25).done();
    fleet.wait_complete(150, 25).await;
    // For a while nobody tells it that others have its ranges. Theirs last longer than that.
    fleet.throttle_leases(3);
    fleet.thaw("a");
    fleet.wait_owners(&ALL).await;
    fleet.import(150, 26..=30).done();
    fleet.wait_complete(150, 30).await;
    fleet.wait("a works again", |ledger| ledger.has_behind("a", 25)).await;
    fleet.ledger().check_order();
    // What was on its way when it stood still may come out, and nothing else: its lease is not its own.
    fleet.ledger().check_late("a", 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_behind_a_snapshot_comes_again() {
    let mut fleet = Fleet::start(4).await;
    fleet.join_all(&ALL).await;
    fleet.import(60, 1..=3).done();
    fleet.wait_complete(60, 3).await;
    fleet.wait_durable().await;
    let snapshot = fleet.run(&["processors", "snapshot", "default"]);
    let place = format!("@{}", fleet.file("snapshot.json", &snapshot));
    fleet.import(60, 4..=6).done();
    fleet.wait_complete(60, 6).await;
    fleet.wait_durable().await;
    let told = fleet.json(&["processors", "rewind", "default", "--to", &place]);
    assert_eq!(told, json!({"processor": "default", "done": "rewound"}));
    let is_again = |ledger: &Ledger| (1..=60).all(|s| ledger.of(&format!("s-{s}")).len() >= 9);
    fleet.wait("it comes again", is_again).await;
    // In each stream it comes behind all that comes again.
    fleet.import(60, 7..=7).done();
    fleet.wait_complete(60, 7).await;
    fleet.ledger().check_exactly(&[1, 2, 3, 4, 5, 6, 4, 5, 6, 7]);
}

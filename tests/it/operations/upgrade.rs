//! One worker takes the place of another, while events come in.

use super::{
    desk::{Desk, stop},
    procedure::Procedure,
};
use crate::feed::processes::receiver::Receiver;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_worker_takes_over_from_an_old_one_and_nothing_is_lost_or_doubled() {
    let receiver = Receiver::start(|_, _| 200);
    let desk = Desk::with_partitions(2).await;
    let old = desk.worker("old", &receiver.url());
    desk.import(30, 1..=4, 0);
    desk.until_done_by(&["old"]).await;
    let new = desk.worker("new", &receiver.url());
    let both = ["new", "old"];
    desk.until_done_by(&both).await;
    let mut procedure = Procedure::of("A rolling restart");
    procedure.run(&desk.place, "lag").await;
    desk.import(30, 5..=8, 0);
    stop(old);
    desk.import(30, 9..=12, 0);
    // Within what `docs/operations.md` promises for leases that were given away; nobody was found dead.
    desk.until_done_by(&["new"]).await;
    procedure.run(&desk.place, "lag").await;
    procedure.run(&desk.place, "parked").await;
    procedure.end();
    receiver.wait(|taken| taken.is_complete_of(30, 12)).await;
    receiver.all_taken().check_order();
    receiver.all_taken().check_once();
    stop(new);
}

/// A program of an older version meets documents of a newer one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_newer_version_has_stored_is_refused_and_not_touched() {
    let desk = Desk::new().await;
    desk.import(1, 1..=1, 0);
    let worker = desk.worker("a", "count");
    desk.until_done_by(&["a"]).await;
    stop(worker);
    let leases = desk.container("leases").await;
    let read = leases.read_item("default", "topology", None).await.unwrap();
    let mut topology: serde_json::Value = read.into_model().unwrap();
    topology["schema"] = 2.into();
    leases.upsert_item("default", "topology", &topology, None).await.unwrap();
    let refused = desk.place.run(&["worker", "--to", "count"]);
    assert!(refused.code == 1 && refused.err.contains("schema"), "{refused:?}");
    let after = leases.read_item("default", "topology", None).await.unwrap();
    let after: serde_json::Value = after.into_model().unwrap();
    assert_eq!(after["schema"], 2);
}

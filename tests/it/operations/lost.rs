//! Pieces of a store that are lost or spoiled. Nothing is lost but time.

use cosmos_event_store::{
    aggregate::{Repository, RepositoryOptions, Snapshots},
    quotes::Quote,
};
use serde_json::json;

use super::{
    desk::{Desk, stop},
    procedure::Procedure,
};
use crate::feed::processes::receiver::Receiver;

/// A read model that every store has.
const SUMMARY: &str = "stream-summary";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_leases_everything_comes_again() {
    let receiver = Receiver::start(|_, _| 200);
    let desk = Desk::new().await;
    desk.import(5, 1..=3, 0);
    let worker = desk.worker("a", &receiver.url());
    desk.until_done_by(&["a"]).await;
    stop(worker);
    desk.delete_container("leases").await;
    let mut procedure = Procedure::of("The container of the leases");
    procedure.run(&desk.place, "doctor").await;
    procedure.run(&desk.place, "provision").await;
    let worker = desk.worker("a", &receiver.url());
    desk.until_done_by(&["a"]).await;
    procedure.run(&desk.place, "lag").await;
    procedure.end();
    receiver.wait(|taken| taken.is_complete(5, 3, 2)).await;
    receiver.all_taken().check_exactly(&[1, 2, 3, 1, 2, 3]);
    stop(worker);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_was_spoiled_by_hand_is_made_anew() {
    let receiver = Receiver::start(|_, _| 200);
    let desk = Desk::new().await;
    desk.import(5, 1..=3, 0);
    let worker = desk.worker("a", &receiver.url());
    desk.until_done_by(&["a"]).await;
    let epoch = |ranges: &serde_json::Value| ranges[0]["epoch"].as_u64().unwrap();
    let before = epoch(&desk.place.json(&["lag"]));
    let leases = desk.container("leases").await;
    let spoiled = json!({"id": "lease:-FF", "processor": "default", "schema": 1, "kind": "lease", "range": 7});
    leases.upsert_item("default", "lease:-FF", &spoiled, None).await.unwrap();
    // The worker runs on, and sees it with its next checkpoint; nobody has to do anything.
    desk.import(5, 4..=4, 0);
    receiver.wait(|taken| taken.is_complete(5, 3, 2) && taken.is_complete_of(5, 4)).await;
    desk.until_done_by(&["a"]).await;
    let mut procedure = Procedure::of("A lease that was changed by hand");
    procedure.run(&desk.place, "lag").await;
    procedure.end();
    assert!(epoch(&desk.place.json(&["lag"])) > before, "an owner from before could go on");
    stop(worker);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_models_that_are_gone_are_made_anew_from_the_events() {
    let receiver = Receiver::start(|_, _| 200);
    let desk = Desk::new().await;
    desk.import(5, 1..=3, 0);
    let (views, mails) = (desk.worker("a", "views"), desk.worker("b", &receiver.url()));
    // A second version, whose number comes again as well.
    desk.until_views_are_done().await;
    assert_eq!(desk.place.run(&["projections", "rebuild", SUMMARY]).code, 0);
    desk.until_done_by(&["b"]).await;
    stop(views);
    stop(mails);
    desk.delete_container("read-models").await;
    let mut procedure = Procedure::of("The container of the read models");
    procedure.run(&desk.place, "provision").await;
    let (views, mails) = (desk.worker("a", "views"), desk.worker("b", &receiver.url()));
    // The places are kept, and are behind events that no document has.
    desk.until(&["projections", "list"], |versions| {
        let mut versions = versions.as_array().unwrap().iter();
        let summary = versions.find(|one| one["projection"] == SUMMARY).unwrap();
        summary["views"] == 5 && summary["lagTransactions"] == 0
    })
    .await;
    desk.until_views_are_done().await;
    procedure.run(&desk.place, "projections verify --all").await;
    procedure.run(&desk.place, "projections rebuild").await;
    procedure.run(&desk.place, "projections verify stream-summary").await;
    procedure.end();
    // Whoever has places and documents elsewhere is not concerned.
    receiver.all_taken().check_exactly(&[1, 2, 3]);
    stop(views);
    stop(mails);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_snapshots_states_are_folded_from_the_events() {
    let desk = Desk::new().await;
    let version = desk.quote_with_snapshot("quote-1").await;
    let options = || RepositoryOptions::default().with_snapshots(Snapshots::every(1));
    let before = Repository::<Quote>::new(desk.store().await, options());
    let before = before.load("quote-1").await.unwrap();
    desk.delete_container("snapshots").await;
    let mut procedure = Procedure::of("Snapshots");
    procedure.run(&desk.place, "provision").await;
    procedure.end();
    let after = Repository::<Quote>::new(desk.store().await, options());
    let after = after.load("quote-1").await.unwrap();
    assert_eq!((before.version, after.version), (version, version));
    assert!(before.state == after.state, "the state is another one");
}

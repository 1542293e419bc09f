//! What a fail-over of the region may leave behind: answers that were lost, and snapshots and views of events
//! that are not there any more.

use cosmos_event_store::{
    aggregate::{Repository, RepositoryOptions, Snapshots},
    quotes::Quote,
};
use cosmos_local::{Fault, FaultAction};

use super::{desk::Desk, procedure::Procedure};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_whose_answer_was_lost_is_settled_by_repeating_it() {
    let desk = Desk::new().await;
    desk.import(1, 1..=3, 0);
    let mut procedure = Procedure::of("An append whose outcome is unknown");
    // It is stored, its answer is lost, and what has become of it cannot be read back.
    let lost = Fault::new(FaultAction::DropAfter).on_kind("batch").times(1);
    desk.endpoint.control().inject(lost).unwrap();
    let refused = FaultAction::Status { status: 400, substatus: Some(0), retry_after_ms: None };
    desk.endpoint.control().inject(Fault::new(refused).on_kind("query_items")).unwrap();
    procedure.run(&desk.place, "append s-1").await;
    desk.endpoint.control().clear_faults();
    procedure.run(&desk.place, "append s-1").await;
    procedure.run(&desk.place, "read s-1").await;
    procedure.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_of_events_that_are_lost_is_passed_over() {
    let desk = Desk::new().await;
    let version = desk.quote_with_snapshot("quote-1").await;
    // The region that is left has not had the last event.
    let id = format!("{version:020}");
    desk.container("events").await.delete_item("quote-1", &id, None).await.unwrap();
    let store = desk.store().await;
    let without = Repository::<Quote>::new(store.clone(), RepositoryOptions::default());
    let expected = without.load("quote-1").await.unwrap();
    assert_eq!(expected.version, version - 1);
    let with_snapshots = RepositoryOptions::default().with_snapshots(Snapshots::every(1));
    let quotes = Repository::<Quote>::new(store, with_snapshots);
    let found = quotes.load("quote-1").await.unwrap();
    assert_eq!(found.version, expected.version);
    assert!(found.state == expected.state, "the state has what is lost");
    quotes.close().await;
}

//! Snapshots: when they are taken, that they are used, and that nothing depends on them.

use std::time::Duration;

use cosmos_event_store::{
    EventId,
    aggregate::Snapshots,
    clock::Clock as _,
    store::{Snapshot, SnapshotKey, SnapshotOutcome},
};
use cosmos_local::{Fault, FaultAction};
use serde_json::{Value, json};

use super::{commands::deposited, *};
use crate::{
    fixture::{DATABASE, Fixture, manual_clock},
    sdk,
};

fn key() -> SnapshotKey {
    SnapshotKey::new("account", 1).unwrap()
}

/// A repository without a cache that takes a snapshot every three events.
fn every_three(store: &EventStore) -> Accounts {
    let options = RepositoryOptions::default().with_cached_states_max(0);
    Repository::new(store.clone(), options.with_snapshots(Snapshots::every(3)))
}

async fn stored(fixture: &Fixture) -> Option<Snapshot> {
    fixture.store.read_snapshot("account-1", &key()).await.unwrap().value
}

/// A stream of four events with a snapshot of the first three.
async fn with_snapshot() -> Fixture {
    let fixture = Fixture::new().await;
    let accounts = every_three(&fixture.store);
    for cents in [1, 2, 4] {
        accounts.execute("account-1", &Command::Deposit(cents), plain()).await.unwrap();
    }
    accounts.close().await;
    fixture.given("account-1", &[deposited(8)]).await;
    let snapshot = stored(&fixture).await.unwrap();
    assert_eq!((snapshot.version, snapshot.state), (3, json!({"cents": 7, "events": 3})));
    assert_eq!(snapshot.last_event_id, fixture.ids("account-1").await[2]);
    fixture.requests();
    fixture
}

/// What a repository makes of the stream with the snapshot that is there.
async fn assert_all_is_there(fixture: &Fixture) {
    let loaded = every_three(&fixture.store).load("account-1").await.unwrap();
    assert_eq!((loaded.version, loaded.state.cents, loaded.state.events), (4, 15, 4));
}

#[tokio::test]
async fn a_command_with_a_snapshot_is_a_point_read_a_query_and_an_append() {
    let fixture = with_snapshot().await;
    let accounts = every_three(&fixture.store);
    let executed = accounts.execute("account-1", &Command::Withdraw(15), plain()).await.unwrap();
    assert_eq!((executed.usage.round_trips, fixture.requests()), (3, 3));
    assert_eq!((executed.version, executed.state.cents), (5, 0));
}

#[tokio::test]
async fn the_events_in_a_snapshot_are_not_read_again() {
    let fixture = with_snapshot().await;
    // The second event cannot be read any more, and nobody notices.
    let container = sdk::events_container(fixture.endpoint.endpoint()).await;
    container.delete_item("account-1", &format!("{:020}", 2), None).await.unwrap();
    assert_all_is_there(&fixture).await;
    assert!(forgetful(&fixture.store).load("account-1").await.is_err());
}

#[tokio::test]
async fn snapshots_are_taken_after_a_time_as_well() {
    let clock = manual_clock("2026-11-20T10:00:00Z");
    let fixture = Fixture::with(|options| options.with_clock(clock.clone())).await;
    let snapshots = Snapshots::every(100).or_after(Duration::from_hours(1));
    let options = RepositoryOptions::default().with_snapshots(snapshots);
    let accounts: Accounts = Repository::new(fixture.store.clone(), options);
    accounts.execute("account-1", &Command::Deposit(1), plain()).await.unwrap();
    clock.advance(Duration::from_hours(1));
    accounts.execute("account-1", &Command::Deposit(1), plain()).await.unwrap();
    accounts.execute("account-1", &Command::Deposit(1), plain()).await.unwrap();
    accounts.close().await;
    let snapshot = stored(&fixture).await.unwrap();
    assert_eq!((snapshot.version, snapshot.taken_at), (2, clock.now()));
}

#[tokio::test]
async fn a_snapshot_never_goes_backwards() {
    let fixture = with_snapshot().await;
    let last_event_id = EventId::random();
    let snapshot = |version| Snapshot {
        version,
        last_event_id,
        taken_at: "2026-11-20T10:00:00Z".parse().unwrap(),
        state: json!({}),
    };
    for (version, outcome) in
        [(2, SnapshotOutcome::Kept), (3, SnapshotOutcome::Kept), (4, SnapshotOutcome::Written)]
    {
        let snapshot = snapshot(version);
        let answer = fixture.store.write_snapshot("account-1", &key(), &snapshot).await.unwrap();
        assert_eq!(answer.value, outcome, "version {version}");
    }
    assert_eq!(stored(&fixture).await.unwrap(), snapshot(4));
    // Two writers at once: the one with the later version has the last word.
    let (old, new) = (snapshot(5), snapshot(6));
    let (key, store) = (key(), &fixture.store);
    let (old, new) = tokio::join!(
        store.write_snapshot("account-1", &key, &old),
        store.write_snapshot("account-1", &key, &new),
    );
    assert!(old.is_ok() && new.is_ok());
    assert_eq!(stored(&fixture).await.unwrap().version, 6);
}

#[tokio::test]
async fn a_state_that_cannot_be_stored_is_no_snapshot() {
    let fixture = Fixture::new().await;
    for state in [json!(u64::MAX), json!("x".repeat(1024 * 1024))] {
        let snapshot = Snapshot {
            version: 1,
            last_event_id: EventId::random(),
            taken_at: "2026-11-20T10:00:00Z".parse().unwrap(),
            state,
        };
        assert!(fixture.store.write_snapshot("account-1", &key(), &snapshot).await.is_err());
    }
    assert_eq!(stored(&fixture).await, None);
}

#[tokio::test]
async fn an_unusable_snapshot_is_passed_over() {
    let fixture = with_snapshot().await;
    let good = stored(&fixture).await.unwrap();
    // Another form of the state, another history, a version that the stream does not have.
    let unusable = [
        (4, fixture.ids("account-1").await[3], json!({"balance": 7})),
        (5, good.last_event_id, good.state.clone()),
        (99, good.last_event_id, json!({"cents": 1_000_000, "events": 99})),
    ];
    for (version, last_event_id, state) in unusable {
        let snapshot = Snapshot { version, last_event_id, state, ..good.clone() };
        fixture.store.write_snapshot("account-1", &key(), &snapshot).await.unwrap();
        assert_all_is_there(&fixture).await;
    }
    // No snapshot at all, as another program may have left it.
    overwrite(&fixture, &json!({"id": "account:1", "aggregateId": "account-1", "n": 1})).await;
    assert_all_is_there(&fixture).await;
}

#[tokio::test]
async fn a_snapshot_of_another_history_is_told_by_the_id_of_its_last_event() {
    let fixture = with_snapshot().await;
    let good = stored(&fixture).await.unwrap();
    let state = json!({"cents": 1_000_000, "events": 4});
    let foreign = Snapshot { version: 4, last_event_id: EventId::random(), state, ..good };
    fixture.store.write_snapshot("account-1", &key(), &foreign).await.unwrap();
    assert_eq!(stored(&fixture).await.unwrap(), foreign);
    assert_all_is_there(&fixture).await;
}

#[tokio::test]
async fn a_snapshot_is_due_again_only_after_as_many_events() {
    let fixture = Fixture::new().await;
    let options = RepositoryOptions::default().with_snapshots(Snapshots::every(3));
    let accounts: Accounts = Repository::new(fixture.store.clone(), options);
    for _ in 0..5 {
        accounts.execute("account-1", &Command::Deposit(1), trusting()).await.unwrap();
    }
    accounts.close().await;
    assert_eq!(stored(&fixture).await.unwrap().version, 3);
}

#[tokio::test]
async fn commands_do_not_depend_on_snapshots() {
    let fixture = Fixture::new().await;
    let unavailable = FaultAction::Status { status: 403, substatus: None, retry_after_ms: None };
    let accounts = every_three(&fixture.store);
    accounts.execute("account-1", &Command::Deposit(1), plain()).await.unwrap();
    for kind in ["read_item", "create_item"] {
        fixture.control().inject(Fault::new(unavailable.clone()).on_kind(kind)).unwrap();
    }
    for _ in 0..3 {
        accounts.execute("account-1", &Command::Deposit(1), plain()).await.unwrap();
    }
    accounts.close().await;
    fixture.control().clear_faults();
    assert_eq!(stored(&fixture).await, None);
    fixture.given("account-1", &[deposited(11)]).await;
    let loaded = accounts.load("account-1").await.unwrap();
    assert_eq!((loaded.version, loaded.state.cents), (5, 15));
}

#[tokio::test]
async fn what_a_snapshot_took_is_counted_also_when_it_cannot_be_read() {
    let fixture = with_snapshot().await;
    let denied = FaultAction::Status { status: 403, substatus: None, retry_after_ms: None };
    fixture.control().inject(Fault::new(denied).on_kind("read_item")).unwrap();
    let loaded = every_three(&fixture.store).load("account-1").await.unwrap();
    assert_eq!((loaded.version, loaded.usage.round_trips, fixture.requests()), (4, 2, 2));
    fixture.control().clear_faults();
    // Neither is what a damaged one took forgotten.
    overwrite(&fixture, &json!({"id": "account:1", "aggregateId": "account-1"})).await;
    fixture.requests();
    let loaded = every_three(&fixture.store).load("account-1").await.unwrap();
    assert_eq!((loaded.version, loaded.usage.round_trips, fixture.requests()), (4, 2, 2));
}

#[tokio::test]
async fn a_snapshot_at_the_end_of_the_stream_is_checked_and_used() {
    let fixture = Fixture::with(|options| options.with_page_events(1)).await;
    let accounts = every_three(&fixture.store);
    for cents in [1, 2, 4] {
        accounts.execute("account-1", &Command::Deposit(cents), plain()).await.unwrap();
    }
    accounts.close().await;
    fixture.requests();
    let loaded = every_three(&fixture.store).load("account-1").await.unwrap();
    assert_eq!((loaded.version, loaded.state.cents, loaded.state.events), (3, 7, 3));
    // The tail in pages of one event: the first page is the one that is checked.
    fixture.given("account-1", &[deposited(8), deposited(16)]).await;
    let container = sdk::events_container(fixture.endpoint.endpoint()).await;
    container.delete_item("account-1", &format!("{:020}", 1), None).await.unwrap();
    let loaded = every_three(&fixture.store).load("account-1").await.unwrap();
    assert_eq!((loaded.version, loaded.state.cents, loaded.state.events), (5, 31, 5));
}

#[tokio::test]
async fn a_closed_repository_takes_no_snapshots() {
    let fixture = Fixture::new().await;
    let accounts = every_three(&fixture.store);
    accounts.close().await;
    for cents in [1, 2, 4, 8] {
        accounts.execute("account-1", &Command::Deposit(cents), plain()).await.unwrap();
    }
    fixture.requests();
    accounts.close().await;
    assert_eq!(stored(&fixture).await, None);
    assert_eq!(accounts.load("account-1").await.unwrap().state.cents, 15);
}

/// Puts another document in the place of the snapshot.
async fn overwrite(fixture: &Fixture, document: &Value) {
    let client = sdk::client(fixture.endpoint.endpoint()).await;
    let container = client.database_client(DATABASE).container_client("snapshots", None).await;
    let container = container.unwrap();
    container.upsert_item("account-1", "account:1", document, None).await.unwrap();
}

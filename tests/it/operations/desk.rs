//! What an operator sits in front of: a store, the binary, and workers.

use std::time::Duration;

use azure_data_cosmos::{ContainerClient, DatabaseClient, FeedScope, Query};
use cosmos_event_store::{
    Credential, EventStore, StoreOptions,
    aggregate::{CommandOptions, Repository, RepositoryOptions, Snapshots},
    quotes::{Action, Actor, GeographicInput, InitiateInput, Quote, QuoteCommand},
};
use cosmos_local::LocalCosmos;
use futures::TryStreamExt as _;
use serde_json::Value;

use crate::{
    cli::program::{Place, Running, line},
    sdk,
};

/// A test that waits longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(50);
/// Between two looks at what only can be asked for.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// The database of the binary.
const DATABASE: &str = "event-store";

/// A data folder whose endpoint is in this process, strict as the service is.
pub(super) struct Desk {
    pub(super) place: Place,
    pub(super) endpoint: LocalCosmos,
    database: DatabaseClient,
}

impl Desk {
    /// With an empty store that is ready.
    pub(super) async fn new() -> Self {
        Self::with_partitions(1).await
    }

    /// The same with so many physical partitions.
    pub(super) async fn with_partitions(partitions: u32) -> Self {
        let place = Place::new();
        let local = LocalCosmos::builder().data_dir(place.data_dir()).partitions(partitions);
        let endpoint = local.start().await.unwrap();
        place.run(&["provision"]).ok();
        let database = sdk::client(endpoint.endpoint()).await.database_client(DATABASE);
        Self { place, endpoint, database }
    }

    pub(super) fn options(&self) -> StoreOptions {
        let key = Credential::key(self.endpoint.key());
        StoreOptions::new(self.endpoint.endpoint(), key, DATABASE)
    }

    pub(super) async fn store(&self) -> EventStore {
        EventStore::connect(self.options()).await.unwrap()
    }

    pub(super) async fn container(&self, name: &str) -> ContainerClient {
        self.database.container_client(name, None).await.unwrap()
    }

    /// Deletes a container with all that is in it, behind the back of everybody.
    pub(super) async fn delete_container(&self, name: &str) {
        self.container(name).await.delete(None).await.unwrap();
    }

    /// Stores one event of each number in so many streams `s-1`, `s-2`, ..., as one history has them: the same
    /// number of another history is another event.
    pub(super) fn import(
        &self,
        streams: u64,
        numbers: std::ops::RangeInclusive<u64>,
        history: u64,
    ) {
        let lines: String = (1..=streams)
            .flat_map(|s| numbers.clone().map(move |number| event(s, number, history)))
            .collect();
        let file = self.place.file("import.jsonl", &lines);
        self.place.run(&["import", &file]).ok();
    }

    /// Makes a quote of two events with a snapshot of both, and gives its version.
    pub(super) async fn quote_with_snapshot(&self, stream: &str) -> u64 {
        let store = self.store().await;
        let options = RepositoryOptions::default().with_snapshots(Snapshots::every(1));
        let quotes = Repository::<Quote>::new(store.clone(), options);
        let home = r#"{"country": "SG", "city": "Singapore", "zipCode": "018956"}"#;
        let home: GeographicInput = serde_json::from_str(home).unwrap();
        let actions = [Action::try_from(InitiateInput::default()), Action::try_from(home)];
        let mut version = 0;
        for action in actions {
            let (by, at) = (Actor::new("customer"), "2026-11-20T10:00:00Z".parse());
            let command =
                QuoteCommand { by: by.unwrap(), at: at.unwrap(), action: action.unwrap() };
            let executed = quotes.execute(stream, &command, CommandOptions::default());
            version = executed.await.unwrap().version;
        }
        quotes.close().await;
        let documents = self.container("snapshots").await;
        let query = documents.query_items::<Value>(
            Query::from("SELECT * FROM c"),
            FeedScope::partition(stream.to_owned()),
            None,
        );
        let found: Vec<Value> = query.await.unwrap().try_collect().await.unwrap();
        assert_eq!(found.iter().map(|one| &one["version"]).collect::<Vec<_>>(), [version]);
        version
    }

    /// Starts a worker, and waits until it says that it works.
    pub(super) fn worker(&self, name: &str, to: &str) -> Running {
        let args = ["worker", "--instance", name, "--to", to, "--output", "json"];
        let mut worker = self.place.spawn(&args);
        let ready: Value = serde_json::from_str(&worker.line()).unwrap();
        assert_eq!(ready["instance"], name);
        worker
    }

    /// Waits until what a command tells programs is so; a command that fails says nothing yet.
    pub(super) async fn until(&self, args: &[&str], is_so: impl Fn(&Value) -> bool) -> Value {
        let args = [args, &["--output", "json"]].concat();
        let seen = std::cell::RefCell::new(String::new());
        let looking = async {
            loop {
                let ran = self.place.run(&args);
                if ran.code == 0 && is_so(&ran.json()) {
                    return ran.json();
                }
                seen.replace(format!("{ran:?}"));
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let looked = tokio::time::timeout(PATIENCE, looking).await;
        looked.unwrap_or_else(|_| panic!("never so: {args:?}: {}", seen.borrow()))
    }

    /// Waits until these instances share all ranges of the default processor, and all is done.
    pub(super) async fn until_done_by(&self, owners: &[&str]) {
        self.until(&["lag"], |ranges| {
            let ranges = ranges.as_array().unwrap();
            let found = ranges.iter().map(|range| range["owner"].as_str().unwrap_or_default());
            let found: std::collections::BTreeSet<&str> = found.collect();
            found == owners.iter().copied().collect()
                && ranges.iter().all(|range| range["lagTransactions"] == 0)
        })
        .await;
    }

    /// Waits until each read model has a live version that has everything but what is parked.
    pub(super) async fn until_views_are_done(&self) {
        self.until(&["projections", "list"], |versions| {
            let versions = versions.as_array().unwrap();
            versions.len() >= 5
                && versions.iter().all(|one| one["state"] == "live" && one["lagTransactions"] == 0)
        })
        .await;
    }
}

/// A line of a log.
fn event(stream: u64, number: u64, history: u64) -> String {
    let mut event: Value =
        serde_json::from_str(&line(&format!("s-{stream}"), number, history)).unwrap();
    event["eventId"] = format!("00000000-0000-4000-8000-{history:04}{stream:04}{number:04}").into();
    format!("{event}\n")
}

/// Stops a worker as service managers do; it must end well.
pub(super) fn stop(worker: Running) {
    worker.terminate();
    let ran = worker.wait();
    assert_eq!(ran.code, 0, "{ran:?}");
}

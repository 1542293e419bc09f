//! A store and an app root, for one test.

use std::{path::PathBuf, time::Duration};

use azure_data_cosmos::{ContainerClient, models::ContainerProperties};
use cosmos_event_store::{
    EventStore, ExpectedVersion, NewEvent,
    feed::{CosmosFeed, FeedFields},
    projection::ReadModels,
    quotes,
};
use cosmos_local::LocalCosmos;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::{changes::Trigger, host::Host};
use crate::{
    cli::program::read,
    fixture::{DATABASE, options},
    sdk,
};

/// The functions, as they are in the repository.
pub(super) const FUNCTIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/functions");
/// The shortest use of a run that the program takes.
pub(super) const PUMP_SECONDS: &str = "15";
/// How long a test waits for what should happen within moments.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);
/// Between two looks at what only can be asked for.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

pub(super) struct App {
    pub(super) endpoint: LocalCosmos,
    pub(super) store: EventStore,
    pub(super) read_models: ReadModels,
    _folder: TempDir,
    root: PathBuf,
}

impl App {
    /// Starts a store with the leases of the trigger, and puts the program into an app root.
    pub(super) async fn new() -> Self {
        let endpoint = LocalCosmos::builder().ephemeral().partitions(2).start().await.unwrap();
        let account = options(endpoint.endpoint());
        let (store, _) = EventStore::provision_and_connect(account.clone()).await.unwrap();
        let client = sdk::client(endpoint.endpoint()).await;
        let leases = ContainerProperties::new("wakeup-leases", "/id".into());
        client.database_client(DATABASE).create_container(leases, None).await.unwrap();
        let catalog = quotes::projections::catalog().unwrap();
        let read_models = ReadModels::open(&account, store.clone(), catalog).await.unwrap();
        let (folder, root) = app_root();
        Self { endpoint, store, read_models, _folder: folder, root }
    }

    /// A host with this app.
    pub(super) fn host(&self) -> Host {
        self.host_with(&[])
    }

    pub(super) fn host_with(&self, more: &[(&str, &str)]) -> Host {
        let endpoint = self.endpoint.endpoint();
        let settings = [
            ("COSMOS_ES_ENDPOINT", endpoint),
            ("COSMOS_ES_DATABASE", DATABASE),
            ("COSMOS_ES_PUMP_SECONDS", PUMP_SECONDS),
        ];
        Host::of(&self.root, &[&settings, more].concat())
    }

    /// A host whose handler runs and has its store.
    pub(super) async fn started(&self) -> Host {
        let host = self.host();
        self.start(&host).await;
        host
    }

    /// Starts the handler of a host, and waits until it has its store.
    pub(super) async fn start(&self, host: &Host) {
        host.start().await;
        self.until("the store is connected", async |_| {
            let ready = host.client.get(host.url("/readyz")).send().await;
            ready.is_ok_and(|ready| ready.status() == 200)
        })
        .await;
    }

    /// The trigger of a host, with its leases.
    pub(super) async fn trigger<'a>(&self, host: &'a Host, owner: &str) -> Trigger<'a> {
        let fields = FeedFields::new("/aggregateId", "/sequenceNumber").unwrap();
        let account = options(self.endpoint.endpoint());
        let feed = CosmosFeed::open(&account, "events", fields).await.unwrap();
        Trigger::new(host, owner, self.leases().await, feed).await
    }

    async fn leases(&self) -> ContainerClient {
        let client = sdk::client(self.endpoint.endpoint()).await;
        client.database_client(DATABASE).container_client("wakeup-leases", None).await.unwrap()
    }

    /// Appends events to streams: `count` to each.
    pub(super) async fn append(&self, streams: std::ops::Range<u32>, count: u32) {
        for stream in streams {
            let event = |number| {
                // Dates and numbers that somebody on the way might change.
                let data = json!({"n": number, "at": "2026-11-20T10:00:00Z", "secret": "payload-of-a-customer"});
                NewEvent::new("Tested", data).unwrap()
            };
            let events: Vec<_> = (0..count).map(event).collect();
            self.store.append(&*format!("s-{stream}"), ExpectedVersion::Any, events).await.unwrap();
        }
    }

    /// Every view equals a replay of all events, and none is behind.
    pub(super) async fn verify(&self) {
        let names: Vec<String> = self.read_models.catalog().names().map(str::to_owned).collect();
        assert!(!names.is_empty());
        for name in names {
            let verified = self.read_models.verify(&name, None, |_| {}).await.unwrap();
            assert_eq!((verified.behind, verified.drift.different), (0, 0), "{name}: {verified:?}");
            assert!(verified.streams > 0, "{name}");
        }
    }

    /// The owners of all leases, and how many leases there are.
    pub(super) async fn owners(&self) -> (usize, Vec<String>) {
        let (mut leases, mut owners) = (0, Vec::new());
        for (name, versions) in self.read_models.registry().list().await.unwrap() {
            for version in versions.versions {
                let overview = self.read_models.overview(&name, version.number).await.unwrap();
                leases += overview.leases.len();
                owners.extend(overview.leases.into_iter().filter_map(|lease| lease.owner));
            }
        }
        (leases, owners)
    }

    /// All leases are there, and nobody holds one.
    pub(super) async fn assert_released(&self) {
        let (leases, owners) = self.owners().await;
        assert!(leases > 0);
        assert_eq!(owners, Vec::<String>::new());
    }

    /// Waits until it is so.
    pub(super) async fn until(&self, what: &str, is_so: impl AsyncFn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self).await {
            assert!(begun.elapsed() < PATIENCE, "never: {what}");
            sleep(LOOK_AGAIN).await;
        }
    }
}

/// The app root of the repository, with the program beside it.
fn app_root() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    std::fs::write(root.join("host.json"), read(format!("{FUNCTIONS}/host.json"))).unwrap();
    for function in ["api", "pump", "wakeup", "lag"] {
        std::fs::create_dir(root.join(function)).unwrap();
        let file = format!("{function}/function.json");
        std::fs::write(root.join(&file), read(format!("{FUNCTIONS}/{file}"))).unwrap();
    }
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_cosmos-es"), root.join("cosmos-es")).unwrap();
    (folder, root)
}

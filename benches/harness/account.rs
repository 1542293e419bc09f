//! An account whose feed is read: events, hosts, and who holds what.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use cosmos_event_store::{
    Credential, EventStore, ExpectedVersion, NewEvent, StoreOptions,
    feed::{
        Control, CosmosFeed, CosmosLeases, FeedFields, Handler, Overview, Processor,
        ProcessorOptions, RunningProcessor,
    },
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const DATABASE: &str = "bench";
/// Streams that are stored side by side.
const TASKS: u64 = 32;
/// How often it is looked who holds what.
const LOOK: Duration = Duration::from_millis(20);

pub(crate) fn cosmos_es() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cosmos-es"));
    command.stdin(Stdio::null()).stderr(Stdio::inherit());
    command
}

/// An endpoint in a process of its own; it is killed when it is dropped.
pub(crate) struct Endpoint {
    process: Child,
    pub(crate) address: String,
    pub(crate) key: String,
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.process.kill().is_err();
        self.process.wait().unwrap();
    }
}

impl Endpoint {
    pub(crate) fn start(data: &Path, partitions: usize) -> Self {
        let mut command = cosmos_es();
        command.args(["local", "--port", "0", "--output", "json", "--data-dir"]).arg(data);
        command.args(["--partitions", &partitions.to_string()]);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let text = |name: &str| ready[name].as_str().unwrap().to_owned();
        Self { process, address: text("endpoint"), key: text("key") }
    }
}

/// The account of an endpoint.
#[derive(Clone)]
pub(crate) struct Account {
    options: StoreOptions,
}

impl Account {
    pub(crate) fn new(address: &str, key: &str) -> Self {
        Self { options: StoreOptions::new(address, Credential::key(key), DATABASE) }
    }

    pub(crate) fn of(endpoint: &Endpoint) -> Self {
        Self::new(&endpoint.address, &endpoint.key)
    }

    /// The store, whose containers are made where they are missing.
    pub(crate) async fn store(&self) -> EventStore {
        let connecting = EventStore::provision_and_connect(self.options.clone());
        Box::pin(connecting).await.unwrap().0
    }

    /// A host that is not started yet, with connections of its own.
    pub(crate) async fn host(
        &self,
        processor: &str,
        handler: Arc<dyn Handler>,
        options: ProcessorOptions,
    ) -> Processor {
        let fields =
            FeedFields::new("/aggregateId", "/sequenceNumber").unwrap().with_rising_order();
        let feed = Box::pin(CosmosFeed::open(&self.options, "events", fields)).await.unwrap();
        let leases = self.leases(processor).await;
        Processor::new(Arc::new(feed), Arc::new(leases), handler, options)
    }

    /// A host at the defaults.
    pub(crate) async fn start_host(
        &self,
        processor: &str,
        instance: &str,
        handler: Arc<dyn Handler>,
    ) -> RunningProcessor {
        let options = ProcessorOptions::new(instance);
        Box::pin(self.host(processor, handler, options)).await.start().unwrap()
    }

    /// A look at a processor from outside.
    pub(crate) async fn control(&self, processor: &str) -> Control {
        Control::new(Arc::new(self.leases(processor).await))
    }

    /// Where it is.
    pub(crate) fn options(&self) -> &StoreOptions {
        &self.options
    }

    pub(crate) async fn leases(&self, processor: &str) -> CosmosLeases {
        Box::pin(CosmosLeases::open(&self.options, "leases", processor)).await.unwrap()
    }
}

/// Appends one event to each of so many new streams.
pub(crate) async fn append_to_streams(store: &EventStore, prefix: &str, streams: u64) {
    let mut tasks = JoinSet::new();
    for task in 0..TASKS.min(streams) {
        let (store, prefix) = (store.clone(), prefix.to_owned());
        tasks.spawn(async move {
            for number in (task..streams).step_by(usize::try_from(TASKS).unwrap()) {
                append(&store, format!("{prefix}-{number}"), 0).await;
            }
        });
    }
    tasks.join_all().await;
}

/// Appends one event at a version.
pub(crate) async fn append(store: &EventStore, stream: String, version: u64) {
    let event = NewEvent::new("Noted", json!({"remark": "one of many"})).unwrap();
    let expected = ExpectedVersion::Exact(version);
    Box::pin(store.append(stream, expected, vec![event])).await.unwrap();
}

/// How many leases each host holds; nothing as long as one is free or there are others than so many.
pub(crate) fn shares(overview: &Overview, leases: usize) -> Option<BTreeMap<String, usize>> {
    let mut shares = BTreeMap::new();
    for lease in &overview.leases {
        *shares.entry(lease.owner.clone()?).or_default() += 1;
    }
    (overview.leases.len() == leases).then_some(shares)
}

/// Waits until the leases are shared evenly by so many hosts.
pub(crate) async fn wait_until_shared(control: &Control, leases: usize, hosts: usize) -> Overview {
    loop {
        let overview = control.overview().await.unwrap();
        let even = leases / hosts..=leases.div_ceil(hosts);
        if let Some(shares) = shares(&overview, leases)
            && shares.values().all(|held| even.contains(held))
            && shares.len() == hosts.min(leases)
        {
            return overview;
        }
        tokio::time::sleep(LOOK).await;
    }
}

//! A data folder with the sample log, an endpoint on it in the test process, and what is done there.

use std::{sync::Arc, time::Duration};

use cosmos_event_store::{
    Credential, EventStore, StoreOptions,
    feed::{
        CosmosProcessor, Delivery, FeedFields, Handler, HandlerFault, ProcessorOptions,
        RunningProcessor,
    },
    projection::{Catalog, CosmosViews, ReadModels},
};
use cosmos_local::LocalCosmos;
use futures::future::BoxFuture;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cli::program::{Place, Ran, SAMPLE};

/// The read model of most tests.
pub(super) const SUMMARY: &str = "stream-summary";
/// How long anything is waited for.
pub(super) const TIME_MAX: Duration = Duration::from_mins(1);

/// A data folder whose endpoint is in this process.
pub(super) struct Site {
    pub(super) place: Arc<Place>,
    pub(super) read_models: ReadModels,
    pub(super) account: StoreOptions,
    _endpoint: LocalCosmos,
}

/// A host of read models in this process.
pub(super) struct Hosting {
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Hosting {
    pub(super) async fn end(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

impl Site {
    /// With the sample log, or with a log of the test's own.
    pub(super) async fn new(log: Option<&str>) -> Self {
        let place = Arc::new(Place::new());
        let endpoint = LocalCosmos::builder().data_dir(place.data_dir()).start().await.unwrap();
        let file = log.map_or_else(|| SAMPLE.to_owned(), |log| place.file("log.jsonl", log));
        let (importer, imported) = (Arc::clone(&place), file);
        let import = move || importer.run(&["import", &imported]).ok();
        tokio::task::spawn_blocking(import).await.unwrap();
        let key = Credential::key(endpoint.key());
        let account = StoreOptions::new(endpoint.endpoint(), key, "event-store");
        let store = EventStore::connect(account.clone()).await.unwrap();
        let catalog = Catalog::generic().unwrap();
        let read_models = ReadModels::open(&account, store, catalog).await.unwrap();
        Self { place, read_models, account, _endpoint: endpoint }
    }

    /// Runs the binary on the folder.
    pub(super) async fn run(&self, args: &[&str]) -> Ran {
        let place = Arc::clone(&self.place);
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        let run = move || place.run(&args.iter().map(String::as_str).collect::<Vec<_>>());
        tokio::task::spawn_blocking(run).await.unwrap()
    }

    pub(super) async fn json(&self, args: &[&str]) -> Value {
        self.run(&[args, &["--output", "json"]].concat()).await.json()
    }

    /// The lines of `projections list` of one read model.
    pub(super) async fn versions(&self, name: &str) -> Vec<Value> {
        let list = self.json(&["projections", "list"]).await;
        let lines = list.as_array().unwrap().iter().filter(|line| line["projection"] == name);
        lines.cloned().collect()
    }

    /// Version and state of each.
    pub(super) async fn states(&self, name: &str) -> Vec<(u64, String)> {
        let versions = self.versions(name).await;
        let state = |line: &Value| {
            (line["version"].as_u64().unwrap(), line["state"].as_str().unwrap().to_owned())
        };
        versions.iter().map(state).collect()
    }

    /// Keeps all read models up to date in this process.
    pub(super) fn host(&self) -> Hosting {
        host(&self.read_models)
    }

    /// A host of one version that knows of no other, as a program with other code is.
    pub(super) async fn host_of(&self, version: u32) -> RunningProcessor {
        let fields = FeedFields::new("/aggregateId", "/sequenceNumber").unwrap();
        let named = format!("{SUMMARY}@{version}");
        let options = ProcessorOptions::new("old").with_handler_name(named);
        let processor = CosmosProcessor::new(&self.account, "events", fields.with_rising_order())
            .named(format!("{SUMMARY}@{version}"));
        processor.start(options, Arc::new(Idle)).await.unwrap()
    }

    pub(super) async fn views(&self) -> CosmosViews {
        CosmosViews::open(&self.account).await.unwrap()
    }
}

/// Keeps read models up to date in this process.
pub(super) fn host(read_models: &ReadModels) -> Hosting {
    let (stop, host) = (CancellationToken::new(), read_models.host("h"));
    let stopped = stop.clone();
    let running = tokio::spawn(async move {
        host.run(None, &stopped, Duration::from_secs(5)).await.unwrap();
    });
    Hosting { stop, running }
}

/// Lets everything pass.
struct Idle;

impl Handler for Idle {
    fn handle<'a>(&'a self, _: &'a Delivery) -> BoxFuture<'a, Result<(), HandlerFault>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Waits until something is so.
pub(super) async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(TIME_MAX, waiting).await.is_ok(), "{what}");
}

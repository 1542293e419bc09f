//! The handler in the process of the test, with work that does what the test says.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cosmos_event_store::{
    feed::{CosmosFeed, FeedFields, lag::LagReader},
    http::{
        ServeError, ServiceOptions,
        functions::{
            Changed, Done, FunctionsService, INVOCATION_BYTES_MAX, INVOCATIONS_MAX, NotDone, Work,
        },
    },
    projection::ReadModels,
    quotes,
};
use futures::{FutureExt as _, future::BoxFuture};
use serde_json::{Map, Value, json};
use tokio::{
    sync::Notify,
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::reply::{self, Failure, Reply};
use crate::fixture::{Fixture, options};

/// Work that pumps until it is told to end, and panics when it is asked for the lag.
#[derive(Default)]
struct Scripted {
    pumping: AtomicUsize,
    end: Notify,
    woken: std::sync::Mutex<Vec<Changed>>,
    closed: CancellationToken,
}

impl Work for Scripted {
    fn pump(&self) -> BoxFuture<'_, Result<Done, NotDone>> {
        async {
            self.pumping.fetch_add(1, Ordering::SeqCst);
            tokio::select! {
                () = self.end.notified() => Ok(Done::default()),
                () = self.closed.cancelled() => Err(NotDone("closed".to_owned())),
            }
        }
        .boxed()
    }

    fn wake(&self, changed: Changed) -> BoxFuture<'_, Result<Done, NotDone>> {
        self.woken.lock().unwrap().push(changed);
        async { Err(NotDone("the store is away".to_owned())) }.boxed()
    }

    fn lag(&self) -> BoxFuture<'_, Result<Done, NotDone>> {
        async { panic!("payload-of-a-customer") }.boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async { self.closed.cancel() }.boxed()
    }
}

struct Served {
    base: String,
    work: Arc<Scripted>,
    stop: CancellationToken,
    serving: JoinHandle<Result<(), ServeError>>,
    _fixture: Fixture,
}

impl Served {
    async fn new() -> Self {
        let fixture = Fixture::new().await;
        let account = options(fixture.endpoint.endpoint());
        let catalog = quotes::projections::catalog().unwrap();
        let read_models = ReadModels::open(&account, fixture.store.clone(), catalog).await.unwrap();
        let service = FunctionsService::bind(0, ServiceOptions::default()).await.unwrap();
        let (base, stop) = (format!("http://{}", service.address()), CancellationToken::new());
        let work = Arc::new(Scripted::default());
        let fields = FeedFields::new("/aggregateId", "/sequenceNumber").unwrap();
        let feed = CosmosFeed::open(&account, "events", fields).await.unwrap();
        let lag = LagReader::open(&account, "leases", feed).await.unwrap();
        service.store().attach(
            fixture.store.clone(),
            read_models,
            lag,
            Arc::clone(&work) as Arc<dyn Work>,
        );
        let serving = tokio::spawn(service.serve(stop.clone()));
        Self { base, work, stop, serving, _fixture: fixture }
    }

    async fn post(&self, function: &str, body: impl Into<reqwest::Body>) -> Result<Reply, Failure> {
        post(format!("{}/{function}", self.base), body).await
    }
}

async fn post(url: String, body: impl Into<reqwest::Body>) -> Result<Reply, Failure> {
    let request = reqwest::Client::new().post(url).header("x-azure-functions-invocationid", "a-1");
    let answer = request.body(body).send().await.map_err(|_| Failure::Gone)?;
    let (status, kind) =
        (answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap().to_owned());
    let body = answer.bytes().await.unwrap();
    // Also of a failure: whoever reads it finds an object.
    assert!(serde_json::from_slice::<Map<String, Value>>(&body).is_ok(), "{body:?}");
    reply::read(status, &kind, &body)
}

#[tokio::test]
async fn a_panic_fails_its_invocation_and_nothing_else() {
    let served = Served::new().await;
    for _ in 0..3 {
        assert_eq!(served.post("lag", "{}").await, Err(Failure::Status(500)));
    }
    assert_eq!(served.post("wakeup", "{}").await, Err(Failure::Status(500)), "what is not done");
    let alive = reqwest::get(format!("{}/healthz", served.base)).await.unwrap();
    assert_eq!(alive.status(), 200);
    served.stop.cancel();
    served.serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn only_names_and_numbers_are_read_of_documents() {
    let served = Served::new().await;
    let documents = json!([
        {"id": "1", "aggregateId": "a", "sequenceNumber": 1.0, "data": {"secret": 1}},
        {"id": "2", "aggregateId": "a", "sequenceNumber": 2},
        {"id": "1", "aggregateId": "b", "sequenceNumber": 1},
        {"id": "x", "other": true},
    ]);
    let body = json!({"Data": {"changes": Value::String(documents.to_string())}});
    let _failed = served.post("wakeup", body.to_string()).await.unwrap_err();
    let woken = served.work.woken.lock().unwrap().clone();
    assert_eq!((woken.len(), woken[0].documents, woken[0].streams), (1, 4, 2));
}

#[tokio::test]
async fn an_invocation_that_is_too_large_wakes_all_the_same() {
    let served = Served::new().await;
    for (bytes, streams) in [(INVOCATION_BYTES_MAX - 1000, 1), (INVOCATION_BYTES_MAX + 1, 0)] {
        let documents = json!([{"id": "1", "aggregateId": "a", "sequenceNumber": 1, "data": "x".repeat(bytes)}]);
        let body = json!({"Data": {"changes": documents}}).to_string();
        assert_eq!(served.post("wakeup", body).await, Err(Failure::Status(500)));
        let woken = served.work.woken.lock().unwrap().pop().unwrap();
        assert_eq!(woken.streams, streams, "{bytes}");
    }
    // Requests of clients keep their own limit.
    let request = reqwest::Client::new().post(format!("{}/streams/s/events", served.base));
    let request = request.header("content-type", "application/json").body("x".repeat(5_000_000));
    assert_eq!(request.send().await.unwrap().status(), 413);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invocations_are_bounded_and_end_with_the_process() {
    let served = Served::new().await;
    let mut pumping = JoinSet::new();
    for _ in 0..INVOCATIONS_MAX {
        pumping.spawn(post(format!("{}/pump", served.base), "{}"));
    }
    let all_run = async {
        while served.work.pumping.load(Ordering::SeqCst) < INVOCATIONS_MAX {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), all_run).await.unwrap();
    assert_eq!(served.post("pump", "{}").await, Err(Failure::Status(503)));
    served.work.end.notify_one();
    assert!(pumping.join_next().await.unwrap().unwrap().is_ok());
    served.stop.cancel();
    while let Some(pumped) = pumping.join_next().await {
        assert_eq!(pumped.unwrap(), Err(Failure::Status(500)));
    }
    served.serving.await.unwrap().unwrap();
    assert!(served.work.closed.is_cancelled());
}

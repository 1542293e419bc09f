//! How far processors are behind, as an autoscaler asks it; and readiness of a worker that has fenced itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cosmos_event_store::{
    feed::{
        CosmosFeed, CosmosProcessor, Delivery, FeedFields, Handler, HandlerFault, ProcessorOptions,
        Standing, lag::LagReader,
    },
    http::ServiceOptions,
};
use cosmos_local::{Fault, FaultAction};
use futures::{FutureExt as _, future::BoxFuture};
use serde_json::json;

use super::service::{Served, until};
use crate::fixture::{Fixture, options};

fn fields() -> FeedFields {
    FeedFields::new("/aggregateId", "/sequenceNumber").unwrap().with_rising_order()
}

async fn reader(fixture: &Fixture) -> LagReader {
    let options = options(fixture.endpoint.endpoint());
    let feed = CosmosFeed::open(&options, "events", fields()).await.unwrap();
    LagReader::open(&options, "leases", feed).await.unwrap()
}

/// A handler that holds still until it is let go.
struct Held(Arc<AtomicBool>);

impl Handler for Held {
    fn handle<'a>(&'a self, _: &'a Delivery) -> BoxFuture<'a, Result<(), HandlerFault>> {
        async move {
            let is_let_go = self.0.load(Ordering::Relaxed);
            is_let_go.then_some(()).ok_or_else(|| HandlerFault::transient("held"))
        }
        .boxed()
    }
}

#[tokio::test]
async fn an_autoscaler_reads_numbers() {
    let fixture = Fixture::new().await;
    let lag = reader(&fixture).await;
    let served = Served::of(fixture, |service| service.with_lag(lag)).await;
    let nothing = served.get("/lag").await.ok(200);
    assert_eq!(
        nothing,
        json!({"lagSeconds": 0, "lagTransactions": 0, "parked": 0, "processors": []})
    );
    served.get("/lag/mails").await.problem(404, "processor-not-found");

    let account = options(served.fixture.endpoint.endpoint());
    let let_go = Arc::new(AtomicBool::new(false));
    let host = CosmosProcessor::new(&account, "events", fields())
        .named("mails")
        .start(ProcessorOptions::new("host-1"), Arc::new(Held(Arc::clone(&let_go))))
        .await
        .unwrap();
    for stream in ["s-1", "s-2", "s-3"] {
        served.fixture.given(stream, &crate::fixture::events(1)).await;
    }
    until(async || host.standing() == Standing::Alive).await;
    until(async || served.get("/lag/mails").await.ok(200)["lagTransactions"] == 3).await;
    let one = served.get("/lag/mails").await.ok(200);
    assert_eq!(
        (&one["processor"], &one["leases"], &one["hosts"]),
        (&json!("mails"), &json!(1), &json!(["host-1"]))
    );
    assert!(one["lagSeconds"].is_u64() && one["ranges"][0]["state"].is_string(), "{one}");
    let all = served.get("/lag").await.ok(200);
    assert_eq!(all["lagTransactions"], 3);
    assert_eq!(all["processors"][0]["processor"], "mails");

    let_go.store(true, Ordering::Relaxed);
    until(async || served.get("/lag/mails").await.ok(200)["lagTransactions"] == 0).await;
    host.shutdown(Duration::from_secs(10)).await.unwrap();
    let gone = served.get("/lag/mails").await.ok(200);
    assert_eq!((&gone["unowned"], &gone["hosts"]), (&json!(1), &json!([])));
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_a_problem_and_not_a_number() {
    let fixture = Fixture::new().await;
    let lag = reader(&fixture).await;
    let served = Served::of(fixture, |service| service.with_lag(lag)).await;
    let action = FaultAction::Status { status: 403, substatus: None, retry_after_ms: None };
    served.fixture.control().inject(Fault::new(action)).unwrap();
    served.get("/lag").await.problem(503, "store-unavailable");
    served.get("/lag/mails").await.problem(503, "store-unavailable");
}

#[tokio::test]
async fn without_a_reader_there_is_nothing_at_that_path() {
    let served = Served::new().await;
    served.get("/lag").await.problem(404, "route-not-found");
}

#[tokio::test]
async fn a_host_that_has_fenced_itself_makes_the_process_unready() {
    let fixture = Fixture::new().await;
    let account = options(fixture.endpoint.endpoint());
    let host = CosmosProcessor::new(&account, "events", fields())
        .named("mails")
        .start(
            ProcessorOptions::new("host-1")
                .with_liveness(Duration::from_millis(200), Duration::from_secs(1)),
            Arc::new(Held(Arc::new(AtomicBool::new(true)))),
        )
        .await
        .unwrap();
    let host = Arc::new(host);
    until(async || host.standing() == Standing::Alive).await;
    let asked = Arc::clone(&host);
    let standstill =
        move || (asked.standing() == Standing::Fenced).then_some("the worker is fenced");
    let served =
        Served::of(fixture, |service: ServiceOptions| service.with_standstill(standstill)).await;
    served.get("/readyz").await.ok(200);

    // The leases cannot be written any more, and the events still be read.
    let action = FaultAction::Status { status: 503, substatus: None, retry_after_ms: None };
    served.fixture.control().inject(Fault::new(action).on_kind("batch")).unwrap();
    until(async || served.get("/readyz").await.status == 503).await;
    let problem = served.get("/readyz").await;
    assert_eq!(problem.problem(503, "not-ready")["detail"], "the worker is fenced");
    served.get("/healthz").await.ok(200);
    served.fixture.control().clear_faults();
    until(async || served.get("/readyz").await.status == 200).await;
}

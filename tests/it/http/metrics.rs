//! What is measured: whose text it is, and how it is answered.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use cosmos_event_store::{
    http::{Service, ServiceOptions},
    telemetry::figures::{Figure, Named, Sample},
};
use cosmos_local::{Fault, FaultAction};
use reqwest::Method;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::service::{Served, send};
use crate::fixture::Fixture;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

const ASKED: Named = Named::counter("asked_total", "how often it was asked");

/// A source whose figure is another one each time.
fn source() -> impl Fn() -> Vec<Figure> + Send + Sync {
    let asked = Arc::new(AtomicU64::new(0));
    move || {
        let count = asked.fetch_add(1, Ordering::Relaxed) + 1;
        vec![ASKED.with(vec![Sample::count(&[], count)])]
    }
}

fn has(text: &str, line: &str) -> bool {
    text.lines().any(|found| found == line)
}

#[tokio::test]
async fn each_request_asks_the_source() {
    let served = Served::with(|store| store, |service| service.with_figures(source())).await;
    for line in ["asked_total 1", "asked_total 2"] {
        let answer = served.get("/metrics").await;
        assert!(answer.status == 200 && has(&answer.text, line), "{}", answer.text);
        assert_eq!(answer.header("content-type"), TEXT);
    }
    let head = send(served.request(Method::HEAD, "/metrics")).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    assert_eq!(head.header("content-type"), TEXT);
    assert_eq!(served.get("/").await.ok(200)["metrics"], "/metrics");
}

#[tokio::test]
async fn the_store_and_the_service_are_measured_without_a_source() {
    let served = Served::new().await;
    let events = json!({"events": [{"type": "Tested", "data": {}}]});
    served.post("s-1", &events).await.ok(201);
    served.get("/streams/s-1/events").await.ok(200);
    served.get("/nothing/here").await.problem(404, "route-not-found");
    let answer = served.get("/metrics").await;
    assert_eq!(answer.header("content-type"), TEXT);
    for line in [
        "cosmos_es_store_operations_total{operation=\"append\",outcome=\"done\"} 1",
        "cosmos_es_store_round_trips_total{operation=\"read_page\"} 1",
        "cosmos_es_store_retries_total{operation=\"append\"} 0",
        "cosmos_es_http_requests_total{method=\"POST\",route=\"/streams/{id}/events\",status=\"201\"} 1",
        "cosmos_es_http_requests_total{method=\"GET\",route=\"other\",status=\"404\"} 1",
    ] {
        assert!(has(&answer.text, line), "{line} in\n{}", answer.text);
    }
    let charge = "cosmos_es_store_request_charge_total{operation=\"append\"} ";
    let charge = answer.text.lines().find_map(|line| line.strip_prefix(charge)).unwrap();
    assert!(charge.parse::<f64>().unwrap() > 0.0, "{charge}");
    // A name stands once, and ids of streams nowhere.
    assert_eq!(answer.text.matches("# TYPE cosmos_es_store_operations_total ").count(), 1);
    assert!(!answer.text.contains("s-1"));
}

#[tokio::test]
async fn throttles_and_retries_are_counted() {
    let served = Served::new().await;
    let action =
        FaultAction::Status { status: 429, substatus: Some(3200), retry_after_ms: Some(1) };
    let control = served.fixture.control();
    control.inject(Fault::new(action).on_kind("batch").times(2)).unwrap();
    let events = json!({"events": [{"type": "Tested", "data": {}}]});
    served.post("s-1", &events).await.ok(201);
    let text = served.get("/metrics").await.text;
    for figure in ["throttles", "retries"] {
        let line = format!("cosmos_es_store_{figure}_total{{operation=\"append\"}} 2");
        assert!(has(&text, &line), "{line} in\n{text}");
    }
}

#[tokio::test]
async fn a_program_that_is_only_watched_answers_nothing_else() {
    let fixture = Fixture::new().await;
    let options = ServiceOptions::default().with_listen("127.0.0.1:0".parse().unwrap());
    let options = options.with_figures(source()).with_requests_max(0);
    let service = Service::bind(fixture.store.clone(), options).await.unwrap();
    let base = format!("http://{}", service.address());
    let stop = CancellationToken::new();
    let serving = tokio::spawn(service.serve_watched(stop.clone()));
    let client = reqwest::Client::new();
    let get = |path: &str| send(client.get(format!("{base}{path}")));
    assert!(has(&get("/metrics").await.text, "asked_total 1"));
    assert_eq!(get("/healthz").await.ok(200), json!({"status": "alive"}));
    // What is not there has no place among the requests that may be refused for load.
    get("/streams").await.problem(503, "overloaded");
    let rebound = client.get(format!("{base}/metrics")).header("host", "rebound.example.com");
    send(rebound).await.problem(421, "misdirected-request");
    stop.cancel();
    serving.await.unwrap().unwrap();
}

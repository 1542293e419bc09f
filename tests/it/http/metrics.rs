//! What is measured: whose text it is, and how it is answered.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use cosmos_event_store::http::{Service, ServiceOptions};
use reqwest::Method;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::service::{Served, send};
use crate::fixture::Fixture;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A source whose text is another one each time.
fn source() -> impl Fn() -> String + Send + Sync {
    let asked = Arc::new(AtomicU64::new(0));
    move || format!("asked_total {}\n", asked.fetch_add(1, Ordering::Relaxed) + 1)
}

#[tokio::test]
async fn each_request_asks_the_source() {
    let served = Served::with(|store| store, |service| service.with_metrics(source())).await;
    for text in ["asked_total 1\n", "asked_total 2\n"] {
        let answer = served.get("/metrics").await;
        assert_eq!((answer.status, answer.text.as_str()), (200, text));
        assert_eq!(answer.header("content-type"), TEXT);
    }
    let head = send(served.request(Method::HEAD, "/metrics")).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    assert_eq!(head.header("content-type"), TEXT);
    assert_eq!(served.get("/").await.ok(200)["metrics"], "/metrics");
}

#[tokio::test]
async fn without_a_source_there_is_only_a_comment() {
    let served = Served::new().await;
    let answer = served.get("/metrics").await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "# nothing is measured here\n"));
    assert_eq!(answer.header("content-type"), TEXT);
}

#[tokio::test]
async fn a_program_that_is_only_watched_answers_nothing_else() {
    let fixture = Fixture::new().await;
    let options = ServiceOptions::default().with_listen("127.0.0.1:0".parse().unwrap());
    let options = options.with_metrics(source()).with_requests_max(0);
    let service = Service::bind(fixture.store.clone(), options).await.unwrap();
    let base = format!("http://{}", service.address());
    let stop = CancellationToken::new();
    let serving = tokio::spawn(service.serve_watched(stop.clone()));
    let client = reqwest::Client::new();
    let get = |path: &str| send(client.get(format!("{base}{path}")));
    assert_eq!(get("/metrics").await.text, "asked_total 1\n");
    assert_eq!(get("/healthz").await.ok(200), json!({"status": "alive"}));
    // What is not there has no place among the requests that may be refused for load.
    get("/streams").await.problem(503, "overloaded");
    let rebound = client.get(format!("{base}/metrics")).header("host", "rebound.example.com");
    send(rebound).await.problem(421, "misdirected-request");
    stop.cancel();
    serving.await.unwrap().unwrap();
}

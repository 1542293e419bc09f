//! What the service bears: slow bodies, too many requests, clients that go away.

use std::time::Duration;

use cosmos_event_store::http::{BindError, Service, ServiceOptions};
use cosmos_local::{Fault, FaultAction};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::service::{Served, until};
use crate::fixture::Fixture;

const BODY: &str = r#"{"events":[{"type":"Tested","data":1}]}"#;

#[tokio::test]
async fn only_loopback_is_listened_on() {
    let fixture = Fixture::new().await;
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let options = ServiceOptions::default().with_listen(address.parse().unwrap());
        let error = Service::bind(fixture.store.clone(), options).await.unwrap_err();
        assert!(matches!(error, BindError::NotLoopback { .. }), "{error}");
    }
    let options = ServiceOptions::default().with_listen("127.0.0.1:0".parse().unwrap());
    let service = Service::bind(fixture.store.clone(), options.clone()).await.unwrap();
    let taken = options.with_listen(service.address());
    let error = Service::bind(fixture.store.clone(), taken).await.unwrap_err();
    assert!(matches!(error, BindError::Listen { .. }), "{error}");
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_cut_an_append() {
    // There is room for one connection, so the second one is answered when the first one is over.
    let served =
        Served::with(|store| store, |service| service.with_connections_max(1).with_requests_max(1))
            .await;
    served.hold_appends();
    let socket = served.begin_append("s-1", BODY.len(), BODY).await;
    served.until_in_the_store().await;
    drop(socket);
    served.get("/healthz").await.ok(200);
    // It still counts among the requests in flight.
    served.get("/streams").await.problem(503, "overloaded");
    assert!(served.fixture.events("s-1").await.is_empty());
    served.control().clear_faults();
    until(async || !served.fixture.events("s-1").await.is_empty()).await;
    until(async || served.get("/streams").await.status == 200).await;
}

#[tokio::test]
async fn a_slow_body_is_given_up() {
    let served = Served::with(
        |store| store,
        |service| service.with_body_time_max(Duration::from_millis(100)),
    )
    .await;
    let mut socket = served.begin_append("s-1", 1000, "{").await;
    let mut answer = vec![0; 16];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 408 Req");
}

#[tokio::test]
async fn connections_that_say_nothing_are_closed() {
    let served = Served::with(
        |store| store,
        |service| service.with_idle_time_max(Duration::from_millis(100)),
    )
    .await;
    let ask = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for (said, answered) in [("", ""), ("GET /hea", ""), (ask, "HTTP/1.1 200 OK")] {
        let mut socket = served.socket().await;
        socket.write_all(said.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(answered), "{answer}");
    }
}

#[tokio::test]
async fn too_many_requests_are_refused_at_once() {
    let served = Served::with(|store| store, |service| service.with_requests_max(1)).await;
    let first = served.begin_append("s-1", BODY.len(), "{").await;
    // Its place is taken as soon as the service has read its header.
    until(async || served.get("/streams").await.status != 200).await;
    let answer = served.get("/streams").await;
    answer.problem(503, "overloaded");
    assert_eq!(answer.header("retry-after"), "1");
    served.get("/healthz").await.ok(200);
    served.get("/readyz").await.ok(200);
    assert_eq!(served.get("/metrics").await.status, 200);
    drop(first);
    until(async || served.get("/streams").await.status == 200).await;
    served.post("s-1", &json!({"events": [{"type": "Tested", "data": 1}]})).await.ok(201);
}

#[tokio::test]
async fn a_read_keeps_its_place_until_it_is_answered() {
    let served = Served::with(|store| store, |service| service.with_requests_max(1)).await;
    served.post("s-1", &json!({"events": [{"type": "Tested", "data": 1}]})).await.ok(201);
    // The store does not answer a point read, and the SDK asks again and again.
    let held = Fault::new(FaultAction::DropBefore).on_kind("read_item");
    served.control().inject(held).unwrap();
    let before = served.control().counts().of("read_item");
    let mut reading = served.socket().await;
    let ask = "GET /streams/s-1/events/1 HTTP/1.1\r\nhost: localhost\r\n\r\n";
    reading.write_all(ask.as_bytes()).await.unwrap();
    until(async || served.control().counts().of("read_item") > before).await;
    served.get("/streams").await.problem(503, "overloaded");
    served.control().clear_faults();
    let mut answer = [0; 12];
    reading.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    until(async || served.get("/streams").await.status == 200).await;
}

#[tokio::test]
async fn a_body_that_is_said_to_be_huge_is_not_asked_for() {
    let served = Served::new().await;
    let mut socket = served.socket().await;
    let head = "POST /streams/s-1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: \
                application/json\r\nexpect: 100-continue\r\ncontent-length: 99999999999\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

//! The end of the service.

use std::time::Duration;

use cosmos_event_store::http::ServeError;
use cosmos_local::{Fault, FaultAction};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::service::{Served, until};

const BODY: &str = r#"{"events":[{"type":"Tested","data":1}]}"#;

#[tokio::test]
async fn requests_in_flight_end_and_new_ones_are_refused() {
    let served = Served::new().await;
    let mut idle = served.socket().await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = [0; 15];
    idle.read_exact(&mut answer).await.unwrap();
    served.hold_appends();
    let mut socket = served.begin_append("s-1", BODY.len(), BODY).await;
    served.until_in_the_store().await;
    served.stop.cancel();
    // The idle connection is closed while the other one still waits for its answer.
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    let address = served.base.strip_prefix("http://").unwrap().to_owned();
    until(async || TcpStream::connect(&address).await.is_err()).await;
    served.control().clear_faults();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"), "{answer}");
    served.serving.await.unwrap().unwrap();
    assert_eq!(served.fixture.events("s-1").await.len(), 1);
}

#[tokio::test]
async fn appends_without_a_client_are_waited_for() {
    let served = Served::new().await;
    served.hold_appends();
    let socket = served.begin_append("s-1", BODY.len(), BODY).await;
    served.until_in_the_store().await;
    drop(socket);
    served.stop.cancel();
    let address = served.base.strip_prefix("http://").unwrap().to_owned();
    until(async || TcpStream::connect(&address).await.is_err()).await;
    served.control().clear_faults();
    served.serving.await.unwrap().unwrap();
    assert_eq!(served.fixture.events("s-1").await.len(), 1);
}

#[tokio::test]
async fn what_does_not_end_is_cut_off() {
    let served = Served::with(
        |store| store,
        |service| service.with_drain_time_max(Duration::from_millis(100)),
    )
    .await;
    let delay = Fault::new(FaultAction::Delay { ms: 20_000 });
    served.control().inject(delay.on_kind("batch")).unwrap();
    let _socket = served.begin_append("s-1", BODY.len(), BODY).await;
    served.until_in_the_store().await;
    served.stop.cancel();
    let ended = served.serving.await.unwrap();
    assert!(matches!(ended, Err(ServeError::Deadline { unfinished: 1 })), "{ended:?}");
}

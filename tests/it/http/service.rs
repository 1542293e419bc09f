//! A service on a store of its own, for one test, and the client for it.

use std::time::Duration;

use cosmos_event_store::{
    StoreOptions,
    http::{ServeError, Service, ServiceOptions},
};
use cosmos_local::{Control, Fault, FaultAction};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::fixture::Fixture;

pub(super) const JSON: &str = "application/json";

pub(super) struct Served {
    pub(super) fixture: Fixture,
    pub(super) base: String,
    pub(super) stop: CancellationToken,
    pub(super) serving: JoinHandle<Result<(), ServeError>>,
    client: Client,
}

/// How long a test waits for what should happen within moments.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until it is so.
pub(super) async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it did not happen");
}

/// An answer with its body read.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: reqwest::header::HeaderMap,
    pub(super) text: String,
}

impl Served {
    pub(super) async fn new() -> Self {
        Self::with(|store| store, |service| service).await
    }

    pub(super) async fn with(
        store: impl FnOnce(StoreOptions) -> StoreOptions,
        service: impl FnOnce(ServiceOptions) -> ServiceOptions,
    ) -> Self {
        Self::of(Fixture::with(store).await, service).await
    }

    /// A service on a store that is there.
    pub(super) async fn of(
        fixture: Fixture,
        service: impl FnOnce(ServiceOptions) -> ServiceOptions,
    ) -> Self {
        let options = ServiceOptions::default().with_listen("127.0.0.1:0".parse().unwrap());
        let service = Service::bind(fixture.store.clone(), service(options)).await.unwrap();
        let base = format!("http://{}", service.address());
        let stop = CancellationToken::new();
        let serving = tokio::spawn(service.serve(stop.clone()));
        Self { fixture, base, stop, serving, client: Client::new() }
    }

    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    pub(super) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        send(with_headers(self.request(Method::GET, path), headers)).await
    }

    /// Appends to a stream.
    pub(super) async fn post(&self, stream: &str, body: &Value) -> Answer {
        self.post_with(stream, body, &[]).await
    }

    pub(super) async fn post_with(
        &self,
        stream: &str,
        body: &Value,
        headers: &[(&str, &str)],
    ) -> Answer {
        self.post_text(stream, JSON, body.to_string(), headers).await
    }

    pub(super) async fn post_text(
        &self,
        stream: &str,
        kind: &str,
        body: impl Into<reqwest::Body>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let path = format!("/streams/{stream}/events");
        let request = self.request(Method::POST, &path).header("content-type", kind);
        send(with_headers(request, headers).body(body)).await
    }

    /// Lets every append be lost on its way to the store, which repeats it, until the faults are cleared.
    pub(super) fn hold_appends(&self) {
        self.control().inject(Fault::new(FaultAction::DropBefore).on_kind("batch")).unwrap();
    }

    /// Waits until an append has reached the store.
    pub(super) async fn until_in_the_store(&self) {
        until(async || self.control().counts().of("batch") > 0).await;
    }

    pub(super) fn control(&self) -> &Control {
        self.fixture.control()
    }

    /// A connection on which a test writes what it likes.
    pub(super) async fn socket(&self) -> TcpStream {
        TcpStream::connect(self.base.strip_prefix("http://").unwrap()).await.unwrap()
    }

    /// The beginning of an append on a connection of its own.
    pub(super) async fn begin_append(&self, stream: &str, length: usize, body: &str) -> TcpStream {
        let mut socket = self.socket().await;
        let head = format!(
            "POST /streams/{stream}/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: \
             {JSON}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        socket
    }
}

fn with_headers(request: RequestBuilder, headers: &[(&str, &str)]) -> RequestBuilder {
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
}

pub(super) async fn send(request: RequestBuilder) -> Answer {
    let answer: Response = request.send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    Answer { status: StatusCode::as_u16(&status), headers, text: answer.text().await.unwrap() }
}

impl Answer {
    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// It must be this status with a good body.
    #[track_caller]
    pub(super) fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), JSON);
        self.json()
    }

    /// It must be a problem of this status and type.
    #[track_caller]
    pub(super) fn problem(&self, status: u16, slug: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["type"], format!("/problems/{slug}"), "{problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["instance"], self.header("x-request-id"));
        assert!(problem["title"].is_string() && problem["detail"].is_string());
        problem
    }
}

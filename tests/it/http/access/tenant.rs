//! A tenant: the server of its key set, in this process.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use cosmos_event_store::http::access::EntraOptions;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::{net::TcpListener, sync::Notify, task::JoinSet};

use super::token::{AUDIENCE, SigningKey};

/// Its id.
pub(super) const TENANT: &str = "8f5d1e06-1c2b-4a7d-9f3e-5b6c7d8e9f01";

/// How the server answers.
#[derive(Clone)]
pub(super) enum Answering {
    /// With a status and a text.
    With(u16, String),
    /// With a redirect to another place.
    Elsewhere(String),
    /// Not before it is told to, with [`Tenant::release`].
    Held(String),
}

pub(super) struct Tenant {
    base: String,
    state: Arc<State>,
    /// Ends with the tenant.
    _serving: JoinSet<()>,
}

struct State {
    answering: Mutex<Answering>,
    asked: AtomicU64,
    released: Notify,
}

impl Tenant {
    /// A tenant that signs with these keys.
    pub(super) async fn with(keys: &[(&str, &SigningKey)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State {
            answering: Mutex::new(Answering::With(200, key_set(keys))),
            asked: AtomicU64::new(0),
            released: Notify::new(),
        });
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, state.clone()));
        Self { base, state, _serving: serving }
    }

    /// What a service says that takes its tokens.
    pub(super) fn options(&self) -> EntraOptions {
        let options = EntraOptions::new(TENANT, [AUDIENCE]).unwrap();
        let options = options.with_issuer(issuer()).unwrap();
        options.with_keys_url(&format!("{}/keys", self.base)).unwrap()
    }

    /// Signs with these keys from now on.
    pub(super) fn rotate(&self, keys: &[(&str, &SigningKey)]) {
        self.answer(Answering::With(200, key_set(keys)));
    }

    pub(super) fn answer(&self, answering: Answering) {
        *self.state.answering.lock().unwrap() = answering;
    }

    /// Answers one request that is held.
    pub(super) fn release(&self) {
        self.state.released.notify_one();
    }

    /// How often it was asked for its keys.
    pub(super) fn asked(&self) -> u64 {
        self.state.asked.load(Ordering::Relaxed)
    }
}

/// Who signs its tokens.
pub(super) fn issuer() -> String {
    format!("https://login.example/{TENANT}/v2.0")
}

/// The text of a key set.
pub(super) fn key_set(keys: &[(&str, &SigningKey)]) -> String {
    let keys: Vec<_> = keys.iter().map(|(kid, key)| key.public(kid)).collect();
    json!({ "keys": keys }).to_string()
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let state = state.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| answer(request, state.clone()));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(socket), service);
            // A client that goes away is a part of some tests.
            let _ended = connection.await.is_ok();
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<State>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    assert_eq!(request.uri().path(), "/keys");
    state.asked.fetch_add(1, Ordering::Relaxed);
    let answering = state.answering.lock().unwrap().clone();
    let mut answer = Response::builder();
    let text = match answering {
        Answering::With(status, text) => {
            answer = answer.status(status);
            text
        }
        Answering::Elsewhere(place) => {
            answer = answer.status(302).header("location", place);
            String::new()
        }
        Answering::Held(text) => {
            state.released.notified().await;
            text
        }
    };
    Ok(answer.body(Full::new(text.into())).unwrap())
}

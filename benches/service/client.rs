//! Clients over HTTP: one connection each, one request after the other.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, StatusCode, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::{net::TcpStream, sync::Mutex, task::JoinSet};

use crate::{
    TASKS,
    rates::{contact, counters, per_second, place},
};

type Sender = Mutex<http1::SendRequest<Full<Bytes>>>;

/// A connection for each task.
pub(crate) struct Clients {
    senders: Arc<Vec<Sender>>,
    done: Arc<Vec<AtomicU64>>,
    /// Drives the connections; they end with it.
    _connections: JoinSet<hyper::Result<()>>,
}

impl Clients {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let mut connections = JoinSet::new();
        let mut senders = Vec::new();
        for _ in 0..TASKS {
            let stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
            connections.spawn(connection);
            senders.push(Mutex::new(sender));
        }
        Self { senders: Arc::new(senders), done: counters(), _connections: connections }
    }

    /// Appends of one event at a definite version.
    pub(crate) async fn appends_per_second(&self, time: Duration) -> f64 {
        let (senders, done) = (Arc::clone(&self.senders), Arc::clone(&self.done));
        per_second(time, move |task| {
            let senders = Arc::clone(&senders);
            let number = done[task].fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                let (stream, version) = place("http", task, number);
                let event = json!({"type": "ContactDetailsSet", "data": contact(number)});
                let body = json!({"expectedVersion": version, "events": [event]});
                let path = format!("/streams/{stream}/events");
                let status = post(&senders[task], &path, &body.to_string()).await;
                assert_eq!(status, StatusCode::CREATED);
            })
        })
        .await
    }
}

async fn post(sender: &Sender, path: &str, body: &str) -> StatusCode {
    let request = Request::post(path)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
        .unwrap();
    let mut sender = sender.lock().await;
    sender.ready().await.unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let status = answer.status();
    answer.into_body().collect().await.unwrap();
    status
}

//! A server that answers every request of the SDK at once with a fixed body and does nothing else.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt, Collected, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const CONTAINER_RID: &str = "AQAAAIAAAAE=";

pub(crate) struct NullServer {
    endpoint: String,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<()>,
}

impl NullServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let served = tokio::spawn(serve(listener, endpoint.clone(), stop.clone()));
        Self { endpoint, stop, served }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.served.await.unwrap();
    }
}

async fn serve(listener: TcpListener, endpoint: String, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted.unwrap().0,
        };
        stream.set_nodelay(true).unwrap();
        let endpoint = endpoint.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| answer(request, endpoint.clone()));
            // A client that goes away is no concern of a server that does nothing.
            let _gone = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await
                .is_err();
        });
    }
    connections.shutdown().await;
}

async fn answer(
    request: Request<Incoming>,
    endpoint: String,
) -> Result<Response<Full<Bytes>>, Infallible> {
    // The SDK reads the ranges until there are no newer ones.
    let known = request.headers().contains_key(IF_NONE_MATCH);
    let query = request
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/query+json"));
    let path = request.uri().path().trim_matches('/').to_owned();
    let body = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
    let answer = match path.rsplit('/').next() {
        Some("docs") if query => {
            json!({"_rid": CONTAINER_RID, "Documents": [], "_count": 0}).to_string()
        }
        Some("docs") => return Ok(respond(batch_results(&body))),
        Some("pkranges") if known => {
            let mut unchanged = respond(Bytes::new());
            *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
            return Ok(unchanged);
        }
        Some("pkranges") => pkranges(),
        Some("events") => container(),
        Some("bench") => json!({"id": "bench", "_rid": "AQAAAA=="}).to_string(),
        _ => account(&endpoint),
    };
    Ok(respond(Bytes::from(answer)))
}

fn respond(body: Bytes) -> Response<Full<Bytes>> {
    Response::builder()
        .status(StatusCode::OK)
        .header(CONTENT_TYPE, "application/json")
        .header(ETAG, "\"1\"")
        .header("x-ms-request-charge", "1")
        .header("x-ms-session-token", "0:-1#1")
        .body(Full::new(body))
        .unwrap()
}

/// A created item for each operation.
fn batch_results(body: &[u8]) -> Bytes {
    const RESULT: &[u8] = br#"{"statusCode":201,"requestCharge":1,"eTag":"\"1\""}"#;
    let needle = br#""operationType":"#;
    let operations = body.windows(needle.len()).filter(|window| window == needle).count();
    let mut out = Vec::with_capacity(2 + operations * (RESULT.len() + 1));
    out.push(b'[');
    for number in 0..operations {
        if number > 0 {
            out.push(b',');
        }
        out.extend_from_slice(RESULT);
    }
    out.push(b']');
    Bytes::from(out)
}

fn account(endpoint: &str) -> String {
    let region = json!([{"name": "Local", "databaseAccountEndpoint": endpoint}]);
    json!({
        "id": "null", "_rid": "null", "_self": "",
        "writableLocations": region, "readableLocations": region,
        "enableMultipleWriteLocations": false,
        "userConsistencyPolicy": {"defaultConsistencyLevel": "Session"},
        "queryEngineConfiguration": "{}"
    })
    .to_string()
}

fn container() -> String {
    json!({
        "id": "events", "_rid": CONTAINER_RID, "_self": "dbs/AQAAAA==/colls/AQAAAIAAAAE=/",
        "_etag": "\"1\"", "_ts": 1,
        "partitionKey": {"paths": ["/aggregateId"], "kind": "Hash", "version": 2},
        "indexingPolicy": {"indexingMode": "consistent", "automatic": true}
    })
    .to_string()
}

fn pkranges() -> String {
    let range = json!({
        "id": "0", "_rid": "AQAAAIAAAAEAAAAAAAAAUA==", "minInclusive": "", "maxExclusive": "FF",
        "status": "online", "parents": []
    });
    json!({"_rid": CONTAINER_RID, "PartitionKeyRanges": [range], "_count": 1}).to_string()
}

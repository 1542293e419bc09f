//! The HTTP side of the management port: HTTP/1.1, small JSON bodies, loopback only.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue, ORIGIN};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Control;
use super::api::{self, Answer};

/// Requests are small JSON objects.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// After an accept that failed, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// A client that sends nothing is not waited for much longer than that.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves the management port until `stop`, then ends the requests that have begun.
pub(crate) async fn serve(
    listener: TcpListener,
    control: Control,
    health: Value,
    stop: CancellationToken,
) -> io::Result<()> {
    let shared = Arc::new((control, health));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_ended) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _peer)) => {
                    connections.spawn(connection(stream, Arc::clone(&shared), stop.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "the management port could not accept a connection");
                    tokio::select! {
                        () = stop.cancelled() => break,
                        () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                    }
                }
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
    Ok(())
}

async fn connection(stream: TcpStream, shared: Arc<(Control, Value)>, stop: CancellationToken) {
    let service = service_fn(move |request| respond(Arc::clone(&shared), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the management port failed");
    }
}

async fn respond(
    shared: Arc<(Control, Value)>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let answer = if is_from_a_page(&parts.headers) {
        Answer::error(403, "requests of web pages are refused")
    } else {
        match Limited::new(body, BODY_BYTES_MAX).collect().await {
            Ok(body) => {
                let (control, health) = &*shared;
                let (method, path) = (parts.method.as_str(), parts.uri.path());
                api::answer(control, health, method, path, &body.to_bytes()).await
            }
            Err(_) => Answer::error(400, "the body is too large or incomplete"),
        }
    };
    let mut text = answer.body.to_string();
    text.push('\n');
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// A page in a browser on this machine can reach the port, directly or through a host name that
/// resolves to loopback. Tools send neither an origin nor a foreign host.
fn is_from_a_page(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).map(|host| host.to_str().unwrap_or_default());
    let name = host.map(|host| match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    });
    headers.contains_key(ORIGIN)
        || name.is_some_and(|name| !matches!(name, "127.0.0.1" | "localhost" | "[::1]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tools_are_answered() {
        let check = |name: &'static str, value: &'static str, expected: bool| {
            let headers = HeaderMap::from_iter([(
                hyper::header::HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )]);
            assert_eq!(is_from_a_page(&headers), expected, "{name}: {value}");
        };
        check("host", "127.0.0.1:8082", false);
        check("host", "localhost", false);
        check("host", "[::1]:8082", false);
        check("host", "evil.example:8082", true);
        check("host", "127.0.0.1.evil.example", true);
        check("origin", "http://evil.example", true);
        assert!(!is_from_a_page(&HeaderMap::new()));
    }
}

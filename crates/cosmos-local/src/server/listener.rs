//! Accepts connections and serves them until told to stop.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::dispatch::Dispatcher;
use crate::state::ServerState;

/// How long requests in progress may take after the stop, before their connections are cut.
const DRAIN: Duration = Duration::from_secs(5);
/// Pause after a failed accept: the usual reason is that file descriptors ran out.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);
/// Requests at once on one HTTP/2 connection. The clients of a benchmark share a few connections.
const STREAMS_MAX: u32 = 1024;
/// Flow-control window of an HTTP/2 connection: two of the largest items may be on their way.
const WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// Serves connections until `cancel`, then lets requests in progress finish, within a deadline.
///
/// When it returns, every task that it started has ended.
///
/// # Errors
///
/// None at present: a connection that fails concerns only its client, and accepting goes on.
pub(crate) async fn serve(
    listener: TcpListener,
    state: Arc<ServerState>,
    cancel: CancellationToken,
) -> io::Result<()> {
    let tasks = TaskTracker::new();
    let dispatcher = Arc::new(Dispatcher::new(state));
    let mut builder = Builder::new(Tracked(tasks.clone()));
    // Clients keep idle connections and expect to find them open: a time-out here would make them
    // send a request into a connection that is being closed.
    builder.http1().header_read_timeout(None);
    builder
        .http2()
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES);
    let builder = Arc::new(builder);
    let cut = CancellationToken::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _peer)) => {
                let connection = Connection {
                    builder: Arc::clone(&builder),
                    dispatcher: Arc::clone(&dispatcher),
                    cancel: cancel.clone(),
                    cut: cut.clone(),
                };
                tasks.spawn(connection.run(stream));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::select! {
                    biased;
                    () = cancel.cancelled() => break,
                    () = tokio::time::sleep(ACCEPT_RETRY) => {}
                }
            }
        }
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(DRAIN, tasks.wait()).await.is_err() {
        tracing::warn!("connections were cut because their requests did not end in time");
        cut.cancel();
        tasks.wait().await;
    }
    Ok(())
}

/// Runs the tasks of HTTP/2 connections where the server waits for them.
#[derive(Debug, Clone)]
struct Tracked(TaskTracker);

impl<F> Executor<F> for Tracked
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

struct Connection {
    builder: Arc<Builder<Tracked>>,
    dispatcher: Arc<Dispatcher>,
    cancel: CancellationToken,
    /// Ends the connection at once.
    cut: CancellationToken,
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        // Small answers must not wait for more data; a socket without the option still works.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let dispatcher = self.dispatcher;
        let service = service_fn(move |request| {
            let dispatcher = Arc::clone(&dispatcher);
            async move { dispatcher.answer(request).await }
        });
        let mut connection = pin!(self.builder.serve_connection(TokioIo::new(stream), service));
        let mut is_draining = false;
        let outcome = loop {
            tokio::select! {
                biased;
                () = self.cut.cancelled() => return,
                () = self.cancel.cancelled(), if !is_draining => {
                    is_draining = true;
                    connection.as_mut().graceful_shutdown();
                }
                outcome = connection.as_mut() => break outcome,
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "a connection ended with an error");
        }
    }
}

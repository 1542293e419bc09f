//! Connections: accepted within a bound, ended within a deadline.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{limits::ServiceOptions, shared::Ending};

/// How long accepting waits when the operating system has no sockets left: others may close theirs.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The connections of a service.
pub(super) struct Connections {
    ending: Ending,
    idle_time_max: Duration,
    drain_time_max: Duration,
    tasks: TaskTracker,
    places: Arc<Semaphore>,
}

impl Connections {
    pub(super) fn new(ending: Ending, options: &ServiceOptions) -> Self {
        let places = Arc::new(Semaphore::new(options.connections_max));
        let (idle_time_max, drain_time_max) = (options.idle_time_max, options.drain_time_max);
        Self { ending, idle_time_max, drain_time_max, tasks: TaskTracker::new(), places }
    }

    /// Accepts connections until it is told to stop.
    pub(super) async fn accept(
        &self,
        listener: &TcpListener,
        app: Router,
        stop: &CancellationToken,
    ) {
        loop {
            let next = async {
                let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
                Some((listener.accept().await, place))
            };
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                next = next => next,
            };
            match accepted {
                Some((Ok((socket, _)), place)) => self.begin(socket, app.clone(), place),
                Some((Err(error), _)) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                    }
                }
                None => return,
            }
        }
    }

    fn begin(&self, socket: TcpStream, app: Router, place: OwnedSemaphorePermit) {
        // An answer is one write; waiting for more to send with it would only delay it.
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "cannot set an option of a connection");
        }
        let stopping = self.ending.stopping.clone();
        let abort = self.ending.abort.clone();
        let idle = self.idle_time_max;
        self.tasks.spawn(async move {
            let _place = place;
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(idle);
            let service = TowerToHyperService::new(app);
            let mut connection =
                std::pin::pin!(http.serve_connection(TokioIo::new(socket), service));
            let ended = tokio::select! {
                biased;
                () = abort.cancelled() => return,
                ended = connection.as_mut() => ended,
                () = stopping.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    tokio::select! {
                        biased;
                        () = abort.cancelled() => return,
                        ended = connection.as_mut() => ended,
                    }
                }
            };
            if let Err(error) = ended {
                // Clients go away; that is not a failure of the service.
                tracing::debug!(%error, "a connection broke");
            }
        });
    }

    /// Waits for what has begun, within the deadline, and then ends it. Says how much was cut off.
    pub(super) async fn drain(&self) -> usize {
        self.tasks.close();
        self.ending.writes.close();
        let ended = async {
            self.tasks.wait().await;
            self.ending.writes.wait().await;
        };
        if tokio::time::timeout(self.drain_time_max, ended).await.is_ok() {
            return 0;
        }
        let unfinished = self.tasks.len().max(self.ending.writes.len());
        self.ending.abort.cancel();
        self.tasks.wait().await;
        self.ending.writes.wait().await;
        unfinished
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        // For a `serve` that was dropped: its tasks end by themselves.
        self.ending.abort.cancel();
    }
}

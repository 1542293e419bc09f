//! The HTTP service: the event store for any language.
//!
//! Invariants:
//!
//! - Where nobody asks callers who they are, the service listens on loopback only, and answers only what is
//!   sent to a name of loopback; see [`access`].
//! - Every answer carries a request id, and every error is a problem document (RFC 9457), also those of
//!   the router. A problem never has the text of a failure below it.
//! - An append that has begun is not cut when its client goes away: it runs in a task of its own, which
//!   the end of the service waits for.
//! - Connections, requests in flight, bodies, pages, feeds and waits are bounded; see [`limits`].
//!
//! This module is the only one with status codes. It knows no rules of a domain; those of quotes are in
//! [`crate::quotes`]. A part of the interface is a `router::Routes`: a router, its description and its
//! types of problems; the parts are put together in `router`.

pub mod access;
mod answer;
mod body;
mod cloudevents;
mod connections;
mod etag;
mod feed;
pub mod figures;
pub mod functions;
mod health;
mod host;
mod idempotency;
mod lag;
pub mod limits;
mod links;
mod media;
mod metrics;
mod observe;
mod openapi;
mod parameters;
mod problem;
mod quotes;
mod read_models;
mod request_id;
mod router;
mod security;
mod shared;
mod streams;
mod trace;

use std::{io, net::SocketAddr};

use axum::Router;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::{
    connections::Connections,
    shared::{Inner, Shared},
};
pub use self::{idempotency::EVENT_ID_NAMESPACE, limits::ServiceOptions};
use crate::{store::EventStore, telemetry::figures::Figure};

/// Why the service does not listen.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// Without a check of callers the service is for this machine only.
    #[error(
        "with `access` = none the service listens on loopback only, not on {address}: set `access` to keys, \
         entra or keys,entra"
    )]
    NotLoopback {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// Without a check of callers the service is for names of this machine only.
    #[error(
        "with `access` = none the service answers for loopback only: without `hosts`, or set `access` to \
         keys, entra or keys,entra"
    )]
    HostsWithoutAccess,
    /// A name that no host can have.
    #[error(
        "`hosts` takes names of hosts such as events.example.com, without scheme, port and path: not {host:?}"
    )]
    Host {
        /// What was given.
        host: String,
    },
    /// The address cannot be taken.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Why the service did not end as it should.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Requests that had begun did not end in time and were cut off. What was acknowledged is stored;
    /// whether the others are, their clients find out by repeating them.
    #[error("{unfinished} requests or appends did not end in time and were cut off")]
    Deadline {
        /// How many there were.
        unfinished: usize,
    },
}

/// A service that listens. [`serve`](Self::serve) answers.
///
/// ```no_run
/// use cosmos_event_store::{EventStore, http::{Service, ServiceOptions}};
/// use tokio_util::sync::CancellationToken;
///
/// # async fn example(store: EventStore) -> Result<(), Box<dyn std::error::Error>> {
/// let stop = CancellationToken::new();
/// let service = Service::bind(store, ServiceOptions::default()).await?;
/// println!("http://{}", service.address());
/// service.serve(stop).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Service {
    listener: TcpListener,
    address: SocketAddr,
    shared: Shared,
}

impl Service {
    /// Listens on [`ServiceOptions::listen`]. Nothing is answered before [`serve`](Self::serve).
    ///
    /// # Errors
    ///
    /// Those of [`ServiceOptions::check_listen`], and [`BindError::Listen`] for an address that cannot be
    /// taken.
    pub async fn bind(store: EventStore, options: ServiceOptions) -> Result<Self, BindError> {
        let address = options.listen;
        options.check_listen()?;
        let listen = |source| BindError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        Ok(Self { listener, address, shared: Inner::new(store, options) })
    }

    /// The address that it listens on, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What is told at `/metrics`, for who exports it in another way.
    pub fn figures(&self) -> impl Fn() -> Vec<Figure> + Send + Sync + use<> {
        let shared = Shared::clone(&self.shared);
        move || metrics::figures(&shared)
    }

    /// Answers until it is told to stop. Then it takes no more connections, lets requests and appends
    /// that have begun end within [`ServiceOptions::drain_time_max`], and waits for every task.
    ///
    /// # Errors
    ///
    /// [`ServeError::Deadline`] when something had to be cut off.
    ///
    /// # Cancel safety
    ///
    /// Cancel `stop` instead of dropping the future: tasks that it has started are ended, but not waited
    /// for, when it is dropped.
    pub async fn serve(self, stop: CancellationToken) -> Result<(), ServeError> {
        let app = router::app(&self.shared);
        self.answer(app, stop).await
    }

    /// Answers as [`serve`](Self::serve) does, but only `/healthz`, `/readyz`, `/metrics` and `/lag`: for a program
    /// that is watched and serves nothing else. Who may ask is the same.
    ///
    /// # Errors
    ///
    /// [`ServeError::Deadline`] when something had to be cut off.
    ///
    /// # Cancel safety
    ///
    /// As of [`serve`](Self::serve).
    pub async fn serve_watched(self, stop: CancellationToken) -> Result<(), ServeError> {
        let app = router::watched(&self.shared);
        self.answer(app, stop).await
    }

    async fn answer(self, app: Router, stop: CancellationToken) -> Result<(), ServeError> {
        let connections = Connections::new(self.shared.ending(), &self.shared.options);
        connections.accept(&self.listener, app, &stop).await;
        self.shared.stopping.cancel();
        drop(self.listener);
        let unfinished = connections.drain().await;
        self.shared.quotes.close().await;
        match unfinished {
            0 => Ok(()),
            unfinished => Err(ServeError::Deadline { unfinished }),
        }
    }
}

//! The figures of a worker over HTTP, where somebody wants them.

use std::{net::SocketAddr, time::Duration};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::figures::Figures;
use crate::{
    cli::{CliError, settings::AccessSettings},
    feed::lag::LagReader,
    http::{ServeError, Service, ServiceOptions},
    store::EventStore,
};

/// How long somebody who is asking for figures may keep a worker from ending.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(1);

/// A service that answers in a task of its own: a worker whose output nobody reads stands still.
#[derive(Debug)]
pub(super) struct Watched {
    url: String,
    stop: CancellationToken,
    serving: JoinSet<Result<(), ServeError>>,
}

/// How the service listens.
pub(super) fn options(
    address: SocketAddr,
    access: &AccessSettings,
) -> Result<ServiceOptions, CliError> {
    let options = ServiceOptions::default().with_listen(address);
    let options = access.of(options.with_drain_time_max(DRAIN_TIME_MAX))?;
    options.check_listen()?;
    Ok(options)
}

impl Watched {
    /// Listens, and answers from now on.
    pub(super) async fn start(
        options: ServiceOptions,
        store: EventStore,
        figures: Figures,
        lag: LagReader,
    ) -> Result<Self, CliError> {
        let standing = figures.clone();
        let options = options
            .with_lag(lag)
            .with_standstill(move || standing.idleness())
            .with_figures(move || figures.now());
        let service = Service::bind(store, options).await?;
        let url = format!("http://{}/metrics", service.address());
        let (stop, mut serving) = (CancellationToken::new(), JoinSet::new());
        serving.spawn(service.serve_watched(stop.clone()));
        Ok(Self { url, stop, serving })
    }

    /// Where the figures are.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Answers what was asked, and ends.
    pub(super) async fn end(mut self) {
        self.stop.cancel();
        while let Some(served) = self.serving.join_next().await {
            match served {
                Ok(Ok(())) => {}
                // Whoever watches asks again; it is no fault of the worker.
                Ok(Err(error)) => tracing::debug!(%error, "an answer was cut off"),
                Err(error) => {
                    tracing::error!(panicked = error.is_panic(), "figures were not served");
                }
            }
        }
    }
}

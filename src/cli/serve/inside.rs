//! The worker inside of `serve`. It shares a processor with whoever else runs one, and learns of the
//! service's own appends at once.
//!
//! The service needs no worker: whatever is wrong with it is said, and the service goes on.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    cli::{
        CliError,
        target::Account,
        worker::{
            counting::Counting,
            figures::Figures,
            host::{SHUTDOWN_TIME_MAX, Work},
            receiver::{EXPECTED, Receiver},
        },
    },
    store::EventStore,
};

/// Before a worker that cannot run is started again: what is in its way rarely passes sooner, and the
/// service's own requests are not to suffer from it.
const RESTART_WAIT: Duration = Duration::from_secs(5);

/// Where the worker inside delivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum To {
    /// There is no worker.
    None,
    Receiver(Receiver),
}

/// Reads where the worker inside delivers.
pub(super) fn parse_to(text: &str) -> Result<To, String> {
    match text {
        "none" => Ok(To::None),
        "stdout" => {
            Err("what serve says goes to standard output: take count, a URL or none, and run \
                         `cosmos-es worker --to stdout` with a --processor of its own"
                .to_owned())
        }
        other => match Receiver::parse(other) {
            Some(receiver) => Ok(To::Receiver(receiver)),
            None => Err(format!("expected count, none, or {EXPECTED}")),
        },
    }
}

/// A worker, before it runs.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) receiver: Receiver,
    pub(super) processor: String,
    pub(super) instance: String,
}

impl Worker {
    /// Checks what would be found only later.
    pub(super) fn check(&self) -> Result<(), CliError> {
        Ok(self.receiver.options(&self.instance).check()?)
    }

    /// Works until it is told to stop, and then finishes what it has begun.
    pub(super) async fn run(
        &self,
        account: &Account,
        store: &EventStore,
        figures: &Figures,
        stop: &CancellationToken,
    ) {
        let counting = Arc::default();
        let mut said = None;
        while let Err(error) = Box::pin(self.work(account, store, figures, &counting, stop)).await {
            let reason = error.one_line();
            if matches!(error, CliError::Usage(_)) {
                tracing::warn!(reason, "the service goes on without a worker");
                return;
            }
            if said.as_ref() != Some(&reason) {
                tracing::warn!(reason, "the worker cannot run, and is started again");
            }
            said = Some(reason);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = tokio::time::sleep(RESTART_WAIT) => {}
            }
        }
        let tally = counting.tally();
        tracing::info!(events = tally.events, streams = tally.streams, "the worker has stopped");
    }

    async fn work(
        &self,
        account: &Account,
        store: &EventStore,
        figures: &Figures,
        counting: &Arc<Counting>,
        stop: &CancellationToken,
    ) -> Result<(), CliError> {
        let handler = self.receiver.handler(counting)?;
        let options = self.receiver.options(&self.instance);
        let work = Work { processor: self.processor.clone(), options, figures: figures.clone() };
        let work = work.at(account);
        let mut host = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            host = Box::pin(work.start(account, handler, Some(store.appends()))) => host?,
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            error = host.failed() => return Err(error),
        }
        host.shutdown(SHUTDOWN_TIME_MAX).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worker_inside_leaves_standard_output_alone() {
        assert_eq!(parse_to("none"), Ok(To::None));
        assert_eq!(parse_to("count"), Ok(To::Receiver(Receiver::Count)));
        assert!(matches!(parse_to("http://a/?code=x"), Ok(To::Receiver(Receiver::Url(_)))));
        assert!(parse_to("stdout").unwrap_err().contains("standard output"));
        assert!(parse_to("ftp://a/").unwrap_err().contains("none"));
    }
}

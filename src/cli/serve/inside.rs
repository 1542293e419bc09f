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
            counting::{Counting, Tally},
            figures::Figures,
            host::{SHUTDOWN_TIME_MAX, Work},
            receiver::{EXPECTED, Receiver},
            views::{Kept, keep},
        },
    },
    feed::ProcessorOptions,
    projection::ReadModels,
    store::EventStore,
};

/// Before a worker that cannot run is started again: what is in its way rarely passes sooner, and the
/// service's own requests are not to suffer from it.
const RESTART_WAIT: Duration = Duration::from_secs(5);

/// Where the worker inside delivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum To {
    /// There is no worker.
    None,
    /// It keeps read models up to date.
    Views,
    Receiver(Receiver),
}

/// Reads where the worker inside delivers.
pub(in crate::cli) fn parse_to(text: &str) -> Result<To, String> {
    match text {
        "none" => Ok(To::None),
        "views" => Ok(To::Views),
        "stdout" => Err(
            "what serve says goes to standard output: take views, count, a URL or none, and run \
                         `cosmos-es worker --to stdout` with a --processor of its own"
                .to_owned(),
        ),
        other => match Receiver::parse(other) {
            Some(receiver) => Ok(To::Receiver(receiver)),
            None => Err(format!("expected views, count, none, or {EXPECTED}")),
        },
    }
}

/// A worker, before it runs.
#[derive(Debug)]
pub(in crate::cli) struct Worker {
    pub(in crate::cli) kind: Kind,
    pub(in crate::cli) instance: String,
}

/// What a worker does.
#[derive(Debug)]
pub(in crate::cli) enum Kind {
    /// It keeps read models up to date.
    Views,
    /// It delivers events as a host of a processor.
    Receiver { receiver: Receiver, processor: String },
}

impl Worker {
    /// Checks what would be found only later.
    pub(in crate::cli) fn check(&self) -> Result<(), CliError> {
        let options = match &self.kind {
            Kind::Views => ProcessorOptions::new(&self.instance),
            Kind::Receiver { receiver, .. } => receiver.options(&self.instance),
        };
        Ok(options.check()?)
    }

    /// What it is called in front of people.
    pub(in crate::cli) fn shown(&self) -> String {
        match &self.kind {
            Kind::Views => "views".to_owned(),
            Kind::Receiver { receiver, .. } => receiver.shown(),
        }
    }

    /// The processor that it shares, where it is one.
    pub(in crate::cli) fn processor(&self) -> Option<&str> {
        match &self.kind {
            Kind::Views => None,
            Kind::Receiver { processor, .. } => Some(processor),
        }
    }

    /// Works until it is told to stop, and then finishes what it has begun.
    pub(in crate::cli) async fn run(
        &self,
        account: &Account,
        read_models: &ReadModels,
        figures: &Figures,
        stop: &CancellationToken,
    ) {
        let counting = Arc::default();
        let mut said = None;
        let kept = loop {
            let worked = Box::pin(self.once(account, read_models, figures, &counting, stop)).await;
            let error = match worked {
                Ok(kept) => break kept,
                Err(error) => error,
            };
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
                () = stop.cancelled() => break Kept::default(),
                () = tokio::time::sleep(RESTART_WAIT) => {}
            }
        };
        match &self.kind {
            Kind::Views => {
                let Kept { events, documents, .. } = kept;
                tracing::info!(events, documents, "the worker has stopped");
            }
            Kind::Receiver { .. } => {
                let Tally { events, streams } = counting.tally();
                tracing::info!(events, streams, "the worker has stopped");
            }
        }
    }

    async fn once(
        &self,
        account: &Account,
        read_models: &ReadModels,
        figures: &Figures,
        counting: &Arc<Counting>,
        stop: &CancellationToken,
    ) -> Result<Kept, CliError> {
        let store = read_models.store();
        match &self.kind {
            Kind::Views => {
                let appends = Some(store.appends());
                Box::pin(keep(read_models, &self.instance, figures, appends, stop)).await
            }
            Kind::Receiver { receiver, processor } => {
                let deliver = Deliver { receiver, processor, instance: &self.instance };
                deliver.work(account, store, figures, counting, stop).await?;
                Ok(Kept::default())
            }
        }
    }
}

/// A worker that delivers events.
struct Deliver<'a> {
    receiver: &'a Receiver,
    processor: &'a str,
    instance: &'a str,
}

impl Deliver<'_> {
    async fn work(
        &self,
        account: &Account,
        store: &EventStore,
        figures: &Figures,
        counting: &Arc<Counting>,
        stop: &CancellationToken,
    ) -> Result<(), CliError> {
        let handler = self.receiver.handler(counting)?;
        let options = self.receiver.options(self.instance);
        let work = Work { processor: self.processor.to_owned(), options, figures: figures.clone() };
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

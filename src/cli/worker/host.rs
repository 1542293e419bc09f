//! A host of a processor over the events, as `worker` and `serve` run one.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Interval};

use crate::{
    cli::{CliError, processors::LEASES_CONTAINER, target::Account, worker::figures::Figures},
    cosmos::is_loopback,
    feed::{
        Control, CosmosFeed, CosmosLeases, Handler, HostFailed, LeaseStore, Processor,
        ProcessorOptions, documents::Topology, options::POLL_MIN,
    },
    projection::open_events,
};

/// How long a host that is told to stop may finish what it has begun.
pub(in crate::cli) const SHUTDOWN_TIME_MAX: Duration = Duration::from_secs(10);
/// How often it is looked whether the host is in trouble.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What a host works on, and what it is called.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Work {
    /// The name of the processor.
    pub(in crate::cli) processor: String,
    pub(in crate::cli) options: ProcessorOptions,
    /// Where the host can be asked for its figures.
    pub(in crate::cli) figures: Figures,
}

impl Work {
    /// Polls as it is cheap at this endpoint: on loopback asking costs nothing.
    pub(in crate::cli) fn at(mut self, account: &Account) -> Self {
        if is_loopback(&account.options.endpoint) {
            self.options = self.options.with_polls(POLL_MIN, POLL_MIN);
        }
        self
    }

    /// Opens feed and leases, and starts a host, unless the processor does other work. Appends that are
    /// told of have it read at once.
    pub(in crate::cli) async fn start(
        self,
        account: &Account,
        handler: Arc<dyn Handler>,
        appends: Option<watch::Receiver<u64>>,
    ) -> Result<Host, CliError> {
        let feed = open_feed(account).await?;
        let leases = CosmosLeases::open(&account.options, LEASES_CONTAINER, &self.processor);
        let leases: Arc<dyn LeaseStore> = Arc::new(Box::pin(leases).await?);
        let overview = Control::new(Arc::clone(&leases)).overview().await?;
        self.check(overview.topology.as_ref())?;
        let Self { processor, options, .. } = self.clone();
        tracing::debug!(processor, "a host of the processor starts");
        let running = Processor::new(Arc::new(feed), leases, handler, options).start()?;
        self.figures.put(&self.processor, running);
        Ok(Host::new(self, appends))
    }

    /// Refuses a processor whose hosts do something else.
    fn check(&self, topology: Option<&Topology>) -> Result<(), CliError> {
        let mine = self.options.handler_name.as_deref();
        let Some(other) = topology.and_then(|topology| topology.other_handler(mine)) else {
            return Ok(());
        };
        let (processor, mine) = (&self.processor, mine.unwrap_or_default());
        Err(CliError::Usage(format!(
            "the processor {processor:?} does {other:?}, this worker {mine:?}: choose another \
             --processor"
        )))
    }
}

/// Opens the feed of the events.
pub(in crate::cli) async fn open_feed(account: &Account) -> Result<CosmosFeed, CliError> {
    Ok(open_events(&account.options).await?)
}

/// A host that runs, and what was last said of it. It ends at once when it is dropped.
#[derive(Debug)]
pub(in crate::cli) struct Host {
    work: Work,
    appends: Option<watch::Receiver<u64>>,
    look: Interval,
    trouble: Option<String>,
}

impl Host {
    fn new(work: Work, appends: Option<watch::Receiver<u64>>) -> Self {
        let look = tokio::time::interval(LOOK_INTERVAL);
        Self { work, appends, look, trouble: None }
    }

    /// Watches the host until it cannot go on; says what stands in its way meanwhile, and hands hints on.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop and call again.
    pub(in crate::cli) async fn failed(&mut self) -> CliError {
        loop {
            let appended = async {
                match &mut self.appends {
                    Some(appends) => appends.changed().await.is_ok(),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                _ = self.look.tick() => {
                    if let Err(error) = self.look().await {
                        return error;
                    }
                }
                is_open = appended => {
                    self.work.figures.ask(|running| running.hint());
                    if !is_open {
                        self.appends = None;
                    }
                }
            }
        }
    }

    async fn look(&mut self) -> Result<(), CliError> {
        let seen = self.work.figures.ask(|running| {
            let is_there = !running.has_ended();
            is_there.then(|| (running.status().trouble, running.control().clone()))
        });
        let Some((found, control)) = seen.flatten() else { return Err(HostFailed.into()) };
        if found == self.trouble {
            return Ok(());
        }
        if let Some(reason) = &found {
            // Another worker may have made the processor at the same moment, for other work.
            if let Ok(overview) = control.overview().await {
                self.work.check(overview.topology.as_ref())?;
            }
            tracing::warn!(reason, "the worker is in trouble, and goes on trying");
        }
        self.trouble = found;
        Ok(())
    }

    /// Ends the host, within a time.
    pub(in crate::cli) async fn shutdown(self, time: Duration) -> Result<(), CliError> {
        let running = self.work.figures.take().ok_or(HostFailed)?;
        Ok(running.shutdown(time).await?)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Others may keep the place, and a host without an owner must not go on.
        drop(self.work.figures.take());
    }
}

/// The name of the machine and the number of the process.
pub(in crate::cli) fn default_instance() -> String {
    let from_file = |path| std::fs::read_to_string(path).ok();
    let machine = std::env::var("HOSTNAME")
        .or_else(|_| std::env::var("COMPUTERNAME"))
        .ok()
        .or_else(|| from_file("/proc/sys/kernel/hostname"))
        .or_else(|| from_file("/etc/hostname"))
        .unwrap_or_default();
    let machine: String = machine.trim().chars().filter(|c| !c.is_control()).take(64).collect();
    let machine = if machine.is_empty() { "host" } else { &machine };
    format!("{machine}-{}", std::process::id())
}

#[cfg(test)]
mod tests;

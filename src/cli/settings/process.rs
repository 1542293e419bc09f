//! The settings of a process that serves: one structure, which `serve` runs with and `config show` prints.

use std::net::SocketAddr;

use clap::Args;

use super::access::AccessSettings;
use crate::{
    cli::{
        CliError,
        args::{ProcessorArg, Target, TargetArgs, usage},
        serve::inside::{Kind, To, Worker, parse_to},
        worker::host::default_instance,
    },
    http::ServiceOptions,
};

/// The port of the embedded endpoint unless another is named.
const STORE_PORT_DEFAULT: u16 = 8081;

/// What a process that serves is told.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct ProcessSettings {
    #[command(flatten)]
    target: TargetArgs,
    /// Port of the embedded endpoint; another one is taken when it is in use, and 0 takes a free one
    /// [default: 8081]
    #[arg(long, env = "COSMOS_ES_STORE_PORT", value_name = "PORT")]
    store_port: Option<u16>,
    #[command(flatten)]
    service: ServiceSettings,
    #[command(flatten)]
    worker: InsideSettings,
}

/// How requests come in.
#[derive(Debug, Clone, Args)]
struct ServiceSettings {
    /// Address to listen on; without --access on loopback only; port 0 takes a free one
    #[arg(
        long,
        env = "COSMOS_ES_LISTEN",
        default_value = "127.0.0.1:8080",
        value_name = "ADDRESS:PORT"
    )]
    listen: SocketAddr,
    #[command(flatten)]
    access: AccessSettings,
}

/// The worker inside.
#[derive(Debug, Clone, Args)]
struct InsideSettings {
    /// What the worker inside does with events: views for read models, count, a URL to post them to, or none
    /// for no worker
    #[arg(
        long,
        env = "COSMOS_ES_WORKER_TO",
        default_value = "views",
        value_name = "PLACE",
        value_parser = parse_to
    )]
    worker_to: To,
    #[command(flatten)]
    processor: ProcessorArg,
    /// Name of the worker inside, for people [default: name of the machine and number of the process]
    #[arg(long, env = "COSMOS_ES_WORKER_INSTANCE", value_name = "NAME")]
    instance: Option<String>,
}

/// What the settings come to.
#[derive(Debug)]
pub(in crate::cli) struct Settled {
    pub(in crate::cli) target: Target,
    /// The port of the embedded endpoint.
    pub(in crate::cli) store_port: u16,
    /// How the service listens, and whom it answers.
    pub(in crate::cli) options: ServiceOptions,
    /// The worker inside, where there is one.
    pub(in crate::cli) worker: Option<Worker>,
}

impl ProcessSettings {
    /// Settles what the settings come to, where they go together. Files of keys are read; no store is needed.
    ///
    /// # Errors
    ///
    /// [`CliError::Usage`] and [`CliError::Bind`], which name the settings.
    pub(in crate::cli) fn settle(&self) -> Result<Settled, CliError> {
        let target = self.target.target()?;
        if self.store_port.is_some() && self.target.has_endpoint() {
            return Err(usage(
                "the setting store-port is about the embedded store, and endpoint names an account",
            ));
        }
        let options = self.service.options()?;
        let worker = self.worker.worker()?;
        worker.as_ref().map(Worker::check).transpose()?;
        Ok(Settled { target, store_port: self.store_port(), options, worker })
    }

    fn store_port(&self) -> u16 {
        self.store_port.unwrap_or(STORE_PORT_DEFAULT)
    }

    /// What settings are that nobody has given and that have no fixed default.
    pub(in crate::cli) fn defaults(&self) -> Vec<(&'static str, String)> {
        let mut settled = self.target.defaults();
        if !self.target.has_endpoint() {
            settled.push(("store-port", self.store_port().to_string()));
        }
        if !matches!(self.worker.worker_to, To::None) {
            let instance = self.worker.instance.clone().unwrap_or_else(default_instance);
            settled.push(("worker-instance", instance));
        }
        settled
    }
}

impl ServiceSettings {
    fn options(&self) -> Result<ServiceOptions, CliError> {
        let options = self.access.of(ServiceOptions::default().with_listen(self.listen))?;
        options.check_listen()?;
        Ok(options)
    }
}

impl InsideSettings {
    /// The worker inside, where there is one.
    fn worker(&self) -> Result<Option<Worker>, CliError> {
        if self.processor.is_named() && !matches!(self.worker_to, To::Receiver(_)) {
            return Err(usage(
                "--processor goes with --worker-to count or a URL: every read model has its own",
            ));
        }
        let kind = match &self.worker_to {
            To::None => return Ok(None),
            To::Views => Kind::Views,
            To::Receiver(receiver) => Kind::Receiver {
                receiver: receiver.clone(),
                processor: self.processor.name.clone(),
            },
        };
        let instance = self.instance.clone().unwrap_or_else(default_instance);
        Ok(Some(Worker { kind, instance }))
    }
}

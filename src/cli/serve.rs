//! `cosmos-es serve`: the event store over HTTP, in the foreground, with a worker inside.

mod inside;

use std::net::SocketAddr;

use clap::Args;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use self::inside::{Kind, To, Worker, parse_to};
use super::{
    CliError,
    args::{Format, ProcessorArg, TargetArgs},
    output::Output,
    target::{Account, Missing},
    worker::{figures::Figures, host::default_instance, views},
};
use crate::{
    clock::{Clock as _, SystemClock},
    http::{Service, ServiceOptions},
    store::ProvisionReport,
};

const EXAMPLES: &str = "\
The store is embedded in the process, in --data-dir, unless --endpoint names an account. It listens on
loopback only. With --output json one line is printed when it is ready: http, store, dataDir, openapi and
worker. Ctrl-C lets requests that have begun end, for 10 seconds at most, and then the worker.

Inside is a worker that keeps the read models up to date, together with any `cosmos-es worker` beside it
(`cosmos-es projections list` shows how far they are). --worker-to count or a URL makes it a worker of the
change-feed processor that --processor names, as --to of `worker` does. What is wrong with the worker is logged,
and the service goes on. Its figures are at /metrics, for Prometheus.

Examples:
  cosmos-es serve
  cosmos-es serve --worker-to none
  cosmos-es serve --processor mails --worker-to http://127.0.0.1:9000/events
  cosmos-es serve --data-dir D --listen 127.0.0.1:0 --store-port 0 --output json
  cosmos-es serve --endpoint https://my-account.documents.azure.com";

/// Serve the event store over HTTP, until Ctrl-C
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct ServeArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Address to listen on, loopback only; port 0 takes a free one
    #[arg(
        long,
        env = "COSMOS_ES_LISTEN",
        default_value = "127.0.0.1:8080",
        value_name = "ADDRESS:PORT"
    )]
    listen: SocketAddr,
    /// Port of the embedded endpoint; another one is taken when it is in use, and 0 takes a free one
    #[arg(long, env = "COSMOS_ES_STORE_PORT", default_value_t = 8081, value_name = "PORT")]
    store_port: u16,
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

impl ServeArgs {
    /// The worker inside, where there is one.
    fn worker(&self) -> Option<Worker> {
        let kind = match &self.worker_to {
            To::None => return None,
            To::Views => Kind::Views,
            To::Receiver(receiver) => Kind::Receiver {
                receiver: receiver.clone(),
                processor: self.processor.name.clone(),
            },
        };
        let instance = self.instance.clone().unwrap_or_else(default_instance);
        Some(Worker { kind, instance })
    }
}

/// Where it is, for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Serving<'a> {
    http: &'a str,
    store: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_dir: Option<String>,
    openapi: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<Working<'a>>,
}

/// The worker inside, for programs.
#[derive(Debug, Serialize)]
struct Working<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    processor: Option<&'a str>,
    instance: &'a str,
    to: String,
}

pub(super) async fn run(
    args: ServeArgs,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let clock = SystemClock::new();
    let options = ServiceOptions::default().with_listen(args.listen);
    // Before a data folder is made for a service that will not be.
    options.check_listen()?;
    let worker = args.worker();
    worker.as_ref().map(Worker::check).transpose()?;
    if args.processor.is_named() && !matches!(args.worker_to, To::Receiver(_)) {
        let text = "--processor goes with --worker-to count or a URL: every read model has its own";
        return Err(CliError::Usage(text.to_owned()));
    }
    let store_port = args.store_port;
    let account =
        Box::pin(Account::open_at(args.target.target(), Missing::Create, store_port)).await?;
    let served = Box::pin(serve(options, worker, &account, &clock, out, stop)).await;
    let closed = account.close().await;
    served.and(closed)
}

async fn serve(
    options: ServiceOptions,
    worker: Option<Worker>,
    account: &Account,
    clock: &SystemClock,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let (store, report) = Box::pin(account.provision_and_connect()).await?;
    let figures = Figures::default();
    let options = match &worker {
        Some(_) => {
            let figures = figures.clone();
            options.with_metrics(move || figures.text())
        }
        None => options,
    };
    let read_models = views::open(account, store.clone()).await?;
    let options = options.with_read_models(read_models.clone());
    let service = Service::bind(store, options).await?;
    let http = format!("http://{}", service.address());
    announce(account, &report, &http, worker.as_ref(), clock, out)?;
    let (stop, stop_worker) = (stop.child_token(), CancellationToken::new());
    let serving = async {
        let mut serving = std::pin::pin!(service.serve(stop.clone()));
        let served = tokio::select! {
            biased;
            served = &mut serving => served,
            // The end of the store is the end of the service, too.
            () = account.ended() => {
                stop.cancel();
                serving.await
            }
        };
        // Only now: requests have somebody who waits for them, the worker can go on another time.
        stop_worker.cancel();
        served
    };
    let working = async {
        if let Some(worker) = &worker {
            worker.run(account, &read_models, &figures, &stop_worker).await;
        }
    };
    let (served, ()) = tokio::join!(serving, working);
    Ok(served?)
}

fn announce(
    account: &Account,
    report: &ProvisionReport,
    http: &str,
    worker: Option<&Worker>,
    clock: &SystemClock,
    out: &mut Output<'_>,
) -> Result<(), CliError> {
    let store = account.options.endpoint.trim_end_matches('/');
    let data_dir = account.folder().map(|folder| folder.display().to_string());
    match out.format() {
        Format::Json => {
            let worker = worker.map(|worker| Working {
                processor: worker.processor(),
                instance: &worker.instance,
                to: worker.shown(),
            });
            let openapi = format!("{http}/openapi.json");
            out.json(&Serving { http, store, data_dir, openapi, worker })?;
        }
        Format::Table => {
            if let Some(port) = account.replaced_port() {
                out.line(&format!(
                    "  port {port} is in use, the store took a free one (--store-port names another)"
                ))?;
            }
            let place = data_dir.map_or_else(String::new, |dir| format!("   data folder {dir}"));
            out.line(&format!("  store    {}  {store}{place}", account.kind()))?;
            out.line(&format!("  {}: ready", containers(report)))?;
            out.line(&format!("  http     {http}    API description at /openapi.json"))?;
            if let Some(worker) = worker {
                let (to, instance) = (worker.shown(), &worker.instance);
                let shared = worker.processor();
                let shared = shared.map_or_else(String::new, |name| format!("   processor {name}"));
                out.line(&format!("  worker   {to}{shared}   instance {instance}"))?;
            }
            let ms = clock.monotonic().as_millis();
            out.line(&format!("  ready in {ms} ms - Ctrl-C stops cleanly"))?;
        }
    }
    out.flush()
}

/// The containers in the order of the data's way through them.
fn containers(report: &ProvisionReport) -> String {
    let mut names: Vec<&str> =
        report.created.iter().chain(&report.existing).map(String::as_str).collect();
    let order = ["events", "snapshots", "read-models", "leases"];
    let place = |name: &str| order.iter().position(|known| *known == name).unwrap_or(order.len());
    names.sort_by_key(|name| place(name));
    names.join(", ")
}

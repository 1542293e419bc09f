//! `cosmos-es serve`: the event store over HTTP, in the foreground, with a worker inside.

pub(super) mod inside;

use clap::Args;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use self::inside::Worker;
use super::{
    CliError,
    args::Format,
    lag,
    output::Output,
    settings::{ProcessSettings, Settled},
    target::{Account, Missing},
    worker::{figures::Figures, views},
};
use crate::{
    clock::{Clock as _, SystemClock},
    http::{Service, ServiceOptions},
    store::ProvisionReport,
    telemetry::exporting::FigureSource,
};

const EXAMPLES: &str = "\
The store is embedded in the process, in --data-dir, unless --endpoint names an account. It listens on
loopback only, unless --access says whom it answers: who has an API key, or a token of Entra. With --output
json one line is printed when it is ready: http, store, dataDir, openapi and worker. Ctrl-C lets requests
that have begun end, for 10 seconds at most, and then the worker.

Inside is a worker that keeps the read models up to date, together with any `cosmos-es worker` beside it
(`cosmos-es projections list` shows how far they are). --worker-to count or a URL makes it a worker of the
change-feed processor that --processor names, as --to of `worker` does. What is wrong with the worker is logged,
and the service goes on. Its figures are at /metrics, for Prometheus.

Examples:
  cosmos-es serve
  cosmos-es serve --worker-to none
  cosmos-es serve --processor mails --worker-to http://127.0.0.1:9000/events
  cosmos-es serve --data-dir D --listen 127.0.0.1:0 --store-port 0 --output json
  cosmos-es serve --endpoint https://my-account.documents.azure.com
  cosmos-es serve --listen 0.0.0.0:8080 --access keys --access-keys-file keys.json";

/// Serve the event store over HTTP, until Ctrl-C
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct ServeArgs {
    #[command(flatten)]
    settings: ProcessSettings,
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
    exported: &FigureSource,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let clock = SystemClock::new();
    // Before a data folder is made for a service that will not be.
    let Settled { target, store_port, options, worker } = args.settings.settle()?;
    let account = Box::pin(Account::open_at(target, Missing::Create, store_port)).await?;
    let served = Box::pin(serve(options, worker, &account, (&clock, exported), out, stop)).await;
    exported.keep();
    let closed = account.close().await;
    served.and(closed)
}

async fn serve(
    options: ServiceOptions,
    worker: Option<Worker>,
    account: &Account,
    (clock, exported): (&SystemClock, &FigureSource),
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    // An account that does not answer is waited for, and nothing has begun that could be lost.
    let connected = tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()),
        connected = Box::pin(account.provision_and_connect()) => connected,
    };
    let (store, report) = connected?;
    let figures = Figures::default();
    let lag = lag::open(account).await?;
    let (measured, standing) = (figures.clone(), figures.clone());
    let options = options
        .with_lag(lag.clone())
        .with_standstill(move || standing.standstill())
        .with_figures(move || measured.now());
    let read_models = views::open(account, store.clone()).await?;
    let options = options.with_read_models(read_models.clone());
    let service = Service::bind(store, options).await?;
    exported.put(service.figures());
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
    let both = async { tokio::join!(serving, working) };
    let (served, ()) = lag::telling::telling(&lag, both).await;
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

//! `cosmos-es serve`: the event store over HTTP, in the foreground.

use std::net::SocketAddr;

use clap::Args;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{
    CliError,
    args::{Format, TargetArgs},
    output::Output,
    target::{Account, Missing},
};
use crate::{
    clock::{Clock as _, SystemClock},
    http::{Service, ServiceOptions},
    store::ProvisionReport,
};

const EXAMPLES: &str = "\
The store is embedded in the process, in --data-dir, unless --endpoint names an account. It listens on
loopback only. With --output json one line is printed when it is ready: http, store, dataDir and openapi.
Ctrl-C lets requests that have begun end, for 10 seconds at most.

Examples:
  cosmos-es serve
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
    let store_port = args.store_port;
    let account =
        Box::pin(Account::open_at(args.target.target(), Missing::Create, store_port)).await?;
    let served = Box::pin(serve(options, &account, &clock, out, stop)).await;
    let closed = account.close().await;
    served.and(closed)
}

async fn serve(
    options: ServiceOptions,
    account: &Account,
    clock: &SystemClock,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let (store, report) = Box::pin(account.provision_and_connect()).await?;
    let service = Service::bind(store, options).await?;
    let http = format!("http://{}", service.address());
    announce(account, &report, &http, clock, out)?;
    // The end of the store is the end of the service, too.
    let stop = stop.child_token();
    let mut serving = std::pin::pin!(service.serve(stop.clone()));
    tokio::select! {
        biased;
        served = &mut serving => return Ok(served?),
        () = account.ended() => stop.cancel(),
    }
    Ok(serving.await?)
}

fn announce(
    account: &Account,
    report: &ProvisionReport,
    http: &str,
    clock: &SystemClock,
    out: &mut Output<'_>,
) -> Result<(), CliError> {
    let store = account.options.endpoint.trim_end_matches('/');
    let data_dir = account.folder().map(|folder| folder.display().to_string());
    match out.format() {
        Format::Json => {
            out.json(&Serving { http, store, data_dir, openapi: format!("{http}/openapi.json") })?;
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

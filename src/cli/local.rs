//! `cosmos-es local`: the local endpoint on its own, in the foreground.

use std::path::PathBuf;

use clap::Args;
use cosmos_local::{LocalCosmos, Mode};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{
    CliError,
    args::{DATA_DIR_DEFAULT, Format},
    output::Output,
    secret::Secret,
};

const EXAMPLES: &str = "\
Other commands join it by its data folder. It binds 127.0.0.1 only. With --output json one line is
printed when it is ready: endpoint, key, managementEndpoint, connectionString and dataDir.

Examples:
  cosmos-es local
  cosmos-es local --data-dir D --port 0 --output json
  cosmos-es local --ephemeral --port 0 --lenient";

/// Run the local endpoint on the data folder, until Ctrl-C
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct LocalArgs {
    /// Folder that keeps the data; it is made when it is missing
    #[arg(
        long,
        env = "COSMOS_ES_DATA_DIR",
        default_value = DATA_DIR_DEFAULT,
        value_name = "DIR"
    )]
    data_dir: PathBuf,
    /// Keep the data in memory, not in the folder
    #[arg(long, env = "COSMOS_ES_LOCAL_EPHEMERAL")]
    ephemeral: bool,
    /// Port of the endpoint; 0 takes a free one
    #[arg(long, env = "COSMOS_ES_LOCAL_PORT", default_value_t = 8081)]
    port: u16,
    /// Port of the management interface; 0 takes a free one
    #[arg(long, env = "COSMOS_ES_LOCAL_MANAGEMENT_PORT", default_value_t = 0, value_name = "PORT")]
    management_port: u16,
    /// Physical partitions of each new container [default: one for each 10,000 RU/s]
    #[arg(
        long,
        env = "COSMOS_ES_LOCAL_PARTITIONS",
        value_parser = clap::value_parser!(u32).range(1..),
        value_name = "N"
    )]
    partitions: Option<u32>,
    /// Answer what the service would leave to its clients, such as queries over all partitions with a
    /// plan
    #[arg(long, env = "COSMOS_ES_LOCAL_LENIENT")]
    lenient: bool,
    /// Key of the account [default: the published emulator key]
    #[arg(long, env = "COSMOS_ES_KEY", hide_env_values = true, value_name = "BASE64")]
    key: Option<Secret>,
}

/// Where it is, for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Running<'a> {
    endpoint: &'a str,
    key: &'a str,
    management_endpoint: &'a str,
    connection_string: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_dir: Option<String>,
}

pub(super) async fn run(
    args: LocalArgs,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let mut builder = LocalCosmos::builder()
        .mode(if args.lenient { Mode::Lenient } else { Mode::Strict })
        .port(args.port)
        .management_port(args.management_port);
    if !args.ephemeral {
        builder = builder.data_dir(&args.data_dir);
    }
    if let Some(partitions) = args.partitions {
        builder = builder.partitions(partitions);
    }
    if let Some(key) = &args.key {
        builder = builder.key(key.as_str());
    }
    let endpoint = builder.start().await?;
    let announced = announce(&args, &endpoint, out);
    if announced.is_ok() {
        tokio::select! {
            () = stop.cancelled() => {}
            () = endpoint.stopping() => {}
        }
    }
    endpoint.shutdown().await?;
    announced
}

fn announce(
    args: &LocalArgs,
    endpoint: &LocalCosmos,
    out: &mut Output<'_>,
) -> Result<(), CliError> {
    let data_dir = (!args.ephemeral).then(|| args.data_dir.display().to_string());
    match out.format() {
        Format::Json => out.json(&Running {
            endpoint: endpoint.endpoint(),
            key: endpoint.key(),
            management_endpoint: endpoint.management_endpoint(),
            connection_string: endpoint.connection_string(),
            data_dir,
        })?,
        Format::Table => {
            let place = data_dir
                .map_or_else(|| "memory".to_owned(), |folder| format!("data folder {folder}"));
            out.line(&format!("  endpoint           {}  {place}", endpoint.endpoint()))?;
            out.line(&format!("  key                {}", endpoint.key()))?;
            out.line(&format!("  management         {}", endpoint.management_endpoint()))?;
            out.line(&format!("  connection string  {}", endpoint.connection_string()))?;
            out.line("  ready - Ctrl-C stops cleanly")?;
        }
    }
    out.flush()
}

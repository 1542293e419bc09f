//! `cosmos-es provision`: makes a database ready, or verifies it.

use clap::Args;
use serde::Serialize;

use super::{
    CliError,
    args::{Format, TargetArgs},
    output::Output,
    table::{Align, Table},
    target::{Account, Missing},
};

const EXAMPLES: &str = "\
On loopback, what is missing is created. Elsewhere nothing is: the deployment does that, and this says
what is missing or different. With --output json the result is one object: database, created, verified.

Examples:
  cosmos-es provision
  cosmos-es provision --endpoint https://my-account.documents.azure.com";

/// Create the containers of an event store, or verify them; safe to repeat
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct ProvisionArgs {
    #[command(flatten)]
    target: TargetArgs,
}

/// What was done, for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Provisioned<'a> {
    database: &'a str,
    created: &'a [String],
    verified: &'a [String],
}

pub(super) async fn run(args: ProvisionArgs, out: &mut Output<'_>) -> Result<(), CliError> {
    let account = Account::open(args.target.target()?, Missing::Create).await?;
    let database = account.options.database.clone();
    let report = account.provision().await;
    let closed = account.close().await;
    let report = report?;
    match out.format() {
        Format::Json => out.json(&Provisioned {
            database: &database,
            created: &report.created,
            verified: &report.existing,
        })?,
        Format::Table => {
            let row = |(name, what): (&String, &str)| [name.clone(), what.to_owned()];
            let created = report.created.iter().map(|name| (name, "created"));
            let verified = report.existing.iter().map(|name| (name, "verified"));
            let rows: Vec<_> = created.chain(verified).map(row).collect();
            Table::new([Align::Left; 2]).write(out.writer(), &rows).map_err(CliError::Output)?;
        }
    }
    closed
}

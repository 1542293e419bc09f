//! `cosmos-es projections list`: which versions there are of each read model, and how they are doing.

use clap::Args;
use serde::Serialize;

use crate::{
    cli::{
        CliError,
        args::{Format, TargetArgs},
        lag,
        output::{JsonArray, Output},
        table::{Align, Table, counted, grouped},
        target::Account,
    },
    feed::lag::LagReader,
    projection::{Projection, ReadModels, Version, VersionState, processor_name},
};

const EXAMPLES: &str = "\
The lag is that of what is durable: seconds since the oldest event was stored that is not in it. Views are
counted, or totals by key. A version that is not of this program's code says so. With --output json the result is
one array of objects with projection, version, state, code, programCode, shards, automatic, lagSeconds,
lagTransactions, views, parked and hosts; a projection that nobody has built has null for version and state.

Examples:
  cosmos-es projections list
  cosmos-es projections list --output json";

/// List the versions of all read models, and how they are doing
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ListArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

/// A version, or a projection that has none, for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct VersionLine {
    projection: String,
    version: Option<u32>,
    state: Option<VersionState>,
    /// The version of the code that made it.
    code: Option<u32>,
    /// The version of the code that this program has of it.
    program_code: Option<u32>,
    shards: Option<u16>,
    /// Whether it becomes live by itself.
    automatic: bool,
    lag_seconds: Option<u64>,
    lag_transactions: Option<u64>,
    views: Option<u64>,
    parked: u64,
    hosts: Vec<String>,
}

pub(super) async fn run(
    read_models: &ReadModels,
    account: &Account,
    out: &mut Output<'_>,
) -> Result<(), CliError> {
    let lines = lines(read_models, account).await?;
    match out.format() {
        Format::Json => {
            let mut array = JsonArray::default();
            lines.iter().try_for_each(|line| array.push(out, line))?;
            array.end(out)
        }
        Format::Table => {
            let (left, right) = (Align::Left, Align::Right);
            let mut table = Table::new([left, left, left, right, right, right, left]);
            let rows: Vec<_> = lines.iter().map(row).collect();
            table.write(out.writer(), &rows).map_err(CliError::Output)
        }
    }
}

async fn lines(read_models: &ReadModels, account: &Account) -> Result<Vec<VersionLine>, CliError> {
    let reader = lag::open(account).await?;
    let mut known = read_models.registry().list().await?;
    for name in read_models.catalog().names() {
        if !known.iter().any(|(other, _)| other == name) {
            known.push((name.to_owned(), crate::projection::Versions::default()));
        }
    }
    known.sort_by(|one, other| one.0.cmp(&other.0));
    let mut lines = Vec::new();
    for (name, versions) in known {
        let code = read_models.catalog().get(&name).map(Projection::code).map(|code| code.version);
        if versions.versions.is_empty() {
            lines.push(nobody_has_built(name, code));
            continue;
        }
        for version in &versions.versions {
            lines.push(line(read_models, &reader, &name, version, code).await?);
        }
    }
    Ok(lines)
}

async fn line(
    read_models: &ReadModels,
    reader: &LagReader,
    name: &str,
    version: &Version,
    code: Option<u32>,
) -> Result<VersionLine, CliError> {
    let lag = reader.processor(&processor_name(name, version.number)).await?;
    let views = match version.state {
        VersionState::Removing => None,
        _ => Some(read_models.count(name, version).await?),
    };
    let line = VersionLine {
        projection: name.to_owned(),
        version: Some(version.number),
        state: Some(version.state),
        code: Some(version.code),
        program_code: code,
        shards: Some(version.shards),
        automatic: version.is_automatic && version.state == VersionState::Building,
        lag_seconds: None,
        lag_transactions: None,
        views,
        parked: 0,
        hosts: Vec::new(),
    };
    let Some(lag) = lag else { return Ok(line) };
    let (lag_seconds, lag_transactions) = (lag.seconds(), lag.transactions());
    Ok(VersionLine { lag_seconds, lag_transactions, parked: lag.parked, hosts: lag.hosts, ..line })
}

fn nobody_has_built(projection: String, code: Option<u32>) -> VersionLine {
    VersionLine {
        projection,
        version: None,
        state: None,
        code: None,
        program_code: code,
        shards: None,
        automatic: false,
        lag_seconds: None,
        lag_transactions: None,
        views: None,
        parked: 0,
        hosts: Vec::new(),
    }
}

fn row(line: &VersionLine) -> [String; 7] {
    let Some(version) = line.version else {
        let (none, state) = (String::new(), "nobody has built it".to_owned());
        return [
            line.projection.clone(),
            "-".to_owned(),
            state,
            none.clone(),
            none.clone(),
            none.clone(),
            none,
        ];
    };
    let unknown = || "unknown".to_owned();
    let lag = match (line.lag_seconds, line.lag_transactions) {
        (Some(0), Some(0)) => "up to date".to_owned(),
        (Some(seconds), Some(transactions)) => {
            format!("{} s, {}", grouped(seconds), counted(transactions, "transaction"))
        }
        _ => format!("lag {}", unknown()),
    };
    let hosts = match line.hosts.as_slice() {
        [] => "no worker".to_owned(),
        hosts => format!("by {}", hosts.join(", ")),
    };
    [
        line.projection.clone(),
        version.to_string(),
        state(line),
        line.views.map_or_else(unknown, |views| counted(views, "view")),
        lag,
        format!("{} parked", grouped(line.parked)),
        hosts,
    ]
}

/// What a version is for, and by which code.
fn state(line: &VersionLine) -> String {
    let state = match line.state {
        Some(VersionState::Building) if line.automatic => "building, becomes live",
        Some(VersionState::Building) => "building",
        Some(VersionState::Live) => "live",
        Some(VersionState::Previous) => "previous",
        Some(VersionState::Removing) => "removing",
        None => "-",
    };
    let code = line.code.unwrap_or_default();
    match line.program_code {
        Some(mine) if mine == code => format!("{state}, code {code}"),
        Some(mine) => format!("{state}, code {code} (this program: {mine})"),
        None => format!("{state}, code {code} (not of this program)"),
    }
}

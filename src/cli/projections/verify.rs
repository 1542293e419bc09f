//! `cosmos-es projections verify`: a read model against a replay of all events. Writes nothing.

use clap::Args;
use serde::Serialize;

use super::{check, rebuild::differences};
use crate::{
    cli::{
        CliError,
        args::{Format, TargetArgs},
        output::{JsonArray, Output},
        table::counted,
    },
    projection::{ReadModels, Verified},
};

const EXAMPLES: &str = "\
Reads every stream and folds it as the workers do, up to the event that the read model has, and compares: views
with views, totals with what streams add. What is behind is no difference, as long as it is not known to be
done. Exits with 1 when anything differs. With --output json the result is one array of objects with
projection, version, streams, events, behind and drift; drift has compared, different, moving and examples.

Examples:
  cosmos-es projections verify stream-summary
  cosmos-es projections verify stream-summary --version 2
  cosmos-es projections verify --all";

/// Compare a read model with a replay of all events, writing nothing
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct VerifyArgs {
    /// The projection
    #[arg(value_name = "NAME", required_unless_present = "all", conflicts_with = "all")]
    name: Option<String>,
    /// Another version than the live one
    #[arg(long, env = "COSMOS_ES_PROJECTIONS_VERSION", value_name = "N", conflicts_with = "all")]
    version: Option<u32>,
    /// All projections of the program that have a live version
    #[arg(long, env = "COSMOS_ES_PROJECTIONS_ALL")]
    all: bool,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

/// A replay, for programs.
#[derive(Debug, Serialize)]
struct VerifiedLine<'a> {
    projection: &'a str,
    #[serde(flatten)]
    verified: &'a Verified,
}

pub(super) async fn run(
    args: &VerifyArgs,
    read_models: &ReadModels,
    out: &mut Output<'_>,
) -> Result<(), CliError> {
    let names = match &args.name {
        Some(name) => {
            check(read_models, name)?;
            check_version(read_models, name, args.version).await?;
            vec![name.clone()]
        }
        None => built(read_models).await?,
    };
    let mut array = JsonArray::default();
    let mut different: u64 = 0;
    for name in &names {
        let bar = super::rebuild::Bar::new();
        let verified = read_models.verify(name, args.version, |streams| {
            bar.say(&format!("{name}  {}", counted(streams, "stream")));
        });
        let verified = verified.await;
        bar.clear();
        let verified = verified?;
        different = different.saturating_add(verified.drift.different);
        match out.format() {
            Format::Json => {
                array.push(out, &VerifiedLine { projection: name, verified: &verified })?;
            }
            Format::Table => print(name, &verified, out)?,
        }
    }
    if out.format() == Format::Json {
        array.end(out)?;
    }
    if different > 0 {
        let number = counted(different, "difference");
        return Err(CliError::Drift(format!(
            "{number} from a replay: rebuild the read model with `cosmos-es projections rebuild`"
        )));
    }
    Ok(())
}

/// The projections that have a live version.
async fn built(read_models: &ReadModels) -> Result<Vec<String>, CliError> {
    let known = read_models.registry().list().await?;
    let is_built = |(name, versions): &(String, crate::projection::Versions)| {
        versions.live().is_some() && read_models.catalog().get(name).is_some()
    };
    Ok(known.into_iter().filter(is_built).map(|(name, _)| name).collect())
}

/// Refuses a version that is not there, or was made by other code, which would make other views.
async fn check_version(
    read_models: &ReadModels,
    name: &str,
    version: Option<u32>,
) -> Result<(), CliError> {
    let versions = read_models.registry().get(name).await?;
    let found = match version {
        Some(number) => versions.get(number).ok_or_else(|| {
            CliError::Usage(format!(
                "{name} has no version {number}; `cosmos-es projections list` has those that there are"
            ))
        })?,
        None => match versions.live() {
            Some(live) => live,
            None => return Ok(()),
        },
    };
    let code = read_models.catalog().get(name).map(crate::projection::Projection::code);
    if code.is_some_and(|code| (code.version, code.shards) != (found.code, found.shards)) {
        return Err(CliError::Usage(format!(
            "version {} of {name} was made by code {}, which this program does not have",
            found.number, found.code
        )));
    }
    Ok(())
}

fn print(name: &str, verified: &Verified, out: &mut Output<'_>) -> Result<(), CliError> {
    let Verified { version, streams, events, behind, drift, .. } = verified;
    let behind = match behind {
        0 => String::new(),
        number => format!(", {} behind or parked", counted(*number, "stream")),
    };
    let found = match drift.different {
        0 => "no difference".to_owned(),
        number => counted(number, "difference"),
    };
    out.line(&format!(
        "{name} version {version}: {} and {} replayed{behind}, {found}",
        counted(*streams, "stream"),
        counted(*events, "event"),
    ))?;
    differences(drift, out)
}

//! `cosmos-es projections rollback` and `clean`: which version readers use, and which versions there are.

use clap::Args;
use serde::Serialize;

use super::check;
use crate::{
    cli::{
        CliError,
        args::{Format, TargetArgs},
        output::Output,
    },
    projection::ReadModels,
};

const ROLL_BACK_EXAMPLES: &str = "\
Readers go back within a second. It is refused where the previous version is behind, has parked streams, or is
not kept up to date while the live one is. With --output json the result is one object: projection and live.

Examples:
  cosmos-es projections rollback stream-summary";

const CLEAN_EXAMPLES: &str = "\
Removes the documents of the versions that were live before, and the places of their processors: rollback is not
possible afterwards. --version removes one that is not live, such as a rebuild that is given up. Workers leave
a version within seconds. A call that was stopped is gone on with by the next. With --output json the result is
one object: projection and removed.

Examples:
  cosmos-es projections clean stream-summary
  cosmos-es projections clean stream-summary --version 3";

/// Let readers use the previous version of a read model again
#[derive(Debug, Clone, Args)]
#[command(after_help = ROLL_BACK_EXAMPLES)]
pub(super) struct RollBackArgs {
    /// The projection
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

/// Remove the versions of a read model that readers do not use any more
#[derive(Debug, Clone, Args)]
#[command(after_help = CLEAN_EXAMPLES)]
pub(super) struct CleanArgs {
    /// The projection
    #[arg(value_name = "NAME")]
    name: String,
    /// Only this one; it may be one that is being built
    #[arg(long, env = "COSMOS_ES_PROJECTIONS_VERSION", value_name = "N")]
    version: Option<u32>,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

/// Who is used now, for programs.
#[derive(Debug, Serialize)]
struct RolledBack<'a> {
    projection: &'a str,
    live: u32,
}

/// What was removed, for programs.
#[derive(Debug, Serialize)]
struct Removed<'a> {
    projection: &'a str,
    removed: &'a [u32],
}

pub(super) async fn roll_back(
    args: &RollBackArgs,
    read_models: &ReadModels,
    out: &mut Output<'_>,
) -> Result<(), CliError> {
    let name = args.name.as_str();
    check(read_models, name)?;
    let live = read_models.roll_back(name).await?;
    match out.format() {
        Format::Json => out.json(&RolledBack { projection: name, live }),
        Format::Table => out.line(&format!("{name}: version {live} is live")),
    }
}

pub(super) async fn clean(
    args: &CleanArgs,
    read_models: &ReadModels,
    out: &mut Output<'_>,
) -> Result<(), CliError> {
    let name = args.name.as_str();
    let removed = if let Some(version) = args.version {
        read_models.remove(name, version).await?;
        vec![version]
    } else {
        let has_versions = !read_models.registry().get(name).await?.versions.is_empty();
        if !has_versions {
            check(read_models, name)?;
        }
        read_models.clean_up(name).await?
    };
    match out.format() {
        Format::Json => out.json(&Removed { projection: name, removed: &removed }),
        Format::Table if removed.is_empty() => out.line(&format!("{name}: nothing to remove")),
        Format::Table => removed
            .iter()
            .try_for_each(|version| out.line(&format!("{name}: version {version} is removed"))),
    }
}

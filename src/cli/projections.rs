//! `cosmos-es projections`: read models, looked after and read.
//!
//! Commands change nothing but which version readers use and which versions there are; documents of a version
//! are written by hosts alone, and `rebuild` runs one for as long as it takes.

mod list;
mod reads;
mod rebuild;
mod tend;
mod verify;

use clap::{Args, Subcommand};
use tokio_util::sync::CancellationToken;

use super::{
    CliError,
    args::TargetArgs,
    output::Output,
    target::{Account, Missing},
    until_stopped,
    worker::views,
};
use crate::projection::ReadModels;

const EXAMPLES: &str = "\
A read model has versions. One is live: readers use it. rebuild makes another beside it from the first event
on, compares the two and lets readers use the new one; the former is kept up to date by the workers, so that
rollback is a switch, until clean removes it. verify replays every event without writing anything.

Examples:
  cosmos-es projections
  cosmos-es projections rebuild stream-summary
  cosmos-es projections verify --all
  cosmos-es projections rollback stream-summary
  cosmos-es projections clean stream-summary
  cosmos-es projections view stream-summary quote-1
  cosmos-es projections views stream-summary --filter lastType=QuoteApproved --sort -lastAt --limit 10
  cosmos-es projections totals type-totals";

/// List read models; rebuild, verify, roll back, clean up or read one
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct ProjectionsArgs {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    target: TargetArgs,
}

#[derive(Debug, Clone, Subcommand)]
enum Action {
    List(list::ListArgs),
    Rebuild(rebuild::RebuildArgs),
    Verify(verify::VerifyArgs),
    Rollback(tend::RollBackArgs),
    Clean(tend::CleanArgs),
    View(reads::ViewArgs),
    Views(reads::ViewsArgs),
    Totals(reads::TotalsArgs),
}

pub(super) async fn run(
    args: ProjectionsArgs,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let action = args.action.unwrap_or(Action::List(list::ListArgs { target: args.target }));
    let target = match &action {
        Action::List(args) => &args.target,
        Action::Rebuild(args) => &args.target,
        Action::Verify(args) => &args.target,
        Action::Rollback(args) => &args.target,
        Action::Clean(args) => &args.target,
        Action::View(args) => &args.target,
        Action::Views(args) => &args.target,
        Action::Totals(args) => &args.target,
    };
    let account = Account::open(target.target()?, Missing::Refuse).await?;
    let done = Box::pin(carry_out(action, &account, out, stop)).await;
    let closed = account.close().await;
    done.and(closed)
}

async fn carry_out(
    action: Action,
    account: &Account,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let store = account.connect().await?;
    let read_models = views::open(account, store).await?;
    match action {
        Action::List(_) => until_stopped(list::run(&read_models, account, out), stop).await,
        Action::Rebuild(args) => rebuild::run(&args, &read_models, out, stop).await,
        Action::Verify(args) => until_stopped(verify::run(&args, &read_models, out), stop).await,
        Action::Rollback(args) => {
            until_stopped(tend::roll_back(&args, &read_models, out), stop).await
        }
        Action::Clean(args) => until_stopped(tend::clean(&args, &read_models, out), stop).await,
        Action::View(args) => until_stopped(reads::view(&args, &read_models, out), stop).await,
        Action::Views(args) => until_stopped(reads::views(&args, &read_models, out), stop).await,
        Action::Totals(args) => until_stopped(reads::totals(&args, &read_models, out), stop).await,
    }
}

/// Refuses a name that the program has no projection of, and says which there are.
fn check(read_models: &ReadModels, name: &str) -> Result<(), CliError> {
    if read_models.catalog().get(name).is_some() {
        return Ok(());
    }
    let names: Vec<&str> = read_models.catalog().names().collect();
    let names = names.join(", ");
    Err(CliError::Usage(format!("there is no projection {name:?}; this program has {names}")))
}

//! `cosmos-es demo`: what the store and its read models do, with workers that are killed, and the proof.
//!
//! Everything runs on this machine: the store in this process, workers in processes of their own. Nothing is
//! shown that was not checked: at the end each read model is compared with a replay, and with counts of what
//! was made up, which no projection has any part in.

mod counts;
mod log;
mod place;
mod story;
mod workers;

use std::path::PathBuf;

use clap::Args;
use tokio_util::sync::CancellationToken;

use self::{place::Place, story::Story};
use super::{
    CliError,
    args::{DATABASE_DEFAULT, Format, Target},
    output::Output,
    target::{Account, Missing},
    until_stopped,
};

const EXAMPLES: &str = "\
Starts the embedded store and two workers, appends made-up quotes, kills a worker while it works, shows when the
other one has taken over, rebuilds a read model beside the live one, and compares every read model with a replay
of all events and with counts of what was made up. It takes about half a minute, 10 seconds of it until a worker
is known to be dead. Exits with 1 when anything differs.

The store is in a temporary folder that is removed at the end; --data-dir keeps it, and must not have events. With
--output json the result is one object: quotes, seed, events, steps, readModels, counts, seconds and ok.

Examples:
  cosmos-es demo
  cosmos-es demo --quotes 200 --seed 7
  cosmos-es demo --data-dir ./demo --output json";

/// Show the whole on made-up quotes: workers, fail-over, a rebuild, and the proof that nothing is lost
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct DemoArgs {
    /// How many quotes; each has about seven events
    #[arg(
        long,
        env = "COSMOS_ES_DEMO_QUOTES",
        default_value_t = 2000,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=100_000)
    )]
    quotes: u32,
    /// What the quotes follow from
    #[arg(long, env = "COSMOS_ES_DEMO_SEED", default_value_t = 1, value_name = "S")]
    seed: u64,
    /// Folder of the store, kept afterwards [default: a temporary one]
    #[arg(long, env = "COSMOS_ES_DEMO_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

pub(super) async fn run(
    args: DemoArgs,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let place = Place::new(args.data_dir);
    let folder = place.folder().to_owned();
    let database = DATABASE_DEFAULT.to_owned();
    let account = Account::open(Target::Folder { folder, database }, Missing::Create).await?;
    let told = {
        let story = Story::new(args.quotes, args.seed, &account, place.folder());
        // Workers end with the story, however it ends.
        until_stopped(Box::pin(story.tell(out, stop)), stop).await
    };
    let closed = account.close().await;
    drop(place);
    let ended = told?;
    closed?;
    if out.format() == Format::Json {
        out.json(&ended)?;
    }
    match ended.faults() {
        0 => Ok(()),
        faults => Err(CliError::Drift(format!("{faults} of the checks failed"))),
    }
}

//! `cosmos-es processors`: what processors there are, and what all their workers are told.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, ValueEnum};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{
    CliError,
    args::{Format, TargetArgs, parse_name, parse_time},
    output::{JsonArray, Output},
    table::{Align, Table, counted},
    target::{Account, Missing},
    until_stopped,
};
use crate::feed::{Control, CosmosLeases, Overview, Positions, documents::Activity};

/// The container of the leases.
pub(super) const LEASES_CONTAINER: &str = "leases";

const EXAMPLES: &str = "\
Workers honour what they are told within a few seconds. rewind lets all events from a place on come
again: the beginning, a time, or positions that snapshot has printed before. A snapshot is the place of
each range as JSON; it also fits another processor over the same events. With --output json, list is one
array of objects with processor, state, leases, workers, parked and generation, and pause, resume and
rewind are one object: processor and done.

Examples:
  cosmos-es processors
  cosmos-es processors pause mails
  cosmos-es processors resume mails
  cosmos-es processors rewind mails --to 2026-11-20T10:00:00Z
  cosmos-es processors snapshot mails >mails.json
  cosmos-es processors rewind mails --to @mails.json";

/// List the change-feed processors; pause, resume, rewind or snapshot one
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct ProcessorsArgs {
    /// What is done
    #[arg(value_enum, default_value_t, value_name = "ACTION")]
    action: Action,
    /// The processor; not for list
    #[arg(value_name = "NAME", value_parser = parse_name)]
    name: Option<String>,
    /// Where a rewind goes: beginning, a time (RFC 3339), or @FILE with what snapshot has printed
    #[arg(
        long,
        env = "COSMOS_ES_PROCESSORS_TO",
        value_name = "PLACE",
        value_parser = parse_place
    )]
    to: Option<Place>,
    #[command(flatten)]
    target: TargetArgs,
}

/// What is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Action {
    /// Shows all of them
    #[default]
    List,
    /// Lets all workers hold still
    Pause,
    /// Lets all workers work again
    Resume,
    /// Lets all workers go on at another place
    Rewind,
    /// Prints the places of its ranges
    Snapshot,
}

/// Where a rewind goes.
#[derive(Debug, Clone, PartialEq)]
enum Place {
    Beginning,
    Time(i64),
    File(PathBuf),
}

fn parse_place(text: &str) -> Result<Place, String> {
    if text == "beginning" {
        return Ok(Place::Beginning);
    }
    if let Some(file) = text.strip_prefix('@').filter(|file| !file.is_empty()) {
        return Ok(Place::File(file.into()));
    }
    let time = parse_time(text).map_err(|error| format!("{error}, or beginning, or @FILE"))?;
    Ok(Place::Time(time.as_second()))
}

/// Reads what a snapshot has printed.
fn read_positions(file: &Path) -> Result<Positions, CliError> {
    let wrong = |text: String| CliError::Usage(format!("{} {text}", file.display()));
    let text =
        std::fs::read_to_string(file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let positions: Positions = serde_json::from_str(&text)
        .map_err(|error| wrong(format!("is no snapshot of a processor: {error}")))?;
    if positions.positions.is_empty() {
        return Err(wrong("has no positions to go to".to_owned()));
    }
    Ok(positions)
}

/// What a processor is told.
#[derive(Debug, Clone, PartialEq)]
enum Order {
    Pause,
    Resume,
    RewindToBeginning,
    RewindToTime(i64),
    RewindTo(Positions),
    Snapshot,
}

impl ProcessorsArgs {
    /// Who is told what; nothing for a list. A file is read before anything is asked of the store.
    fn order(&self) -> Result<Option<(String, Order)>, CliError> {
        let wrong = |text: &str| Err(CliError::Usage(text.to_owned()));
        let order = match (self.action, &self.to) {
            (Action::List, None) if self.name.is_none() => return Ok(None),
            (Action::List, None) => return wrong("list takes no name"),
            (Action::Pause, None) => Order::Pause,
            (Action::Resume, None) => Order::Resume,
            (Action::Snapshot, None) => Order::Snapshot,
            (Action::Rewind, Some(Place::Beginning)) => Order::RewindToBeginning,
            (Action::Rewind, Some(Place::Time(seconds))) => Order::RewindToTime(*seconds),
            (Action::Rewind, Some(Place::File(file))) => Order::RewindTo(read_positions(file)?),
            (Action::Rewind, None) => {
                return wrong("rewind needs --to: beginning, a time, or @FILE");
            }
            (_, Some(_)) => return wrong("--to is for rewind"),
        };
        match &self.name {
            Some(name) => Ok(Some((name.clone(), order))),
            None => wrong("name the processor; `cosmos-es processors` lists them"),
        }
    }
}

/// A processor, for programs.
#[derive(Debug, Serialize)]
struct ProcessorLine<'a> {
    processor: &'a str,
    state: &'static str,
    leases: usize,
    workers: usize,
    parked: usize,
    generation: u64,
}

/// What was done, for programs.
#[derive(Debug, Serialize)]
struct Told<'a> {
    processor: &'a str,
    done: &'static str,
}

pub(super) async fn run(
    args: ProcessorsArgs,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let order = args.order()?;
    let account = Account::open(args.target.target()?, Missing::Refuse).await?;
    let doing = async {
        account.connect().await?;
        match order {
            None => list(&account, out).await,
            Some((name, order)) => tell(&account, &name, order, out).await,
        }
    };
    let result = until_stopped(doing, stop).await;
    let closed = account.close().await;
    result.and(closed)
}

/// What can be told to a processor.
pub(super) async fn control(account: &Account, processor: &str) -> Result<Control, CliError> {
    let leases = Box::pin(CosmosLeases::open(&account.options, LEASES_CONTAINER, processor));
    Ok(Control::new(Arc::new(leases.await?)))
}

async fn list(account: &Account, out: &mut Output<'_>) -> Result<(), CliError> {
    let all = Box::pin(CosmosLeases::processors(&account.options, LEASES_CONTAINER)).await?;
    let mut table = Table::new([Align::Left; 5]);
    let (mut rows, mut array) = (Vec::new(), JsonArray::default());
    for leases in all {
        let name = leases.processor().to_owned();
        let overview = Control::new(Arc::new(leases)).overview().await?;
        let line = line(&name, &overview);
        match out.format() {
            Format::Table => rows.push(row(&line)),
            Format::Json => array.push(out, &line)?,
        }
    }
    match out.format() {
        Format::Table => table.write(out.writer(), &rows).map_err(CliError::Output),
        Format::Json => array.end(out),
    }
}

fn line<'a>(processor: &'a str, overview: &Overview) -> ProcessorLine<'a> {
    let topology = overview.topology.as_ref();
    ProcessorLine {
        processor,
        state: match topology.map(|topology| topology.activity) {
            Some(Activity::Paused) => "paused",
            _ => "running",
        },
        leases: overview.leases.len(),
        workers: topology.map_or(0, |topology| topology.members.len()),
        parked: overview.parked.len(),
        generation: topology.map_or(0, |topology| topology.generation),
    }
}

fn row(line: &ProcessorLine<'_>) -> [String; 5] {
    let count = |number: usize, noun| counted(u64::try_from(number).unwrap_or(u64::MAX), noun);
    [
        line.processor.to_owned(),
        line.state.to_owned(),
        count(line.leases, "lease"),
        count(line.workers, "worker"),
        format!("{} parked", line.parked),
    ]
}

async fn tell(
    account: &Account,
    processor: &str,
    order: Order,
    out: &mut Output<'_>,
) -> Result<(), CliError> {
    let control = control(account, processor).await?;
    let done = match order {
        Order::Pause => control.pause().await.map(|()| "paused"),
        Order::Resume => control.resume().await.map(|()| "resumed"),
        Order::RewindToBeginning => control.rewind_to_beginning().await.map(|()| "rewound"),
        Order::RewindToTime(seconds) => control.rewind_to_time(seconds).await.map(|()| "rewound"),
        Order::RewindTo(positions) => control.rewind_to(&positions).await.map(|()| "rewound"),
        // A file for programs, in both formats.
        Order::Snapshot => return out.json(&control.positions().await?),
    }?;
    match out.format() {
        Format::Table => out.line(&format!("{processor}: {done}")),
        Format::Json => out.json(&Told { processor, done }),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::feed::{
        FeedRange,
        documents::{Position, SavedPosition},
    };

    /// Only the arguments of this command.
    #[derive(Debug, clap::Parser)]
    struct Only {
        #[command(flatten)]
        args: ProcessorsArgs,
    }

    fn order(args: &[&str]) -> Result<Option<(String, Order)>, CliError> {
        Only::try_parse_from(["x"].iter().chain(args)).unwrap().args.order()
    }

    #[test]
    fn a_place_is_a_word_a_time_or_a_file() {
        for wrong in ["", "@", "end", "2026"] {
            assert!(parse_place(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_place("@a b"), Ok(Place::File("a b".into())));
    }

    #[test]
    fn each_action_has_what_it_needs() {
        assert_eq!(order(&[]).unwrap(), None);
        let name = || "a".to_owned();
        assert_eq!(order(&["pause", "a"]).unwrap(), Some((name(), Order::Pause)));
        assert_eq!(order(&["resume", "a"]).unwrap(), Some((name(), Order::Resume)));
        let rewind = order(&["rewind", "a", "--to", "1970-01-01T00:00:07Z"]).unwrap();
        assert_eq!(order(&["snapshot", "a"]).unwrap(), Some((name(), Order::Snapshot)));
        assert_eq!(rewind, Some((name(), Order::RewindToTime(7))));
        let rewind = order(&["rewind", "a", "--to", "beginning"]).unwrap();
        assert_eq!(rewind, Some((name(), Order::RewindToBeginning)));
        for wrong in [
            &["list", "a"][..],
            &["snapshot"],
            &["pause"],
            &["rewind", "a"],
            &["pause", "a", "--to", "beginning"],
        ] {
            assert!(order(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn only_what_a_snapshot_has_printed_is_gone_back_to() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.json");
        let place = format!("@{}", file.display());
        let error = |text: Option<&str>| {
            if let Some(text) = text {
                std::fs::write(&file, text).unwrap();
            }
            order(&["rewind", "a", "--to", &place]).unwrap_err().to_string()
        };
        assert!(error(None).contains("x.json cannot be read: "));
        for text in ["", "lease", "[]", "{}", "{\"positions\":[{\"range\":\"-FF\"}]}"] {
            assert!(error(Some(text)).contains("x.json is no snapshot of a processor: "), "{text}");
        }
        assert!(error(Some("{\"positions\":[]}")).contains("x.json has no positions to go to"));
        let (range, position) = (FeedRange::full(), Position::Beginning);
        let positions =
            Positions { positions: vec![SavedPosition { range, position, done_at: None }] };
        std::fs::write(&file, serde_json::to_string(&positions).unwrap()).unwrap();
        let found = order(&["rewind", "a", "--to", &place]).unwrap();
        assert_eq!(found, Some(("a".to_owned(), Order::RewindTo(positions))));
    }
}

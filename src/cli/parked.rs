//! `cosmos-es parked`: the streams that a processor has set aside.

use std::io::{BufRead as _, IsTerminal as _};

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{
    CliError,
    args::{Format, ProcessorArg, TargetArgs},
    output::{JsonArray, Output},
    processors::control,
    read::time_for_people,
    say,
    table::{Align, Table, counted},
    target::{Account, Missing},
    until_stopped,
};
use crate::{
    event::format_timestamp,
    feed::{Control, ControlError, documents::Parked},
};

const EXAMPLES: &str = "\
A stream is parked when its events were refused, or tried too often; its later events wait behind it.
discard forgets that it is parked: its later events are handled again, those that waited are not. It asks
first on a terminal, and needs --yes elsewhere. With --output json, list is one array of objects with
stream, event, reason, attempts, since and redrive, and discard one object: stream and done.

Examples:
  cosmos-es parked
  cosmos-es parked list --processor mails --output json
  cosmos-es parked discard quote-7 --yes";

/// List the streams that a change-feed processor has set aside; discard one
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct ParkedArgs {
    /// What is done
    #[arg(value_enum, default_value_t, value_name = "ACTION")]
    action: Action,
    /// The stream; not for list
    #[arg(value_name = "STREAM")]
    stream: Option<String>,
    #[command(flatten)]
    processor: ProcessorArg,
    /// Do not ask before something is given up
    #[arg(long, env = "COSMOS_ES_PARKED_YES")]
    yes: bool,
    #[command(flatten)]
    target: TargetArgs,
}

/// What is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Action {
    /// Shows all of them
    #[default]
    List,
    /// Gives up the events that were not handled
    Discard,
}

/// A parked stream, for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ParkedLine<'a> {
    stream: &'a str,
    event: u64,
    reason: &'a str,
    attempts: u32,
    since: String,
    redrive: bool,
}

/// What was done, for programs.
#[derive(Debug, Serialize)]
struct Told<'a> {
    stream: &'a str,
    done: &'static str,
}

pub(super) async fn run(
    args: ParkedArgs,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let stream = match (args.action, args.stream.as_deref()) {
        (Action::List, None) => None,
        (Action::List, Some(_)) => {
            return Err(CliError::Usage("list takes no stream".to_owned()));
        }
        (Action::Discard, Some(stream)) => Some(stream),
        (Action::Discard, None) => {
            return Err(CliError::Usage(
                "name the stream; `cosmos-es parked` lists them".to_owned(),
            ));
        }
    };
    if let Some(stream) = stream.filter(|_| !args.yes) {
        until_stopped(confirm(stream), stop).await?;
    }
    let account = Account::open(args.target.target(), Missing::Refuse).await?;
    let doing = async {
        account.connect().await?;
        let control = control(&account, &args.processor.name).await?;
        match stream {
            None => list(&control, out).await,
            Some(stream) => {
                control.discard(stream).await?;
                told(stream, "discarded", out)
            }
        }
    };
    let result = until_stopped(doing, stop).await;
    let closed = account.close().await;
    result.and(closed)
}

/// Asks on the terminal.
async fn confirm(stream: &str) -> Result<(), CliError> {
    if !std::io::stdin().is_terminal() {
        return Err(CliError::Usage("discard needs --yes where nobody can be asked".to_owned()));
    }
    let name = stream.replace(char::is_control, "?");
    say(&format!("The events of {name} that were not handled are given up. Type yes to go on:"));
    // Nobody may ever answer, so it is read on a thread that nobody has to wait for.
    let answer = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer).map(|_| answer)
    });
    let answer = answer.await.map_err(|error| CliError::Usage(error.to_string()))?;
    let is_yes = answer.is_ok_and(|answer| answer.trim() == "yes");
    if is_yes { Ok(()) } else { Err(CliError::Usage("nothing was discarded".to_owned())) }
}

async fn list(control: &Control, out: &mut Output<'_>) -> Result<(), CliError> {
    let overview = control.overview().await?;
    if overview.topology.is_none() {
        return Err(ControlError::NoProcessor.into());
    }
    match out.format() {
        Format::Table => {
            let rows: Vec<_> = overview.parked.iter().map(row).collect();
            let mut table =
                Table::new([Align::Left, Align::Right, Align::Left, Align::Right, Align::Left]);
            table.write(out.writer(), &rows).map_err(CliError::Output)
        }
        Format::Json => {
            let mut array = JsonArray::default();
            for parked in &overview.parked {
                let line = ParkedLine {
                    stream: &parked.key,
                    event: parked.order,
                    reason: &parked.reason,
                    attempts: parked.attempts,
                    since: format_timestamp(since(parked)),
                    redrive: parked.redrive,
                };
                array.push(out, &line)?;
            }
            array.end(out)
        }
    }
}

fn row(parked: &Parked) -> [String; 5] {
    [
        parked.key.clone(),
        format!("event {}", parked.order),
        time_for_people(since(parked)),
        counted(parked.attempts.into(), "attempt"),
        parked.reason.clone(),
    ]
}

fn since(parked: &Parked) -> Timestamp {
    Timestamp::from_second(parked.since).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn told(stream: &str, done: &'static str, out: &mut Output<'_>) -> Result<(), CliError> {
    match out.format() {
        Format::Table => out.line(&format!("{stream}: {done}")),
        Format::Json => out.json(&Told { stream, done }),
    }
}

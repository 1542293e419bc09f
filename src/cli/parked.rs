//! `cosmos-es parked`: the streams that a processor has set aside, and what is done about them.

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
    feed::{
        Control, ControlError, Overview,
        documents::{Discarded, Parked},
    },
};

/// What is said of a stream that is to be tried again.
const REDRIVEN: &str = "is tried again";

const EXAMPLES: &str = "\
A stream is parked when its events were refused, or tried too often; its later events wait behind it.
redrive lets the workers try the events that waited again, in order, and then those that come; --all does
so for all streams. With --from, what is before that event is given up. When it fails again, the stream is
parked again. discard lets the stream go: events that were stored before are given up, later ones are
handled; that, and the reason, is kept for 90 days. Workers carry both out within seconds. What gives something up asks first on a
terminal, and needs --yes elsewhere.

With --output json, list is one array of objects with stream, event, reason, attempts, since, redrive and discard;
discarded is one of stream, event, parked, reason and at; redrive and discard are objects of stream and
done, one for each stream.

Examples:
  cosmos-es parked
  cosmos-es parked list --processor mails --output json
  cosmos-es parked redrive quote-7
  cosmos-es parked redrive --all
  cosmos-es parked discard quote-7 --reason 'was sent by hand' --yes
  cosmos-es parked discarded";

/// List the streams that a change-feed processor has set aside; try one again, or give it up
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct ParkedArgs {
    /// What is done
    #[arg(value_enum, default_value_t, value_name = "ACTION")]
    action: Action,
    /// The stream; not for the lists
    #[arg(value_name = "STREAM")]
    stream: Option<String>,
    /// Try all parked streams again
    #[arg(long, env = "COSMOS_ES_PARKED_ALL")]
    all: bool,
    /// The event with which a stream is tried again [default: the first that was not handled]
    #[arg(long, env = "COSMOS_ES_PARKED_FROM", value_name = "EVENT")]
    from: Option<u64>,
    /// Why a stream is given up
    #[arg(long, env = "COSMOS_ES_PARKED_REASON", value_name = "TEXT")]
    reason: Option<String>,
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
    /// Tries the events that were not handled again
    Redrive,
    /// Gives up the events that were not handled
    Discard,
    /// Shows what was given up in the last 90 days
    Discarded,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Order {
    List,
    Discarded,
    Redrive { stream: String, from: Option<u64> },
    RedriveAll,
    Discard { stream: String, reason: String },
}

impl ParkedArgs {
    fn order(&self) -> Result<Order, CliError> {
        let wrong = |text: &str| Err(CliError::Usage(text.to_owned()));
        let is_redrive = self.action == Action::Redrive;
        match () {
            () if self.reason.is_some() && self.action != Action::Discard => {
                return wrong("--reason is for discard");
            }
            () if (self.all || self.from.is_some()) && !is_redrive => {
                return wrong("--all and --from are for redrive");
            }
            () if self.all && (self.from.is_some() || self.stream.is_some()) => {
                return wrong("--all takes neither a stream nor --from");
            }
            () => {}
        }
        match (self.action, self.stream.clone()) {
            (Action::List, None) => Ok(Order::List),
            (Action::Discarded, None) => Ok(Order::Discarded),
            (Action::List | Action::Discarded, Some(_)) => wrong("a list takes no stream"),
            (Action::Redrive, None) if self.all => Ok(Order::RedriveAll),
            (_, None) => wrong("name the stream; `cosmos-es parked` lists them"),
            (Action::Redrive, Some(stream)) => Ok(Order::Redrive { stream, from: self.from }),
            (Action::Discard, Some(stream)) => match self.reason.clone() {
                Some(reason) => Ok(Order::Discard { stream, reason }),
                None => wrong("discard needs --reason: why the events are given up"),
            },
        }
    }
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
    discard: bool,
}

/// A stream that was given up, for programs.
#[derive(Debug, Serialize)]
struct DiscardedLine<'a> {
    stream: &'a str,
    event: u64,
    parked: &'a str,
    reason: &'a str,
    at: String,
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
    let order = args.order()?;
    let gives_up = match &order {
        Order::Discard { stream, .. } | Order::Redrive { stream, from: Some(_) } => Some(stream),
        _ => None,
    };
    if let Some(stream) = gives_up.filter(|_| !args.yes) {
        until_stopped(confirm(stream), stop).await?;
    }
    let account = Account::open(args.target.target()?, Missing::Refuse).await?;
    let doing = async {
        account.connect().await?;
        let control = control(&account, &args.processor.name).await?;
        carry_out(&control, order, out).await
    };
    let result = until_stopped(doing, stop).await;
    let closed = account.close().await;
    result.and(closed)
}

async fn carry_out(control: &Control, order: Order, out: &mut Output<'_>) -> Result<(), CliError> {
    match order {
        Order::List => list(control, out).await,
        Order::Discarded => list_discarded(control, out).await,
        Order::Redrive { stream, from } => {
            control.redrive(&stream, from).await.map_err(of_stream)?;
            told(&stream, REDRIVEN, out)
        }
        Order::RedriveAll => {
            for parked in overview(control).await?.parked {
                match control.redrive(&parked.key, None).await {
                    Ok(()) => told(&parked.key, REDRIVEN, out)?,
                    // Somebody has let it go meanwhile.
                    Err(ControlError::NotParked) => {}
                    Err(error) => return Err(of_stream(error)),
                }
            }
            Ok(())
        }
        Order::Discard { stream, reason } => {
            control.discard(&stream, &reason).await.map_err(of_stream)?;
            told(&stream, "is given up", out)
        }
    }
}

/// The failure in the words of events: their keys are streams.
fn of_stream(error: ControlError) -> CliError {
    match error {
        ControlError::NotParked => CliError::Parked(
            "the stream is not parked; `cosmos-es parked` lists those that are".to_owned(),
        ),
        ControlError::BeforeParked(event) => CliError::Parked(format!(
            "the stream is parked at event {event} and cannot be tried again from an earlier one"
        )),
        other => other.into(),
    }
}

async fn overview(control: &Control) -> Result<Overview, CliError> {
    let overview = control.overview().await?;
    if overview.topology.is_none() {
        return Err(ControlError::NoProcessor.into());
    }
    Ok(overview)
}

/// Asks on the terminal.
async fn confirm(stream: &str) -> Result<(), CliError> {
    if !std::io::stdin().is_terminal() {
        return Err(CliError::Usage(
            "what gives events up needs --yes where nobody can be asked".to_owned(),
        ));
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
    if is_yes { Ok(()) } else { Err(CliError::Usage("nothing was given up".to_owned())) }
}

async fn list(control: &Control, out: &mut Output<'_>) -> Result<(), CliError> {
    let overview = overview(control).await?;
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
                    since: format_timestamp(time(parked.since)),
                    redrive: parked.redrive && parked.discard.is_none(),
                    discard: parked.discard.is_some(),
                };
                array.push(out, &line)?;
            }
            array.end(out)
        }
    }
}

fn row(parked: &Parked) -> [String; 5] {
    let again = match (&parked.discard, parked.redrive) {
        (Some(_), _) => " (is given up)",
        (None, true) => " (is tried again)",
        (None, false) => "",
    };
    [
        parked.key.clone(),
        format!("event {}", parked.order),
        time_for_people(time(parked.since)),
        counted(parked.attempts.into(), "attempt"),
        format!("{}{again}", parked.reason),
    ]
}

async fn list_discarded(control: &Control, out: &mut Output<'_>) -> Result<(), CliError> {
    let overview = overview(control).await?;
    let line = |discarded: &Discarded| {
        let (event, time) =
            (format!("event {}", discarded.order), time_for_people(time(discarded.at)));
        [discarded.key.clone(), event, time, discarded.reason.clone(), discarded.parked.clone()]
    };
    match out.format() {
        Format::Table => {
            let rows: Vec<_> = overview.discarded.iter().map(line).collect();
            let mut table =
                Table::new([Align::Left, Align::Right, Align::Left, Align::Left, Align::Left]);
            table.write(out.writer(), &rows).map_err(CliError::Output)
        }
        Format::Json => {
            let mut array = JsonArray::default();
            for Discarded { key, order, parked, reason, at } in &overview.discarded {
                let at = format_timestamp(time(*at));
                let line = DiscardedLine { stream: key, event: *order, parked, reason, at };
                array.push(out, &line)?;
            }
            array.end(out)
        }
    }
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn told(stream: &str, done: &'static str, out: &mut Output<'_>) -> Result<(), CliError> {
    match out.format() {
        Format::Table => out.line(&format!("{stream}: {done}")),
        Format::Json => out.json(&Told { stream, done }),
    }
}

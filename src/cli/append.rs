//! `cosmos-es append`: stores events of the caller's own.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::{ArgGroup, Args};
use jiff::Timestamp;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{
    CliError,
    args::{Format, TargetArgs, parse_time},
    line::parse_new,
    output::Output,
    secret::Secret,
    target::{Account, Missing},
    until_stopped,
};
use crate::{
    event::{EventId, Metadata, NewEvent},
    store::{AppendOptions, AppendOutcome, BATCH_BYTES_MAX},
    stream::ExpectedVersion,
};

/// The bytes that are read of data and of files of events: more would not fit into a transaction,
/// however it is written.
const INPUT_BYTES_MAX: u64 = 8 * 1024 * 1024;

const EXAMPLES: &str = "\
--expected is what the stream must be: any, noStream, streamExists, or the number of its last event.
An append that is repeated with the same event ids and the same content is not stored again. With
--output json the result is one object: outcome (appended or repeated), stream, first, last, eventIds,
requestCharge and roundTrips.

--events names a file with one JSON object on each line: type, data, and optionally eventId, time,
schemaVersion and metadata. All of them are stored, or none.

Examples:
  cosmos-es append quote-1 --type QuoteInitiated --data '{\"country\":\"IN\"}' --expected noStream
  cosmos-es append quote-1 --type QuoteSaved --data @saved.json --expected 1
  cosmos-es append quote-1 --events events.jsonl --output json";

/// Append events to a stream: all of them, once, or none
#[derive(Debug, Clone, Args)]
#[command(
    after_help = EXAMPLES,
    group = ArgGroup::new("content").required(true).args(["event_type", "events"])
)]
pub struct AppendArgs {
    /// The stream
    stream: String,
    /// Type of the event
    #[arg(
        long = "type",
        id = "event_type",
        env = "COSMOS_ES_APPEND_TYPE",
        value_name = "TYPE",
        requires = "data"
    )]
    event_type: Option<String>,
    /// Data of the event: JSON, @ and the name of a file with it, or - for standard input
    #[arg(
        long,
        env = "COSMOS_ES_APPEND_DATA",
        hide_env_values = true,
        value_name = "JSON",
        allow_hyphen_values = true
    )]
    data: Option<Secret>,
    /// File of events that become one commit; - reads standard input
    #[arg(
        long,
        env = "COSMOS_ES_APPEND_EVENTS",
        value_name = "FILE",
        conflicts_with_all = ["data", "event_id", "metadata", "time", "schema_version"]
    )]
    events: Option<PathBuf>,
    /// What the stream must be: any, noStream, streamExists, or the number of its last event
    #[arg(long, env = "COSMOS_ES_APPEND_EXPECTED", default_value = "any", value_name = "VERSION")]
    expected: Expected,
    /// Id of the event, a UUID [default: a random one]
    #[arg(long, env = "COSMOS_ES_APPEND_EVENT_ID", value_name = "UUID")]
    event_id: Option<EventId>,
    /// Metadata: JSON with correlationId, causationId, traceparent, tracestate, actor and custom
    #[arg(long, env = "COSMOS_ES_APPEND_METADATA", hide_env_values = true, value_name = "JSON")]
    metadata: Option<Secret>,
    /// When it happened (RFC 3339) [default: now]
    #[arg(long, env = "COSMOS_ES_APPEND_TIME", value_name = "TIME", value_parser = parse_time)]
    time: Option<Timestamp>,
    /// Version of the schema of the data [default: 1]
    #[arg(long, env = "COSMOS_ES_APPEND_SCHEMA_VERSION", value_name = "N")]
    schema_version: Option<u32>,
    /// Type of the aggregate [default: the part of the stream's name before the first hyphen]
    #[arg(long, env = "COSMOS_ES_APPEND_AGGREGATE_TYPE", value_name = "NAME")]
    aggregate_type: Option<String>,
    #[command(flatten)]
    target: TargetArgs,
}

/// What the stream must be, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Expected(ExpectedVersion);

impl FromStr for Expected {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self(match text {
            "any" => ExpectedVersion::Any,
            "noStream" | "no-stream" => ExpectedVersion::NoStream,
            "streamExists" | "stream-exists" => ExpectedVersion::StreamExists,
            number => ExpectedVersion::Exact(number.parse().map_err(|_| {
                "expected any, noStream, streamExists, or the number of the last event".to_owned()
            })?),
        }))
    }
}

/// Where the events are, for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Appended<'a> {
    outcome: &'static str,
    stream: &'a str,
    first: u64,
    last: u64,
    event_ids: &'a [EventId],
    request_charge: f64,
    round_trips: u32,
}

pub(super) async fn run(
    args: AppendArgs,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    // Standard input may never end, so it is read on a thread that nobody has to wait for.
    let of = args.clone();
    let reading = tokio::task::spawn_blocking(move || events(&of));
    let reading = async { reading.await.map_err(|error| CliError::Usage(error.to_string()))? };
    let events = until_stopped(reading, stop).await?;
    // From here on Ctrl-C waits: an append is not left halfway.
    let ids: Vec<EventId> = events.iter().map(NewEvent::id).collect();
    let account = Account::open(args.target.target()?, Missing::Create).await?;
    let appending = async {
        let store = account.connect().await?;
        let mut options = AppendOptions::default();
        options.aggregate_type.clone_from(&args.aggregate_type);
        let expected = args.expected.0;
        Ok(store.append_with(args.stream.as_str(), expected, events, options).await?)
    };
    let outcome: Result<AppendOutcome, CliError> = appending.await;
    let closed = account.close().await;
    print(&outcome?, &ids, out)?;
    closed
}

fn events(args: &AppendArgs) -> Result<Vec<NewEvent>, CliError> {
    if let Some(path) = &args.events {
        return from_file(path);
    }
    let data = args.data.as_ref().map(Secret::as_str);
    let (Some(event_type), Some(data)) = (&args.event_type, data) else {
        return Err(CliError::Usage("either --type and --data, or --events".to_owned()));
    };
    let data = match (data, data.strip_prefix('@')) {
        ("-", _) => read_text(Path::new("-"))?,
        (_, Some(path)) => read_text(Path::new(path))?,
        (text, None) => text.to_owned(),
    };
    let mut event = NewEvent::from_json(event_type.as_str(), &data)?;
    if let Some(id) = args.event_id {
        event = event.with_id(id);
    }
    if let Some(metadata) = &args.metadata {
        event = event.with_metadata(Metadata::from_json(metadata.as_str())?)?;
    }
    if let Some(time) = args.time {
        event = event.with_occurred_at(time)?;
    }
    if let Some(version) = args.schema_version {
        event = event.with_schema_version(version)?;
    }
    Ok(vec![event])
}

fn from_file(path: &Path) -> Result<Vec<NewEvent>, CliError> {
    let text = read_text(path)?;
    let lines = (1_u64..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            parse_new(line).map_err(|error| {
                CliError::Usage(format!("{}, line {number}: {error}", path.display()))
            })
        })
        .collect()
}

/// Reads a file, or standard input for `-`.
fn read_text(path: &Path) -> Result<String, CliError> {
    let failed = |source| CliError::File { path: path.to_owned(), source };
    let input: Box<dyn io::Read> = if path.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(fs::File::open(path).map_err(failed)?)
    };
    let mut text = String::new();
    input.take(INPUT_BYTES_MAX.saturating_add(1)).read_to_string(&mut text).map_err(failed)?;
    let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
    if bytes > INPUT_BYTES_MAX {
        let (path, max) = (path.display(), BATCH_BYTES_MAX);
        return Err(CliError::Usage(format!(
            "{path} is too large: one commit has at most {max} bytes"
        )));
    }
    Ok(text)
}

fn print(outcome: &AppendOutcome, ids: &[EventId], out: &mut Output<'_>) -> Result<(), CliError> {
    let receipt = outcome.receipt();
    if out.format() == Format::Json {
        return out.json(&Appended {
            outcome: if outcome.is_repeated() { "repeated" } else { "appended" },
            stream: receipt.stream.as_str(),
            first: receipt.first,
            last: receipt.last,
            event_ids: ids,
            request_charge: receipt.request_charge,
            round_trips: receipt.round_trips,
        });
    }
    let what = if outcome.is_repeated() { "repeated, it was stored before" } else { "appended" };
    let which = if receipt.first == receipt.last {
        format!("event {}", receipt.first)
    } else {
        format!("events {} to {}", receipt.first, receipt.last)
    };
    out.line(&format!("{which} of {}: {what}", receipt.stream))?;
    ids.iter().try_for_each(|id| out.line(&format!("  {id}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectations_are_words_or_a_number() {
        for (text, expected) in [
            ("any", ExpectedVersion::Any),
            ("noStream", ExpectedVersion::NoStream),
            ("streamExists", ExpectedVersion::StreamExists),
            ("7", ExpectedVersion::Exact(7)),
        ] {
            assert_eq!(text.parse(), Ok(Expected(expected)));
        }
        assert!("latest".parse::<Expected>().is_err());
        assert!("-1".parse::<Expected>().is_err());
    }
}

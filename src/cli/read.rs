//! `cosmos-es read`: the events of a stream.

use clap::Args;
use futures::TryStreamExt as _;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{
    CliError,
    args::{Format, TargetArgs, parse_time},
    line::EventLine,
    output::{JsonArray, Output},
    say,
    table::{Align, Table},
    target::{Account, Missing},
    until_stopped,
};
use crate::{
    event::RecordedEvent,
    store::{EventStore, ReadStream},
};

/// The width of the column of sequence numbers, at least.
const NUMBER_WIDTH: usize = 4;

const EXAMPLES: &str = "\
With --output json the result is one array of events, in the fields of an export: aggregateId,
sequenceNumber, type, time, data, eventId, aggregateType, schemaVersion, metadata (unless empty),
commit {first, size}, recordedAt and contentHash. A stream that does not exist has no events.

Examples:
  cosmos-es read quote-1
  cosmos-es read quote-1 --backwards --limit 1
  cosmos-es read quote-1 --from 3 --to 5 --output json
  cosmos-es read quote-1 --as-of 2026-11-20T10:00:00Z";

/// Print the events of a stream
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct ReadArgs {
    /// The stream
    stream: String,
    /// Leave out what comes before this sequence number
    #[arg(long, env = "COSMOS_ES_READ_FROM", default_value_t = 1, value_name = "N")]
    from: u64,
    /// Leave out what comes behind this sequence number
    #[arg(long, env = "COSMOS_ES_READ_TO", value_name = "N")]
    to: Option<u64>,
    /// Newest event first
    #[arg(long, env = "COSMOS_ES_READ_BACKWARDS")]
    backwards: bool,
    /// At most so many events
    #[arg(long, env = "COSMOS_ES_READ_LIMIT", value_name = "N")]
    limit: Option<u64>,
    /// Only what was recorded at or before this time (RFC 3339)
    #[arg(long, env = "COSMOS_ES_READ_AS_OF", value_name = "TIME", value_parser = parse_time)]
    as_of: Option<Timestamp>,
    #[command(flatten)]
    target: TargetArgs,
}

pub(super) async fn run(
    args: ReadArgs,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let account = Account::open(args.target.target()?, Missing::Refuse).await?;
    let reading = async { print(&args, &account.connect().await?, out).await };
    let result = until_stopped(reading, stop).await;
    let closed = account.close().await;
    result.and(closed)
}

async fn print(args: &ReadArgs, store: &EventStore, out: &mut Output<'_>) -> Result<(), CliError> {
    let mut pages = describe(args, store).pages();
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut printed = 0_u64;
    let (mut table, mut array) = (event_table(), JsonArray::default());
    while left > 0
        && let Some(mut page) = pages.try_next().await?
    {
        page.events.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        let events = u64::try_from(page.events.len()).unwrap_or(u64::MAX);
        left = left.saturating_sub(events);
        printed = printed.saturating_add(events);
        match out.format() {
            Format::Table => {
                let rows: Vec<_> = page.events.iter().map(row).collect();
                table.write(out.writer(), &rows).map_err(CliError::Output)?;
            }
            Format::Json => {
                for event in &page.events {
                    array.push(out, &EventLine::new(event))?;
                }
            }
        }
    }
    match out.format() {
        Format::Json => array.end(out),
        Format::Table => {
            if printed == 0 {
                say(&format!("stream {} has no such events", args.stream));
            }
            Ok(())
        }
    }
}

fn describe(args: &ReadArgs, store: &EventStore) -> ReadStream {
    let mut read = store.read(args.stream.as_str()).from(args.from);
    if let Some(limit) = args.limit.and_then(|limit| u32::try_from(limit).ok())
        && limit < crate::config::PAGE_EVENTS
    {
        read = read.page_events(limit);
    }
    if let Some(to) = args.to {
        read = read.up_to(to);
    }
    if let Some(time) = args.as_of {
        read = read.as_of(time);
    }
    if args.backwards { read.backwards() } else { read }
}

fn event_table() -> Table<4> {
    Table::new([Align::Right, Align::Left, Align::Left, Align::Left]).with_widths([
        NUMBER_WIDTH,
        0,
        0,
        0,
    ])
}

fn row(event: &RecordedEvent) -> [String; 4] {
    [
        event.sequence_number().to_string(),
        time_for_people(event.occurred_at()),
        event.event_type().to_string(),
        by_whom(event),
    ]
}

/// A time to the millisecond.
pub(super) fn time_for_people(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// Who did it, where that is known.
pub(super) fn by_whom(event: &RecordedEvent) -> String {
    event.metadata().actor.as_deref().map(|actor| format!("by {actor}")).unwrap_or_default()
}

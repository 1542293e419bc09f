//! `cosmos-es streams`: all streams.

use clap::Args;
use futures::TryStreamExt as _;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{
    CliError,
    args::{Format, TargetArgs},
    output::{JsonArray, Output},
    read::time_for_people,
    table::{Align, Table},
    target::{Account, Missing},
    until_stopped,
};
use crate::{event::RecordedEvent, store::EventStore};

const EXAMPLES: &str = "\
The order is that of the store's partitions. With --output json the result is one array of objects with
stream, aggregateType, firstEventType and firstEventTime.

Examples:
  cosmos-es streams
  cosmos-es streams --limit 10 --output json";

/// List the streams, each with its first event
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct StreamsArgs {
    /// At most so many streams
    #[arg(long, env = "COSMOS_ES_STREAMS_LIMIT", value_name = "N")]
    limit: Option<u64>,
    #[command(flatten)]
    target: TargetArgs,
}

/// A stream, for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StreamLine<'a> {
    stream: &'a str,
    aggregate_type: &'a str,
    first_event_type: &'a str,
    first_event_time: String,
}

pub(super) async fn run(
    args: StreamsArgs,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let account = Account::open(args.target.target()?, Missing::Refuse).await?;
    let listing = async { print(&args, &account.connect().await?, out).await };
    let result = until_stopped(listing, stop).await;
    let closed = account.close().await;
    result.and(closed)
}

async fn print(
    args: &StreamsArgs,
    store: &EventStore,
    out: &mut Output<'_>,
) -> Result<(), CliError> {
    let mut list = store.streams();
    let mut left = args.limit.unwrap_or(u64::MAX);
    if let Some(limit) = args.limit.and_then(|limit| u32::try_from(limit).ok())
        && limit < crate::config::PAGE_EVENTS
    {
        list = list.page_events(limit);
    }
    let mut pages = list.pages();
    let mut table = Table::new([Align::Left; 4]);
    let mut array = JsonArray::default();
    while left > 0
        && let Some(mut page) = pages.try_next().await?
    {
        page.first_events.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        left = left.saturating_sub(u64::try_from(page.first_events.len()).unwrap_or(u64::MAX));
        match out.format() {
            Format::Table => {
                let rows: Vec<_> = page.first_events.iter().map(row).collect();
                table.write(out.writer(), &rows).map_err(CliError::Output)?;
            }
            Format::Json => {
                for event in &page.first_events {
                    array.push(out, &line(event))?;
                }
            }
        }
    }
    if out.format() == Format::Json { array.end(out) } else { Ok(()) }
}

fn row(event: &RecordedEvent) -> [String; 4] {
    [
        event.stream().to_owned(),
        event.aggregate_type().to_owned(),
        time_for_people(event.occurred_at()),
        event.event_type().to_string(),
    ]
}

fn line(event: &RecordedEvent) -> StreamLine<'_> {
    StreamLine {
        stream: event.stream(),
        aggregate_type: event.aggregate_type(),
        first_event_type: event.event_type().as_str(),
        first_event_time: crate::event::format_timestamp(event.occurred_at()),
    }
}

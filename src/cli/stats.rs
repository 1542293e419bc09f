//! `cosmos-es stats`: how much is stored.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{
    CliError,
    args::{Format, TargetArgs},
    output::Output,
    table::{Align, Table, counted, grouped},
    target::{Account, Missing},
    until_stopped,
};
use crate::store::TypeCounts;

const EXAMPLES: &str = "\
Every event is looked at, though not its data. With --output json the result is one object: streams,
events, types {type: events}, requestCharge and roundTrips.

Examples:
  cosmos-es stats
  cosmos-es stats --output json";

/// Count streams and events
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct StatsArgs {
    #[command(flatten)]
    target: TargetArgs,
}

/// The counts, for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    streams: u64,
    events: u64,
    types: BTreeMap<String, u64>,
    request_charge: f64,
    round_trips: u32,
}

pub(super) async fn run(
    args: StatsArgs,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let account = Account::open(args.target.target()?, Missing::Refuse).await?;
    let counting = async { Ok(account.connect().await?.counts_by_type().await?) };
    let counts = until_stopped(counting, stop).await;
    let closed = account.close().await;
    print(counts?, out)?;
    closed
}

fn print(counts: TypeCounts, out: &mut Output<'_>) -> Result<(), CliError> {
    let TypeCounts { total, events_by_type: types, .. } = counts;
    if out.format() == Format::Json {
        return out.json(&Stats {
            streams: total.streams,
            events: total.events,
            types,
            request_charge: total.usage.request_charge,
            round_trips: total.usage.round_trips,
        });
    }
    out.line(&format!("{}  {}", counted(total.events, "event"), counted(total.streams, "stream")))?;
    let mut by_count: Vec<_> = types.into_iter().collect();
    by_count.sort_by(|(a, a_events), (b, b_events)| b_events.cmp(a_events).then(a.cmp(b)));
    let rows: Vec<_> = by_count.into_iter().map(|(name, events)| [grouped(events), name]).collect();
    Table::new([Align::Right, Align::Left])
        .with_widths([8, 0])
        .write(out.writer(), &rows)
        .map_err(CliError::Output)
}

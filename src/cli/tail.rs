//! `cosmos-es tail`: events as they are stored, from the change feed.

use std::time::Duration;

use clap::{ArgAction, Args, builder::BoolishValueParser};
use tokio_util::sync::CancellationToken;

use super::{
    CliError,
    args::{Format, TargetArgs},
    line::EventLine,
    output::Output,
    read::{by_whom, time_for_people},
    table::{Align, Table},
    target::{Account, Missing},
};
use crate::{
    cosmos::is_loopback,
    event::RecordedEvent,
    store::{Changes, ChangesFrom},
};

/// The wait when there is nothing new, on loopback, where asking costs nothing.
const WAIT_LOOPBACK: Duration = Duration::from_millis(100);
/// The first wait when there is nothing new, elsewhere.
const WAIT_MIN: Duration = Duration::from_millis(250);
/// The longest wait: every question costs a request unit for each partition.
const WAIT_MAX: Duration = Duration::from_secs(5);

const EXAMPLES: &str = "\
Events of one stream come in their order; between streams of different partitions there is none. With
--output json each event is one line (JSON Lines), in the fields of `cosmos-es read`.

Examples:
  cosmos-es tail
  cosmos-es tail --from-start --no-follow --output json
  cosmos-es tail --limit 1 --output json";

/// Print events as they are stored, until Ctrl-C
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct TailArgs {
    /// Begin with the first event that was ever stored, not with the next one
    #[arg(long, env = "COSMOS_ES_TAIL_FROM_START")]
    from_start: bool,
    /// Stop when everything that is stored has been printed
    #[arg(
        long = "no-follow",
        env = "COSMOS_ES_TAIL_NO_FOLLOW",
        action = ArgAction::SetTrue,
        value_parser = BoolishValueParser::new(),
        overrides_with = "follow"
    )]
    no_follow: bool,
    /// Go on waiting for events; the default
    #[arg(long, env = "COSMOS_ES_TAIL_FOLLOW", overrides_with = "no_follow")]
    follow: bool,
    /// Stop behind so many events
    #[arg(long, env = "COSMOS_ES_TAIL_LIMIT", value_name = "N")]
    limit: Option<u64>,
    #[command(flatten)]
    target: TargetArgs,
}

pub(super) async fn run(
    args: TailArgs,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let account = Account::open(args.target.target()?, Missing::Create).await?;
    // Ctrl-C is how a tail ends.
    let result = tokio::select! {
        biased;
        result = tail(&args, &account, out) => result,
        () = stop.cancelled() => Ok(()),
    };
    let closed = account.close().await;
    result.and(closed)
}

async fn tail(args: &TailArgs, account: &Account, out: &mut Output<'_>) -> Result<(), CliError> {
    let store = account.connect().await?;
    let from = if args.from_start { ChangesFrom::Beginning } else { ChangesFrom::Now };
    let mut changes = store.changes(from).await?;
    let mut waits = Waits::new(is_loopback(&account.options.endpoint));
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut table = Table::new([Align::Left, Align::Right, Align::Left, Align::Left, Align::Left]);
    let mut has_caught_up = false;
    while left > 0 {
        let mut events = next(&mut changes).await?;
        if events.is_empty() {
            if !has_caught_up {
                has_caught_up = true;
                tracing::info!("waiting for events");
            }
            if args.no_follow {
                break;
            }
            tokio::time::sleep(waits.next()).await;
            continue;
        }
        waits.reset();
        events.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        left = left.saturating_sub(u64::try_from(events.len()).unwrap_or(u64::MAX));
        match out.format() {
            Format::Table => {
                let rows: Vec<_> = events.iter().map(row).collect();
                table.write(out.writer(), &rows).map_err(CliError::Output)?;
            }
            Format::Json => {
                for event in &events {
                    out.json(&EventLine::new(event))?;
                }
            }
        }
        out.flush()?;
    }
    Ok(())
}

async fn next(changes: &mut Changes) -> Result<Vec<RecordedEvent>, CliError> {
    Ok(Box::pin(changes.next_page()).await?.events)
}

fn row(event: &RecordedEvent) -> [String; 5] {
    [
        event.stream().to_owned(),
        event.sequence_number().to_string(),
        time_for_people(event.occurred_at()),
        event.event_type().to_string(),
        by_whom(event),
    ]
}

/// How long to wait when there is nothing new: longer and longer, unless asking costs nothing.
#[derive(Debug)]
struct Waits {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Waits {
    fn new(is_loopback: bool) -> Self {
        let (min, max) =
            if is_loopback { (WAIT_LOOPBACK, WAIT_LOOPBACK) } else { (WAIT_MIN, WAIT_MAX) };
        Self { min, max, next: min }
    }

    fn next(&mut self) -> Duration {
        let wait = self.next;
        self.next = wait.saturating_mul(2).min(self.max);
        wait
    }

    fn reset(&mut self) {
        self.next = self.min;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_where_asking_costs() {
        let mut waits = Waits::new(false);
        let seconds: Vec<_> = (0..7).map(|_| waits.next().as_secs_f64()).collect();
        assert_eq!(seconds, [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]);
        waits.reset();
        assert_eq!(waits.next(), WAIT_MIN);
        let mut waits = Waits::new(true);
        waits.next();
        assert_eq!(waits.next(), WAIT_LOOPBACK);
    }
}

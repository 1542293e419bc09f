//! `cosmos-es lag`: how far a processor is behind, range by range, as [`feed::lag`](crate::feed::lag) finds it.

pub(super) mod telling;

use std::{io::IsTerminal as _, time::Duration};

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{
    CliError,
    args::{Format, ProcessorArg, TargetArgs},
    output::{JsonArray, Output},
    processors::LEASES_CONTAINER,
    say,
    table::{Align, Table, counted, grouped},
    target::{Account, Missing},
    until_stopped,
    worker::host::open_feed,
};
use crate::feed::{
    ControlError,
    lag::{LagReader, RangeLag},
};

/// Between two looks with --watch.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
const EXAMPLES: &str = "\
The states: idle, nothing to do; working; stalled, nothing was finished for 30 seconds though there is
something to do; paused; unowned, no worker has it. Transactions are counted by their numbers, so there
may be fewer. --watch waits for a processor that nobody has started yet, and for a store that has gone
away. With --output json the result is one array of objects with range, owner, epoch, lagSeconds,
lagTransactions and state.

Examples:
  cosmos-es lag
  cosmos-es lag --processor mails --watch
  cosmos-es lag --output json";

/// Show how far a change-feed processor is behind, and who works on what
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct LagArgs {
    #[command(flatten)]
    processor: ProcessorArg,
    /// Look again every second, until Ctrl-C
    #[arg(long, env = "COSMOS_ES_LAG_WATCH")]
    watch: bool,
    #[command(flatten)]
    target: TargetArgs,
}

pub(super) async fn run(
    args: LagArgs,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let mut account = Account::open(args.target.target()?, Missing::Refuse).await?;
    let showing = show(&args, &mut account, out);
    let result = if args.watch {
        // Ctrl-C is how a watch ends.
        tokio::select! {
            biased;
            result = showing => result,
            () = stop.cancelled() => Ok(()),
        }
    } else {
        until_stopped(showing, stop).await
    };
    let closed = account.close().await;
    result.and(closed)
}

/// Shows the ranges, once or again and again. Once it has begun to watch it goes on, also when the store
/// goes away, or nobody has started the processor yet.
async fn show(args: &LagArgs, account: &mut Account, out: &mut Output<'_>) -> Result<(), CliError> {
    account.connect().await?;
    let mut source = Some(open(account).await?);
    let mut view = View::new(out);
    let mut said = None;
    loop {
        match look(&mut source, account, &args.processor.name).await {
            Ok(lines) => {
                view.paint(&lines, out)?;
                said = None;
            }
            Err(error) if args.watch => {
                let reason = error.one_line();
                if said.as_ref() != Some(&reason) {
                    say(&format!("waiting: {reason}"));
                    view.leave();
                }
                said = Some(reason);
            }
            Err(error) => return Err(error),
        }
        if !args.watch {
            return Ok(());
        }
        out.flush()?;
        tokio::time::sleep(WATCH_INTERVAL).await;
    }
}

/// What is printed.
struct View {
    table: Table<6>,
    is_terminal: bool,
    /// The lines above the cursor that the next ones replace.
    painted: usize,
}

impl View {
    fn new(out: &Output<'_>) -> Self {
        let (left, right) = (Align::Left, Align::Right);
        let table = Table::new([left, left, left, right, right, left]);
        let is_terminal = out.format() == Format::Table && std::io::stdout().is_terminal();
        Self { table, is_terminal, painted: 0 }
    }

    fn paint(&mut self, lines: &[RangeLag], out: &mut Output<'_>) -> Result<(), CliError> {
        match out.format() {
            Format::Json => {
                let mut array = JsonArray::default();
                lines.iter().try_for_each(|line| array.push(out, line))?;
                array.end(out)
            }
            Format::Table => {
                if self.is_terminal && self.painted > 0 {
                    // Back to the first of the lines, and away with them.
                    write!(out.writer(), "\x1b[{}A\x1b[J", self.painted)
                        .map_err(CliError::Output)?;
                }
                let rows: Vec<_> = lines.iter().map(row).collect();
                self.painted = rows.len();
                self.table.write(out.writer(), &rows).map_err(CliError::Output)
            }
        }
    }

    /// Leaves what was painted where it is: something else stands below.
    fn leave(&mut self) {
        self.painted = 0;
    }
}

/// Opens what is asked.
pub(super) async fn open(account: &Account) -> Result<LagReader, CliError> {
    let feed = open_feed(account).await?;
    Ok(Box::pin(LagReader::open(&account.options, LEASES_CONTAINER, feed)).await?)
}

/// All ranges of the processor, in their order. What failed is opened anew the next time.
async fn look(
    source: &mut Option<LagReader>,
    account: &mut Account,
    processor: &str,
) -> Result<Vec<RangeLag>, CliError> {
    let reader = if let Some(reader) = source.take() {
        reader
    } else {
        account.rejoin().await?;
        open(account).await?
    };
    let found = reader.processor(processor).await?;
    *source = Some(reader);
    Ok(found.ok_or(ControlError::NoProcessor)?.ranges)
}

fn row(line: &RangeLag) -> [String; 6] {
    let unknown = || "unknown".to_owned();
    [
        line.range.clone(),
        line.owner.clone().unwrap_or_else(|| "-".to_owned()),
        format!("epoch {}", line.epoch),
        line.lag_seconds.map_or_else(unknown, |seconds| format!("{} s", grouped(seconds))),
        line.lag_transactions.map_or_else(unknown, |number| counted(number, "transaction")),
        line.state.as_str().to_owned(),
    ]
}

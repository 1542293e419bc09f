//! `cosmos-es lag`: how far a processor is behind, range by range.
//!
//! What a worker last wrote of its lag may be old. So the feed is asked behind the place that is durable:
//! the first change there is the oldest one that is not done, whether a worker runs or not.

use std::{io::IsTerminal as _, sync::Arc, time::Duration};

use clap::Args;
use futures::{StreamExt as _, stream};
use serde::Serialize;
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
};
use crate::{
    clock::{Clock as _, SystemClock},
    config::StoreOptions,
    feed::{
        ControlError, CosmosFeed, CosmosLeases, Feed as _, FeedFault, LeaseStore as _,
        documents::{Activity, Document, Host, Lag, Lease, Position, Saved, Stored, Topology},
        liveness::EXPIRY,
        options::STALLED_AFTER,
        restart,
    },
    projection::open_events,
};

/// Between two looks with --watch.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// The ranges that are asked at the same time.
const QUESTIONS_MAX: usize = 8;
/// After this time without a beat a worker is shown as gone: longer than its expiry, because the clock of
/// this machine is not that of the service.
const GONE_AFTER: Duration = EXPIRY.saturating_mul(2);
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

/// A range, for programs.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct RangeLine {
    range: String,
    /// The instance, where there is one.
    owner: Option<String>,
    epoch: u64,
    /// Nothing where the range cannot be read as it is, until a worker has seen to it.
    lag_seconds: Option<u64>,
    lag_transactions: Option<u64>,
    state: State,
}

/// What becomes of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum State {
    Idle,
    Working,
    Stalled,
    Paused,
    Unowned,
}

impl State {
    fn shown(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Working => "working",
            Self::Stalled => "stalled",
            Self::Paused => "paused",
            Self::Unowned => "unowned",
        }
    }
}

pub(super) async fn run(
    args: LagArgs,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let mut account = Account::open(args.target.target(), Missing::Refuse).await?;
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
    let mut source = Some(Source::open(account, &args.processor.name).await?);
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

    fn paint(&mut self, lines: &[RangeLine], out: &mut Output<'_>) -> Result<(), CliError> {
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

/// What is asked.
pub(super) struct Source {
    leases: CosmosLeases,
    feed: Arc<CosmosFeed>,
}

impl Source {
    pub(super) async fn open(account: &Account, processor: &str) -> Result<Self, CliError> {
        Self::of(&account.options, processor).await
    }

    pub(super) async fn of(account: &StoreOptions, processor: &str) -> Result<Self, CliError> {
        let feed = Arc::new(open_events(account).await?.with_page_changes(1));
        let leases = CosmosLeases::open(account, LEASES_CONTAINER, processor);
        Ok(Self { leases: Box::pin(leases).await?, feed })
    }

    /// How a processor over the same events is doing, in short; nothing where it was never started.
    pub(super) async fn summary(&self, processor: &str) -> Result<Option<Summary>, CliError> {
        let source = Self { leases: self.leases.of(processor), feed: Arc::clone(&self.feed) };
        let listed = source.leases.list().await?;
        let is_parked = |found: &&Stored<Document>| matches!(found.document, Document::Parked(_));
        let parked = u64::try_from(listed.iter().filter(is_parked).count()).unwrap_or(u64::MAX);
        let now = SystemClock::new().now().as_second();
        let known = match Known::new(listed, now) {
            Err(CliError::Control(ControlError::NoProcessor)) => return Ok(None),
            known => known?,
        };
        let hosts = known.alive();
        let lines = known.lines(&source.feed).await?;
        let seconds = lines.iter().map(|line| line.lag_seconds);
        let transactions = lines.iter().map(|line| line.lag_transactions);
        Ok(Some(Summary {
            lag_seconds: seconds
                .collect::<Option<Vec<u64>>>()
                .and_then(|all| all.into_iter().max()),
            lag_transactions: transactions.sum(),
            parked,
            hosts,
        }))
    }
}

/// How a processor is doing.
pub(super) struct Summary {
    /// Of the range that is furthest behind; nothing where that is not known.
    pub(super) lag_seconds: Option<u64>,
    /// Of all ranges.
    pub(super) lag_transactions: Option<u64>,
    /// Streams that are set aside.
    pub(super) parked: u64,
    /// The instances that work on it.
    pub(super) hosts: Vec<String>,
}

/// All ranges of the processor, in their order. What failed is opened anew the next time.
async fn look(
    source: &mut Option<Source>,
    account: &mut Account,
    processor: &str,
) -> Result<Vec<RangeLine>, CliError> {
    let open = if let Some(open) = source.take() {
        open
    } else {
        account.rejoin().await?;
        Source::open(account, processor).await?
    };
    let looked = ranges(&open).await;
    if matches!(looked, Ok(_) | Err(CliError::Control(ControlError::NoProcessor))) {
        *source = Some(open);
    }
    looked
}

async fn ranges(source: &Source) -> Result<Vec<RangeLine>, CliError> {
    let now = SystemClock::new().now().as_second();
    Known::new(source.leases.list().await?, now)?.lines(&source.feed).await
}

/// The oldest change that is not done, and how many transactions there are from it on; nothing where the
/// range cannot be read as it is.
async fn behind(
    feed: &CosmosFeed,
    range: &crate::feed::FeedRange,
    position: &Position,
) -> Result<Option<Behind>, CliError> {
    let reading = async {
        let mut reader = feed.open(range, position).await?;
        reader.next_page().await
    };
    let page = match reading.await {
        Ok(page) => page,
        Err(FeedFault::Moved | FeedFault::BadPosition(_)) => return Ok(None),
        Err(fault) => return Err(fault.into()),
    };
    let oldest = page.changes.iter().min_by_key(|change| change.lsn);
    Ok(Some(oldest.map_or(Behind::default(), |oldest| {
        let last = page.last_lsn.unwrap_or(oldest.lsn).max(oldest.lsn);
        let between = last.saturating_sub(oldest.lsn).saturating_add(1);
        Behind {
            since: Some(oldest.stored_at),
            transactions: u64::try_from(between).unwrap_or_default(),
        }
    })))
}

/// How far a range is behind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Behind {
    /// When the oldest change that is not done was stored, where there is one.
    since: Option<u64>,
    transactions: u64,
}

/// What the documents of a processor say.
struct Known {
    topology: Topology,
    saved: Option<Saved>,
    leases: Vec<Stored<Lease>>,
    hosts: Vec<Stored<Host>>,
    now: u64,
}

impl Known {
    fn new(listed: Vec<Stored<Document>>, now: i64) -> Result<Self, CliError> {
        let (mut topology, mut saved) = (None, None);
        let (mut leases, mut hosts) = (Vec::new(), Vec::new());
        for Stored { document, etag, stored_at } in listed {
            match document {
                Document::Topology(found) => topology = Some(found),
                Document::Lease(document) => leases.push(Stored { document, etag, stored_at }),
                Document::Host(document) => hosts.push(Stored { document, etag, stored_at }),
                Document::Saved(found) => saved = Some(found),
                Document::Parked(_) | Document::Discarded(_) => {}
            }
        }
        let topology = topology.ok_or(ControlError::NoProcessor)?;
        leases.sort_by(|one, other| one.document.range.cmp(&other.document.range));
        Ok(Self { topology, saved, leases, hosts, now: u64::try_from(now).unwrap_or_default() })
    }

    /// Where a lease goes on: where the processor was rewound to, unless its owner has seen that already.
    fn position(&self, lease: &Lease) -> Position {
        restart::next_place(&self.topology, self.saved.as_ref(), lease).position
    }

    /// The instance that has a lease, unless it is gone.
    fn owner(&self, lease: &Lease) -> Option<String> {
        let owner = lease.owner.as_ref().filter(|owner| self.topology.members.contains(owner))?;
        let is_owner = |host: &&Stored<Host>| host.document.incarnation == *owner;
        let host = self.hosts.iter().find(is_owner)?;
        let is_alive = self.age(host.stored_at) < GONE_AFTER;
        is_alive.then(|| host.document.instance.clone())
    }

    /// The instances that are alive, sorted.
    fn alive(&self) -> Vec<String> {
        let is_alive = |host: &&Stored<Host>| {
            self.topology.members.contains(&host.document.incarnation)
                && self.age(host.stored_at) < GONE_AFTER
        };
        let hosts = self.hosts.iter().filter(is_alive);
        let mut instances: Vec<String> = hosts.map(|host| host.document.instance.clone()).collect();
        instances.sort();
        instances
    }

    /// All ranges, asked for what is behind them.
    async fn lines(&self, feed: &Arc<CosmosFeed>) -> Result<Vec<RangeLine>, CliError> {
        let asked = self.leases.iter().map(|lease| {
            let range = lease.document.range.clone();
            let position = self.position(&lease.document);
            let feed = Arc::clone(feed);
            async move { behind(&feed, &range, &position).await }
        });
        // In a box: the future of a question is large, and there are several.
        let asked = asked.map(Box::pin).collect::<Vec<_>>();
        let answers: Vec<_> = stream::iter(asked).buffered(QUESTIONS_MAX).collect().await;
        let pairs = self.leases.iter().zip(answers);
        pairs.map(|(lease, answer)| Ok(self.line(lease, answer?))).collect()
    }

    fn age(&self, stored_at: u64) -> Duration {
        Duration::from_secs(self.now.saturating_sub(stored_at))
    }

    fn line(&self, lease: &Stored<Lease>, behind: Option<Behind>) -> RangeLine {
        let lag = behind.map(|behind| Lag {
            seconds: behind.since.map_or(0, |since| self.now.saturating_sub(since)),
            transactions: behind.transactions,
        });
        let owner = self.owner(&lease.document);
        let is_idle = behind.is_some_and(|behind| behind.since.is_none());
        let waits = behind.and_then(|behind| behind.since).map(|since| self.age(since));
        let is_stalled = waits.is_some_and(|waits| waits > STALLED_AFTER)
            && self.age(lease.stored_at) > STALLED_AFTER;
        let state = match () {
            () if self.topology.activity == Activity::Paused => State::Paused,
            () if owner.is_none() => State::Unowned,
            () if is_idle => State::Idle,
            () if is_stalled => State::Stalled,
            () => State::Working,
        };
        RangeLine {
            range: lease.document.range.to_string(),
            owner,
            epoch: lease.document.epoch,
            lag_seconds: lag.map(|lag| lag.seconds),
            lag_transactions: lag.map(|lag| lag.transactions),
            state,
        }
    }
}

fn row(line: &RangeLine) -> [String; 6] {
    let unknown = || "unknown".to_owned();
    [
        line.range.clone(),
        line.owner.clone().unwrap_or_else(|| "-".to_owned()),
        format!("epoch {}", line.epoch),
        line.lag_seconds.map_or_else(unknown, |seconds| format!("{} s", grouped(seconds))),
        line.lag_transactions.map_or_else(unknown, |number| counted(number, "transaction")),
        line.state.shown().to_owned(),
    ]
}

#[cfg(test)]
mod tests;

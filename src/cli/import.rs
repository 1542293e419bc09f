//! `cosmos-es import`: stores the events of a log.
//!
//! A log is gone through once, with bounded memory. A thread reads and parses; lines are gathered
//! into runs of one stream; each run goes to the worker of its stream, so runs of one stream are
//! stored in order and those of different streams side by side. Nothing is remembered between
//! imports: what is stored says what is still to be done, so an import can be repeated at any time.

mod plan;
mod progress;
mod reader;
mod runs;
mod source;
mod tally;
mod worker;

use std::{
    hash::{BuildHasher as _, RandomState},
    io,
    path::PathBuf,
    sync::{Arc, atomic::AtomicU32},
};

use clap::{Args, ValueEnum};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use self::{
    progress::{PROGRESS_INTERVAL, Progress},
    reader::{PORTIONS_AHEAD, Parsed},
    runs::{Run, Runs},
    source::Source,
    tally::{Problem, SeenStreams, Tally},
    worker::Workshop,
};
use super::{
    CliError,
    args::{Format, TargetArgs},
    output::Output,
    say,
    target::{Account, Missing},
};
use crate::{clock::Clock, store::EventStore};

/// The streams that are stored side by side unless told otherwise: enough to keep a store busy while
/// answers are on their way.
const CONCURRENCY_DEFAULT: u16 = 32;
/// The runs that wait for one worker, besides the one that it stores.
const RUNS_AHEAD: usize = 2;
/// The text of all runs that wait or are being stored. Parsed and on its way, it takes several times
/// as much.
const BYTES_IN_FLIGHT_MAX: u32 = 12 * 1024 * 1024;

const EXAMPLES: &str = "\
Each line of FILE is a JSON object with aggregateId, sequenceNumber, type, time and data, and
optionally eventId, schemaVersion, aggregateType, metadata and commit {first, size}. An event without
eventId gets one that follows from its stream and number (UUID version 5 of STREAM/NUMBER in the
namespace 0e92eacc-63aa-59bc-b845-764b3a5ff104). Events that are stored already, exactly so, are
counted as repeated; so an import can be repeated, and one that was stopped goes on.

With --output json the result is one object: appended, repeated, failed, streams, seconds, complete,
requestCharge, roundTrips and problems [{line, stream, sequenceNumber, message}] (at most 100).

Examples:
  cosmos-es import events.jsonl.gz
  cosmos-es import events.jsonl --stream-suffix=-copy
  zcat events.jsonl.gz | cosmos-es import - --on-error continue --output json";

/// Import a log of events (JSON Lines, plain or gzip); safe to repeat
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct ImportArgs {
    /// The log; - reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Appended to the name of every stream, to load the same log as other streams
    #[arg(
        long,
        env = "COSMOS_ES_STREAM_SUFFIX",
        default_value = "",
        hide_default_value = true,
        value_name = "S",
        allow_hyphen_values = true
    )]
    stream_suffix: String,
    /// What to do about a line that cannot be imported
    #[arg(long, env = "COSMOS_ES_ON_ERROR", value_enum, default_value_t, value_name = "WHAT")]
    on_error: OnError,
    /// Streams that are stored side by side
    #[arg(
        long,
        env = "COSMOS_ES_CONCURRENCY",
        default_value_t = CONCURRENCY_DEFAULT,
        value_parser = clap::value_parser!(u16).range(1..=1024),
        value_name = "N"
    )]
    concurrency: u16,
    #[command(flatten)]
    target: TargetArgs,
}

/// What to do about a line that cannot be imported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum OnError {
    /// Begin nothing new, finish what was begun, report
    #[default]
    Stop,
    /// Import the other lines, report at the end
    Continue,
}

pub(super) async fn run(
    args: ImportArgs,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    // Before anything is made for it.
    let source = Source::open(&args.file)?;
    let account = Account::open(args.target.target()?, Missing::Create).await?;
    let result = match account.connect().await {
        Ok(store) => import(&args, source, store, &*account.options.clock, out, stop).await,
        Err(error) => Err(error),
    };
    let closed = account.close().await;
    result.and(closed)
}

async fn import(
    args: &ImportArgs,
    source: Source,
    store: EventStore,
    clock: &dyn Clock,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let started = clock.monotonic();
    let progress = Progress::new(source.position.clone());
    let workshop = Arc::new(Workshop {
        store,
        tally: Tally::default(),
        halt: stop.child_token(),
        stop_on_problem: args.on_error == OnError::Stop,
        new_in_a_row: AtomicU32::new(0),
    });
    let mut working = Box::pin(work(args, source, &workshop));
    let complete = loop {
        tokio::select! {
            complete = &mut working => break complete,
            () = tokio::time::sleep(PROGRESS_INTERVAL) => {
                progress.show(&workshop.tally, clock.monotonic().saturating_sub(started));
            }
        }
    };
    progress.clear();
    let report = workshop.tally.report(clock.monotonic().saturating_sub(started), complete);
    for line in report.problem_lines() {
        say(&line);
    }
    match out.format() {
        Format::Table => report.write(out)?,
        Format::Json => out.json(&report)?,
    }
    match workshop.tally.take_failure() {
        Some(error) => Err(error),
        None if stop.is_cancelled() && !complete => Err(CliError::Interrupted),
        None if report.failed > 0 => Err(CliError::Import { failed: report.failed }),
        None => Ok(()),
    }
}

/// Goes through the log. Returns whether it came to the end.
async fn work(args: &ImportArgs, source: Source, workshop: &Arc<Workshop>) -> bool {
    let (portions, mut taken) = mpsc::channel(PORTIONS_AHEAD);
    let (suffix, halt) = (args.stream_suffix.clone(), workshop.halt.clone());
    let reading = tokio::task::spawn_blocking(move || {
        reader::read(source.into_text()?, &suffix, &portions, &halt)
    });
    let mut workers = JoinSet::new();
    let desks = (0..args.concurrency).map(|_| spawn_worker(&mut workers, workshop)).collect();
    let mut desks = Desks::new(desks);
    let mut went_on = GoOn::Yes;
    while went_on == GoOn::Yes {
        went_on = tokio::select! {
            biased;
            () = workshop.halt.cancelled() => GoOn::No,
            portion = taken.recv() => match portion {
                Some(portion) => desks.take(portion, workshop).await,
                None => break,
            },
        };
    }
    // The reader ends when it has a line that nobody takes. On standard input that line may never
    // come, so only a reader that has come to its end is waited for.
    drop(taken);
    if went_on == GoOn::Yes {
        let read = reading.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        if let Err(source) = read {
            workshop.tally.fail(CliError::File { path: args.file.clone(), source });
            went_on = GoOn::AfterThis;
        }
    }
    // What stands before a bad line is stored.
    if went_on != GoOn::No && !desks.finish(workshop).await {
        went_on = GoOn::No;
    }
    drop(desks);
    while let Some(ended) = workers.join_next().await {
        if let Err(error) = ended {
            let source = io::Error::other(error);
            workshop.tally.fail(CliError::File { path: args.file.clone(), source });
        }
    }
    went_on == GoOn::Yes && !workshop.halt.is_cancelled()
}

/// Whether an import goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GoOn {
    Yes,
    /// What has been read is still stored.
    AfterThis,
    No,
}

/// A run with its share of the bytes in flight.
type Job = (Run, OwnedSemaphorePermit);

fn spawn_worker(workers: &mut JoinSet<()>, workshop: &Arc<Workshop>) -> mpsc::Sender<Job> {
    let (sender, mut jobs) = mpsc::channel::<Job>(RUNS_AHEAD);
    let workshop = Arc::clone(workshop);
    workers.spawn(async move {
        while let Some((run, _share)) = jobs.recv().await {
            workshop.store_run(&run).await;
        }
    });
    sender
}

/// Where runs wait for their workers. All runs of one stream wait at one desk.
struct Desks {
    senders: Vec<mpsc::Sender<Job>>,
    hasher: RandomState,
    bytes: Arc<Semaphore>,
    runs: Runs,
    seen: SeenStreams,
}

impl Desks {
    fn new(senders: Vec<mpsc::Sender<Job>>) -> Self {
        let bytes = usize::try_from(BYTES_IN_FLIGHT_MAX).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            senders,
            hasher: RandomState::new(),
            bytes: Arc::new(Semaphore::new(bytes)),
            runs: Runs::default(),
            seen: SeenStreams::default(),
        }
    }

    /// Takes lines.
    async fn take(&mut self, portion: Vec<Parsed>, workshop: &Workshop) -> GoOn {
        workshop.tally.add_lines(portion.len());
        for parsed in portion {
            match parsed {
                Parsed::Line(stream, line) => {
                    if self.seen.is_new(&stream, line.sequence_number) {
                        workshop.tally.add_stream();
                    }
                    for run in self.runs.push(stream, *line) {
                        if !self.hand_over(run, workshop).await {
                            return GoOn::No;
                        }
                    }
                }
                Parsed::Bad(line, error) => {
                    let message = error.to_string();
                    workshop.tally.add_problem(Problem {
                        line,
                        stream: None,
                        sequence_number: None,
                        message,
                    });
                    if workshop.stop_on_problem {
                        return GoOn::AfterThis;
                    }
                }
            }
        }
        GoOn::Yes
    }

    /// Hands over what is still gathered. Returns whether all of it was handed over.
    async fn finish(&mut self, workshop: &Workshop) -> bool {
        for run in std::mem::take(&mut self.runs).finish() {
            if !self.hand_over(run, workshop).await {
                return false;
            }
        }
        true
    }

    async fn hand_over(&self, run: Run, workshop: &Workshop) -> bool {
        let bytes = u32::try_from(run.bytes).unwrap_or(u32::MAX).clamp(1, BYTES_IN_FLIGHT_MAX);
        let desks = u64::try_from(self.senders.len()).unwrap_or(1);
        let desk = self.hasher.hash_one(&run.stream).checked_rem(desks);
        let desk = desk.and_then(|desk| self.senders.get(usize::try_from(desk).ok()?));
        let Some(desk) = desk else { return false };
        let handing_over = async {
            let Ok(share) = Arc::clone(&self.bytes).acquire_many_owned(bytes).await else {
                return false;
            };
            desk.send((run, share)).await.is_ok()
        };
        tokio::select! {
            biased;
            () = workshop.halt.cancelled() => false,
            handed_over = handing_over => handed_over,
        }
    }
}

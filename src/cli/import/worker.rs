//! Stores runs: reads what is there, compares, appends what is missing.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures::TryStreamExt as _;
use tokio_util::sync::CancellationToken;

use super::{
    plan::{commits, differences},
    runs::Run,
    tally::{Problem, Tally},
};
use crate::{
    cli::{CliError, error::in_one_line, line::Line},
    event::RecordedEvent,
    store::{AppendError, AppendOptions, AppendOutcome, EventStore, ReadError, Receipt, Usage},
    stream::ExpectedVersion,
};

/// How often a run is compared again because another process has appended to its stream.
const COMPARISONS_MAX: u32 = 5;
/// How often a request that may well succeed later is repeated, beyond the store's own retries.
const RETRIES_MAX: u32 = 8;
/// The first wait before such a request.
const RETRY_WAIT_MIN: Duration = Duration::from_millis(250);
/// The longest wait before such a request.
const RETRY_WAIT_MAX: Duration = Duration::from_secs(15);
/// So many streams in a row were new that the next one is taken for new, and appended without
/// reading it first. That it is new is still checked, by the append.
const NEW_STREAMS_IN_A_ROW: u32 = 16;

/// What all workers share.
#[derive(Debug)]
pub(super) struct Workshop {
    pub(super) store: EventStore,
    pub(super) tally: Tally,
    /// Cancelled when no more runs are to be begun.
    pub(super) halt: CancellationToken,
    pub(super) stop_on_problem: bool,
    pub(super) new_in_a_row: AtomicU32,
}

/// Why a run was not stored whole.
enum Trouble {
    /// Another process was faster; look again, from this line on.
    LookAgain { from: usize },
    /// These lines are the problem.
    Lines { from: usize, message: String },
    /// Whatever the lines are, it cannot go on.
    Fatal(CliError),
}

impl Workshop {
    /// Stores a run, unless the import has been halted.
    pub(super) async fn store_run(self: &Arc<Self>, run: &Run) {
        if self.halt.is_cancelled() {
            return;
        }
        let mut from = 0;
        for _ in 0..COMPARISONS_MAX {
            match self.try_run(run, from).await {
                Ok(()) => return,
                Err(Trouble::LookAgain { from: again }) => from = again,
                Err(Trouble::Lines { from, message }) => {
                    return self.report_lines(run, from, &message);
                }
                Err(Trouble::Fatal(error)) => {
                    self.tally.fail(error);
                    return self.halt.cancel();
                }
            }
        }
        self.report_lines(run, from, "another process keeps appending to the stream");
    }

    async fn try_run(&self, run: &Run, from: usize) -> Result<(), Trouble> {
        let is_first_look = from == 0 && run.first() == 1;
        let seems_new = self.new_in_a_row.load(Ordering::Relaxed) >= NEW_STREAMS_IN_A_ROW;
        let mut next = from;
        if !(is_first_look && seems_new) {
            next = self.compare(run, from).await?;
            match (is_first_look, next) {
                (true, 0) => {
                    self.new_in_a_row.fetch_add(1, Ordering::Relaxed);
                }
                (true, _) => self.new_in_a_row.store(0, Ordering::Relaxed),
                (false, _) => {}
            }
        }
        let missing = run.lines.get(next..).unwrap_or_default();
        for commit in commits(missing) {
            let commit = commit.start.saturating_add(next)..commit.end.saturating_add(next);
            self.append(run, commit).await?;
        }
        Ok(())
    }

    /// Compares lines with what is stored in their places. Returns the first line that has nothing
    /// in its place.
    async fn compare(&self, run: &Run, from: usize) -> Result<usize, Trouble> {
        let lines = run.lines.get(from..).unwrap_or_default();
        let Some(first) = lines.first() else { return Ok(from) };
        let read = || self.store.read(&run.stream).from(first.sequence_number).up_to(run.last());
        let mut pages = read().pages();
        let (mut next, mut differ, mut tries) = (from, Vec::new(), 0);
        loop {
            let page = match pages.try_next().await {
                Ok(Some(page)) => page,
                Ok(None) => break,
                Err(error) => {
                    self.wait_after(read_trouble(error)?, &mut tries).await?;
                    (pages, next) = (read().pages(), from);
                    differ.clear();
                    continue;
                }
            };
            self.tally.add_usage(page.usage);
            for (stored, line) in page.events.iter().zip(run.lines.iter().skip(next)) {
                if let Some(fields) = differences(run, line, stored) {
                    differ.push((line, fields));
                }
                next = next.saturating_add(1);
            }
        }
        self.tally.add_repeated(next.saturating_sub(from).saturating_sub(differ.len()));
        let Some((line, _)) = differ.first() else { return Ok(next) };
        let diverged = line.number;
        for (line, fields) in &differ {
            let fields = fields.join(", ");
            self.report(run, line, &format!("another event is stored in its place ({fields})"));
        }
        // What follows belongs to another history than the one that is stored.
        let message = format!("the stream differs since line {diverged}");
        Err(Trouble::Lines { from: next, message })
    }

    async fn append(&self, run: &Run, commit: Range<usize>) -> Result<(), Trouble> {
        let from = commit.start;
        let lines = run.lines.get(commit).unwrap_or_default();
        let Some(first) = lines.first() else { return Ok(()) };
        let expected = ExpectedVersion::Exact(first.sequence_number.saturating_sub(1));
        let mut tries = 0;
        loop {
            let events = lines.iter().map(|line| line.event.clone()).collect();
            let mut options = AppendOptions::default();
            options.aggregate_type.clone_from(&first.aggregate_type);
            match self.store.append_with(&run.stream, expected, events, options).await {
                Ok(AppendOutcome::Appended(receipt)) => {
                    self.tally.add_usage(usage_of(&receipt));
                    self.tally.add_appended(lines.len());
                    return Ok(());
                }
                // Another process, or an answer that was lost. The comparison also looks at what a
                // repeated append does not: metadata and times.
                Ok(AppendOutcome::Repeated(receipt)) => {
                    self.tally.add_usage(usage_of(&receipt));
                    self.new_in_a_row.store(0, Ordering::Relaxed);
                    return Err(Trouble::LookAgain { from });
                }
                Err(error) => {
                    self.tally.add_usage(error.usage());
                    let error = self.append_trouble(error, from, lines)?;
                    self.wait_after(error, &mut tries).await?;
                }
            }
        }
    }

    /// What an append that failed means for the run; the error itself where the append may be
    /// repeated.
    fn append_trouble(
        &self,
        error: AppendError,
        from: usize,
        lines: &[Line],
    ) -> Result<CliError, Trouble> {
        let first = lines.first().map_or(1, |line| line.sequence_number);
        match error {
            AppendError::Conflict { actual, .. } if actual.saturating_add(1) < first => {
                let message = format!(
                    "sequence number {first} does not follow {actual}, where the stream ends"
                );
                Err(Trouble::Lines { from, message })
            }
            // With other numbers the comparison would not find them.
            AppendError::EventIdReused { stored, event_id, .. }
                if stored.iter().all(|event| event.sequence_number() < first) =>
            {
                let number = stored.first().map_or(0, RecordedEvent::sequence_number);
                let message = format!("event id {event_id} is stored already, as number {number}");
                Err(Trouble::Lines { from, message })
            }
            AppendError::Conflict { .. } | AppendError::EventIdReused { .. } => {
                self.new_in_a_row.store(0, Ordering::Relaxed);
                Err(Trouble::LookAgain { from })
            }
            error if error.is_retryable() => Ok(error.into()),
            error @ (AppendError::BadInput(_)
            | AppendError::TooLarge { .. }
            | AppendError::StreamFull { .. }
            | AppendError::Corrupt(_)) => {
                Err(Trouble::Lines { from, message: in_one_line(&error) })
            }
            error => Err(Trouble::Fatal(error.into())),
        }
    }

    /// Waits before the next try, or gives up.
    async fn wait_after(&self, error: CliError, tries: &mut u32) -> Result<(), Trouble> {
        *tries = tries.saturating_add(1);
        if *tries > RETRIES_MAX || self.halt.is_cancelled() {
            return Err(Trouble::Fatal(error));
        }
        let doubled = 1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX);
        let wait = RETRY_WAIT_MIN.saturating_mul(doubled).min(RETRY_WAIT_MAX);
        tracing::warn!(error = %in_one_line(&error), ?wait, "a request is repeated");
        tokio::select! {
            () = tokio::time::sleep(wait) => Ok(()),
            () = self.halt.cancelled() => Err(Trouble::Fatal(error)),
        }
    }

    /// Reports the first of these lines with the message, and the others as its consequence.
    fn report_lines(&self, run: &Run, from: usize, message: &str) {
        let mut lines = run.lines.iter().skip(from);
        let Some(first) = lines.next() else { return };
        self.report(run, first, message);
        for line in lines {
            self.report(run, line, &format!("not imported because line {} was not", first.number));
        }
    }

    fn report(&self, run: &Run, line: &Line, message: &str) {
        let stream = run.stream.as_str();
        self.tally.add_problem(Problem {
            line: line.number,
            stream: Some(stream.to_owned()),
            sequence_number: Some(line.sequence_number),
            message: format!("event {} of {stream}: {message}", line.sequence_number),
        });
        if self.stop_on_problem {
            self.halt.cancel();
        }
    }
}

fn usage_of(receipt: &Receipt) -> Usage {
    let (request_charge, round_trips) = (receipt.request_charge, receipt.round_trips);
    Usage { request_charge, round_trips, ..Usage::default() }
}

/// A read that may be repeated gives its error back.
fn read_trouble(error: ReadError) -> Result<CliError, Trouble> {
    match error {
        ReadError::Store(error) if error.is_retryable() => Ok(error.into()),
        ReadError::Corrupt(error) => Err(Trouble::Fatal(ReadError::Corrupt(error).into())),
        error => Err(Trouble::Fatal(error.into())),
    }
}

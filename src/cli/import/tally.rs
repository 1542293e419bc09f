//! What an import has done so far, and the report at its end.

use std::{
    collections::HashSet,
    hash::{BuildHasher as _, RandomState},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::Serialize;

use crate::{
    cli::{
        CliError,
        output::Output,
        table::{counted, grouped},
    },
    store::Usage,
    stream::StreamId,
};

/// The problems that are reported one by one. The others are counted.
const PROBLEMS_MAX: usize = 100;
/// The streams that are told apart, at about 16 bytes each. Behind that, first events are counted.
const STREAMS_MAX: usize = 2_000_000;

/// A line that was not imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Problem {
    pub(super) line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stream: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sequence_number: Option<u64>,
    pub(super) message: String,
}

/// Counts that all parts of an import add to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    lines: AtomicU64,
    appended: AtomicU64,
    repeated: AtomicU64,
    failed: AtomicU64,
    streams: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    usage: Usage,
    problems: Vec<Problem>,
    fatal: Option<CliError>,
}

impl Tally {
    pub(super) fn add_lines(&self, lines: usize) {
        add(&self.lines, lines);
    }

    pub(super) fn add_appended(&self, events: usize) {
        add(&self.appended, events);
    }

    pub(super) fn add_repeated(&self, events: usize) {
        add(&self.repeated, events);
    }

    pub(super) fn add_stream(&self) {
        add(&self.streams, 1);
    }

    pub(super) fn add_usage(&self, usage: Usage) {
        self.lock().usage += usage;
    }

    pub(super) fn add_problem(&self, problem: Problem) {
        add(&self.failed, 1);
        let problems = &mut self.lock().problems;
        if problems.len() < PROBLEMS_MAX {
            problems.push(problem);
        }
    }

    /// Keeps the first failure that ends the import, whatever the lines are.
    pub(super) fn fail(&self, error: CliError) {
        self.lock().fatal.get_or_insert(error);
    }

    pub(super) fn take_failure(&self) -> Option<CliError> {
        self.lock().fatal.take()
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    pub(super) fn streams(&self) -> u64 {
        self.streams.load(Ordering::Relaxed)
    }

    /// The lines that have been read.
    pub(super) fn lines(&self) -> u64 {
        self.lines.load(Ordering::Relaxed)
    }

    /// The lines that are done with.
    pub(super) fn events(&self) -> u64 {
        let (appended, repeated) =
            (self.appended.load(Ordering::Relaxed), self.repeated.load(Ordering::Relaxed));
        appended.saturating_add(repeated).saturating_add(self.failed())
    }

    pub(super) fn report(&self, elapsed: Duration, complete: bool) -> Report {
        let inner = self.lock();
        let mut problems = inner.problems.clone();
        problems.sort_by_key(|problem| problem.line);
        Report {
            appended: self.appended.load(Ordering::Relaxed),
            repeated: self.repeated.load(Ordering::Relaxed),
            failed: self.failed(),
            streams: self.streams(),
            seconds: elapsed.as_secs_f64(),
            complete,
            request_charge: inner.usage.request_charge,
            round_trips: inner.usage.round_trips,
            problems,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(counter: &AtomicU64, events: usize) {
    counter.fetch_add(u64::try_from(events).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// Tells streams apart by a hash of their names.
#[derive(Debug, Default)]
pub(super) struct SeenStreams {
    seen: HashSet<u64>,
    hasher: RandomState,
}

impl SeenStreams {
    /// Whether the stream is a new one.
    pub(super) fn is_new(&mut self, stream: &StreamId, sequence_number: u64) -> bool {
        let hash = self.hasher.hash_one(stream);
        if self.seen.len() < STREAMS_MAX {
            self.seen.insert(hash)
        } else {
            sequence_number == 1 && !self.seen.contains(&hash)
        }
    }
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    /// Events that were stored by this import.
    pub(super) appended: u64,
    /// Events that were stored already, exactly so.
    pub(super) repeated: u64,
    /// Lines that were not imported.
    pub(super) failed: u64,
    /// Streams in the file.
    pub(super) streams: u64,
    /// How long it took.
    pub(super) seconds: f64,
    /// Whether the whole file was gone through.
    pub(super) complete: bool,
    /// RU.
    pub(super) request_charge: f64,
    /// Requests.
    pub(super) round_trips: u32,
    /// Lines that were not imported: the first ones that were found.
    pub(super) problems: Vec<Problem>,
}

impl Report {
    /// Prints the report for people.
    pub(super) fn write(&self, out: &mut Output<'_>) -> Result<(), CliError> {
        let Self { appended, repeated, failed, streams, seconds, .. } = self;
        out.line(&format!(
            "{} appended, {} repeated, {} failed; {} in {seconds:.1} s",
            grouped(*appended),
            grouped(*repeated),
            grouped(*failed),
            counted(*streams, "stream"),
        ))?;
        if !self.complete {
            return out.line("stopped before the end of the file; run it again to go on");
        }
        if *appended == 0 && *failed == 0 && *repeated > 0 {
            return out.line("nothing to do: every event was stored already");
        }
        Ok(())
    }

    /// The lines that were not imported, one each, for standard error.
    pub(super) fn problem_lines(&self) -> Vec<String> {
        let mut lines: Vec<_> = self
            .problems
            .iter()
            .map(|problem| format!("line {}: {}", problem.line, problem.message))
            .collect();
        let listed = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        if let Some(more) = self.failed.checked_sub(listed).filter(|more| *more > 0) {
            lines.push(format!("and {} more", counted(more, "line")));
        }
        lines
    }
}

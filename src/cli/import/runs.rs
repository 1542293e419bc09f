//! Gathers the lines of a log into runs: consecutive events of one stream.
//!
//! A log may be sorted by stream or by time. A bounded number of lines waits in open runs, so that
//! events of one stream which stand near each other are stored with few requests; the run that was
//! opened first is closed first. What a line says about its place is not judged here: a line that
//! does not follow the one before it begins a run of its own, and the store knows whether it fits.

use std::collections::{BTreeMap, HashMap};

use crate::{cli::line::Line, store::BATCH_OPERATIONS_MAX, stream::StreamId};

/// The lines that wait in open runs.
const OPEN_LINES_MAX: usize = 4096;
/// The text of the lines that wait in open runs. What is made of it takes a few times as much.
const OPEN_BYTES_MAX: usize = 8 * 1024 * 1024;
/// From this many lines on, a run is closed at the end of a commit.
const RUN_LINES: usize = BATCH_OPERATIONS_MAX - 1;
/// At this many lines, a run is closed in any case: no commit is longer.
const RUN_LINES_MAX: usize = 2 * BATCH_OPERATIONS_MAX;
/// From this much text on, a run is closed at the end of a commit.
const RUN_BYTES: usize = 1024 * 1024;

/// Consecutive events of one stream; at least one.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) stream: StreamId,
    pub(super) lines: Vec<Line>,
    pub(super) bytes: usize,
}

impl Run {
    /// The sequence number of the first line.
    pub(super) fn first(&self) -> u64 {
        self.lines.first().map_or(1, |line| line.sequence_number)
    }

    /// The sequence number of the last line.
    pub(super) fn last(&self) -> u64 {
        self.lines.last().map_or(0, |line| line.sequence_number)
    }

    /// Whether the line may go on with this run.
    fn takes(&self, line: &Line) -> bool {
        let follows = line.sequence_number == self.last().saturating_add(1);
        let begins_commit = line.commit.is_none_or(|commit| commit.first == line.sequence_number);
        let is_long = self.lines.len() >= RUN_LINES || self.bytes >= RUN_BYTES;
        follows && !(is_long && begins_commit) && self.lines.len() < RUN_LINES_MAX
    }

    fn push(&mut self, line: Line) {
        self.bytes = self.bytes.saturating_add(line.bytes);
        self.lines.push(line);
    }
}

/// The runs that are open, in the order in which they were opened.
#[derive(Debug, Default)]
pub(super) struct Runs {
    open: BTreeMap<u64, Run>,
    by_stream: HashMap<StreamId, u64>,
    opened: u64,
    lines: usize,
    bytes: usize,
}

impl Runs {
    /// Takes a line. Returns the runs that are closed by that, in order.
    pub(super) fn push(&mut self, stream: StreamId, line: Line) -> Vec<Run> {
        self.lines = self.lines.saturating_add(1);
        self.bytes = self.bytes.saturating_add(line.bytes);
        let mut closed = Vec::new();
        let of_stream = self.by_stream.get(&stream).copied();
        match of_stream.and_then(|number| self.open.get_mut(&number)) {
            Some(run) if run.takes(&line) => run.push(line),
            _ => {
                closed.extend(of_stream.and_then(|number| self.close(number)));
                self.by_stream.insert(stream.clone(), self.opened);
                let bytes = line.bytes;
                self.open.insert(self.opened, Run { stream, lines: vec![line], bytes });
                self.opened = self.opened.saturating_add(1);
            }
        }
        while self.lines > OPEN_LINES_MAX || self.bytes > OPEN_BYTES_MAX {
            let Some((&oldest, _)) = self.open.first_key_value() else { break };
            closed.extend(self.close(oldest));
        }
        closed
    }

    /// Closes what is open, in order.
    pub(super) fn finish(self) -> impl Iterator<Item = Run> {
        self.open.into_values()
    }

    fn close(&mut self, number: u64) -> Option<Run> {
        let run = self.open.remove(&number)?;
        self.by_stream.remove(&run.stream);
        self.lines = self.lines.saturating_sub(run.lines.len());
        self.bytes = self.bytes.saturating_sub(run.bytes);
        Some(run)
    }
}

#[cfg(test)]
mod tests;

//! The progress of an import, on a terminal.

use std::{io::IsTerminal as _, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{source::Position, tally::Tally};
use crate::cli::table::{counted, grouped};

/// How often it is drawn.
pub(super) const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
/// With a known length: the bar goes by bytes of the file, which is all that is known beforehand.
const WITH_LENGTH: &str = "  {prefix}  [{bar:20}]  {percent} %  {msg}";
/// Without one.
const WITHOUT_LENGTH: &str = "  {prefix}  {msg}";

/// A line that shows how far an import is; nothing where nobody looks.
#[derive(Debug)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    position: Position,
}

impl Progress {
    pub(super) fn new(position: Position) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let target = ProgressDrawTarget::stderr();
            let bar = ProgressBar::with_draw_target(position.total, target);
            let template = if position.total.is_some() { WITH_LENGTH } else { WITHOUT_LENGTH };
            match ProgressStyle::with_template(template) {
                Ok(style) => bar.with_style(style.progress_chars("=> ")),
                Err(_) => bar,
            }
        });
        Self { bar, position }
    }

    /// Shows how far it is.
    pub(super) fn show(&self, tally: &Tally, elapsed: Duration) {
        let Some(bar) = &self.bar else { return };
        let (events, streams) = (tally.events(), tally.streams());
        let done = done(self.position.bytes(), events, tally.lines());
        bar.set_position(done);
        bar.set_prefix(format!("{}  {}", counted(events, "event"), counted(streams, "stream")));
        let speed = format!("{} events/s", grouped(per_second(events, elapsed)));
        bar.set_message(match self.time_left(done, elapsed) {
            Some(left) => format!("{speed}  {} s left", grouped(left.as_secs())),
            None => speed,
        });
    }

    /// Takes the line away.
    pub(super) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn time_left(&self, done: u64, elapsed: Duration) -> Option<Duration> {
        let left = self.position.total?.checked_sub(done)?;
        let milliseconds = u64::try_from(elapsed.as_millis()).ok()?;
        Some(Duration::from_millis(milliseconds.checked_mul(left)?.checked_div(done)?))
    }
}

/// How much of the file is done, in bytes: of the lines that were read, some are not stored yet.
fn done(read_bytes: u64, events: u64, lines: u64) -> u64 {
    read_bytes.saturating_mul(events).checked_div(lines).unwrap_or(0)
}

/// Events in a second, rounded down.
fn per_second(events: u64, elapsed: Duration) -> u64 {
    let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    events.saturating_mul(1000).checked_div(milliseconds).unwrap_or(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_is_left_follows_from_what_is_done() {
        let mut position = Position::default();
        position.total = Some(1000);
        let progress = Progress { bar: None, position };
        let elapsed = Duration::from_secs(3);
        assert_eq!(progress.time_left(250, elapsed), Some(Duration::from_secs(9)));
        assert_eq!(progress.time_left(0, elapsed), None);
        assert_eq!(done(500, 10, 20), 250);
        assert_eq!(done(500, 0, 0), 0);
        assert_eq!(per_second(100, Duration::from_millis(500)), 200);
    }
}

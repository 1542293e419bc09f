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
        bar.set_position(self.position.bytes());
        bar.set_prefix(format!("{}  {}", counted(events, "event"), counted(streams, "stream")));
        let speed = format!("{} events/s", grouped(per_second(events, elapsed)));
        bar.set_message(match self.time_left(elapsed) {
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

    fn time_left(&self, elapsed: Duration) -> Option<Duration> {
        let (total, read) = (self.position.total?, self.position.bytes());
        let left = total.checked_sub(read)?;
        elapsed
            .checked_mul(u32::try_from(left.checked_mul(1000)?.checked_div(read)?).ok()?)?
            .checked_div(1000)
    }
}

/// Events in a second, rounded down; all of them in the first one.
fn per_second(events: u64, elapsed: Duration) -> u64 {
    let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    events.saturating_mul(1000).checked_div(milliseconds).unwrap_or(events)
}

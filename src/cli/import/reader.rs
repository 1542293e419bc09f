//! Reads a log line by line, on a thread of its own, and hands the lines over in portions.

use std::io::{self, BufRead, Read as _};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    cli::line::{self, Line, LineError},
    stream::StreamId,
};

/// The longest line. Data may have a mebibyte, metadata less; escapes can make text longer.
const LINE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The lines that are handed over together: a hand-over costs more than a line.
const PORTION_LINES: usize = 128;
/// The text that is handed over together.
const PORTION_BYTES: usize = 256 * 1024;
/// The portions that wait while others are stored.
pub(super) const PORTIONS_AHEAD: usize = 2;

/// What became of a line.
#[derive(Debug)]
pub(super) enum Parsed {
    /// An event.
    Line(StreamId, Box<Line>),
    /// Not an event, with the number of the line.
    Bad(u64, LineError),
}

/// Reads to the end of the log, or until told to stop. Empty lines are passed over.
pub(super) fn read(
    mut source: impl BufRead,
    stream_suffix: &str,
    portions: &mpsc::Sender<Vec<Parsed>>,
    stop: &CancellationToken,
) -> io::Result<()> {
    let (mut portion, mut bytes, mut number) = (Vec::new(), 0_usize, 0_u64);
    let mut text = Vec::new();
    while !stop.is_cancelled() {
        let next = next_line(&mut source, &mut text).map_err(|error| {
            io::Error::new(error.kind(), format!("behind line {number}: {error}"))
        });
        let Some(is_too_long) = next? else { break };
        number = number.saturating_add(1);
        bytes = bytes.saturating_add(text.len());
        portion.extend(parse(&text, is_too_long, number, stream_suffix));
        if portion.len() >= PORTION_LINES || bytes >= PORTION_BYTES {
            bytes = 0;
            if portions.blocking_send(std::mem::take(&mut portion)).is_err() {
                // Nobody takes lines any more; why is known there.
                return Ok(());
            }
        }
    }
    // As above.
    let _taken = portions.blocking_send(portion).is_ok();
    Ok(())
}

fn parse(text: &[u8], is_too_long: bool, number: u64, stream_suffix: &str) -> Option<Parsed> {
    if is_too_long {
        return Some(Parsed::Bad(number, LineError::TooLong { max: LINE_BYTES_MAX }));
    }
    let Ok(text) = str::from_utf8(text) else {
        return Some(Parsed::Bad(number, LineError::Encoding));
    };
    // Some tools put a byte order mark in front of a file.
    let text = if number == 1 { text.trim_start_matches('\u{feff}') } else { text }.trim();
    if text.is_empty() {
        return None;
    }
    Some(match line::parse(text, number, stream_suffix) {
        Ok((stream, line)) => Parsed::Line(stream, Box::new(line)),
        Err(error) => Parsed::Bad(number, error),
    })
}

/// Reads a line without its end; nothing at the end of the file. The rest of a line that is too long
/// is passed over.
fn next_line(source: &mut impl BufRead, text: &mut Vec<u8>) -> io::Result<Option<bool>> {
    text.clear();
    let limit = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let read = source.by_ref().take(limit).read_until(b'\n', text)?;
    if read == 0 {
        return Ok(None);
    }
    if text.ends_with(b"\n") || text.len() <= LINE_BYTES_MAX {
        return Ok(Some(false));
    }
    text.clear();
    source.skip_until(b'\n')?;
    Ok(Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<Parsed> {
        let (sender, mut receiver) = mpsc::channel(PORTIONS_AHEAD);
        read(text, "", &sender, &CancellationToken::new()).unwrap();
        receiver.try_recv().unwrap()
    }

    fn line(number: u64) -> String {
        format!(
            "{{\"aggregateId\":\"a-1\",\"sequenceNumber\":{number},\"type\":\"T\",\
             \"time\":\"2026-01-01T00:00:00Z\",\"data\":null}}"
        )
    }

    #[test]
    fn lines_keep_their_numbers() {
        let text = format!("\u{feff}{}\r\n\n{}\nnonsense\n{}", line(1), line(2), line(3));
        let numbers: Vec<_> = lines(text.as_bytes())
            .into_iter()
            .map(|parsed| match parsed {
                Parsed::Line(_, line) => (line.number, true),
                Parsed::Bad(number, _) => (number, false),
            })
            .collect();
        assert_eq!(numbers, [(1, true), (3, true), (4, false), (5, true)]);
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over() {
        let mut text = vec![b'x'; LINE_BYTES_MAX + 1];
        text.push(b'\n');
        text.extend_from_slice(line(1).as_bytes());
        let parsed = lines(&text);
        assert!(matches!(parsed[0], Parsed::Bad(1, LineError::TooLong { .. })));
        assert!(matches!(parsed[1], Parsed::Line(..)));
    }

    #[test]
    fn other_encodings_are_refused() {
        assert!(matches!(lines(b"\xff\n")[0], Parsed::Bad(1, LineError::Encoding)));
    }
}

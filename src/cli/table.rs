//! Tables for people: aligned columns, without lines and without colour.

use std::io::{self, Write};

/// Between two columns.
const GAP: &str = "  ";

/// On which side a column's text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// A table whose rows come in portions. A column is as wide as the widest text so far, so that rows
/// can be printed before the last one is known.
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    aligns: [Align; N],
    widths: [usize; N],
}

impl<const N: usize> Table<N> {
    pub(super) fn new(aligns: [Align; N]) -> Self {
        Self { aligns, widths: [0; N] }
    }

    /// Makes a column at least this wide.
    pub(super) fn with_widths(mut self, widths: [usize; N]) -> Self {
        self.widths = widths;
        self
    }

    /// Prints rows. Control characters, which an id from elsewhere may have, are shown as `?`.
    pub(super) fn write(&mut self, out: &mut dyn Write, rows: &[[String; N]]) -> io::Result<()> {
        for row in rows {
            for (width, text) in self.widths.iter_mut().zip(row) {
                *width = text.chars().count().max(*width);
            }
        }
        for row in rows {
            let columns = row.iter().zip(self.aligns).zip(self.widths);
            let cells = columns.map(|((text, align), width)| {
                let text = text.replace(char::is_control, "?");
                match align {
                    Align::Left => format!("{text:<width$}"),
                    Align::Right => format!("{text:>width$}"),
                }
            });
            let line = cells.collect::<Vec<_>>().join(GAP);
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A number with commas: `60,849`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len().saturating_mul(2));
    for (index, digit) in digits.chars().enumerate() {
        let left = digits.len().saturating_sub(index);
        if index > 0 && left.is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 event`, `2 events`.
pub(super) fn counted(number: u64, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", grouped(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_have_no_trailing_blanks() {
        let mut table = Table::new([Align::Right, Align::Left, Align::Left]).with_widths([4, 0, 0]);
        let mut out = Vec::new();
        let row = |a: &str, b: &str, c: &str| [a.to_owned(), b.to_owned(), c.to_owned()];
        table.write(&mut out, &[row("1", "Saved", "by api"), row("12", "Approved\n", "")]).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "   1  Saved      by api\n  12  Approved?\n");
    }

    #[test]
    fn numbers_are_grouped_by_three() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (60849, "60,849"), (1_234_567, "1,234,567")]
        {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(counted(1, "event"), "1 event");
        assert_eq!(counted(1000, "stream"), "1,000 streams");
    }
}

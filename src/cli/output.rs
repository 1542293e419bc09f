//! Standard output: the one place that commands print results to.

use std::io::Write;

use serde::Serialize;

use super::{CliError, args::Format};

/// Where results go, and in which form.
pub(super) struct Output<'a> {
    format: Format,
    writer: &'a mut (dyn Write + Send),
}

impl std::fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("format", &self.format).finish_non_exhaustive()
    }
}

impl<'a> Output<'a> {
    pub(super) fn new(format: Format, writer: &'a mut (dyn Write + Send)) -> Self {
        Self { format, writer }
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// The writer itself, for tables.
    pub(super) fn writer(&mut self) -> &mut (dyn Write + Send) {
        self.writer
    }

    /// Prints a line of text.
    pub(super) fn line(&mut self, text: &str) -> Result<(), CliError> {
        writeln!(self.writer, "{text}").map_err(CliError::Output)
    }

    /// Prints a value as one line of JSON.
    pub(super) fn json(&mut self, value: &impl Serialize) -> Result<(), CliError> {
        serde_json::to_writer(&mut self.writer, value)?;
        self.line("")
    }

    /// Makes what was printed visible, for output that comes as things happen.
    pub(super) fn flush(&mut self) -> Result<(), CliError> {
        self.writer.flush().map_err(CliError::Output)
    }
}

/// A JSON array that is printed while its values come in, one on each line.
#[derive(Debug, Default)]
pub(super) struct JsonArray {
    values: u64,
}

impl JsonArray {
    /// Prints the next value.
    pub(super) fn push(
        &mut self,
        out: &mut Output<'_>,
        value: &impl Serialize,
    ) -> Result<(), CliError> {
        let before: &[u8] = if self.values == 0 { b"[" } else { b",\n" };
        out.writer.write_all(before).map_err(CliError::Output)?;
        serde_json::to_writer(&mut out.writer, value)?;
        self.values = self.values.saturating_add(1);
        Ok(())
    }

    /// Prints the end.
    pub(super) fn end(self, out: &mut Output<'_>) -> Result<(), CliError> {
        out.line(if self.values == 0 { "[]" } else { "]" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_one_document() {
        for (values, text) in [(vec![], "[]\n"), (vec![1], "[1]\n"), (vec![1, 2], "[1,\n2]\n")] {
            let mut bytes = Vec::new();
            let mut out = Output::new(Format::Json, &mut bytes);
            let mut array = JsonArray::default();
            for value in values {
                array.push(&mut out, &value).unwrap();
            }
            array.end(&mut out).unwrap();
            assert_eq!(String::from_utf8(bytes).unwrap(), text);
        }
    }
}

//! What all benchmarks do in the same way.

use std::path::PathBuf;

/// Where the folders of a benchmark are made: on the disk that the build is on, because a folder in
/// memory would make durable commits free.
pub(crate) fn scratch() -> tempfile::TempDir {
    let base = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    tempfile::Builder::new().prefix("bench").tempdir_in(base).unwrap()
}

/// Whether a part of the benchmark runs: those that are named on the command line behind `--`, or all parts.
pub(crate) fn chosen(part: &str) -> bool {
    let mut parts =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
    parts.peek().is_none() || parts.any(|named| named == part)
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

//! The file that is imported: plain or gzip, by its first bytes, from disk or from standard input.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use flate2::bufread::MultiGzDecoder;

use crate::cli::CliError;

/// The file name that means standard input.
const STANDARD_INPUT: &str = "-";
/// Read from the disk at a time; no more, so that the position says where the lines come from.
const READ_BYTES: usize = 16 * 1024;
/// Decompressed at a time.
const TEXT_BYTES: usize = 128 * 1024;
/// How a gzip file begins.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// How far a file has been read.
#[derive(Debug, Clone, Default)]
pub(super) struct Position {
    read: Arc<AtomicU64>,
    /// The bytes of the file; nothing for standard input and pipes.
    pub(super) total: Option<u64>,
}

impl Position {
    /// The bytes that were read so far, as they are on the disk.
    pub(super) fn bytes(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

/// A log that has been opened.
pub(super) struct Source {
    raw: Counted,
    pub(super) position: Position,
}

impl Source {
    /// Opens a file, or standard input for `-`.
    pub(super) fn open(path: &Path) -> Result<Self, CliError> {
        let failed = |source| CliError::File { path: path.to_owned(), source };
        let mut position = Position::default();
        let raw: Box<dyn Read + Send> = if path.as_os_str() == STANDARD_INPUT {
            Box::new(io::stdin())
        } else {
            let file = File::open(path).map_err(failed)?;
            let metadata = file.metadata().map_err(failed)?;
            if metadata.is_dir() {
                return Err(failed(io::ErrorKind::IsADirectory.into()));
            }
            position.total = Some(metadata.len()).filter(|_| metadata.is_file());
            Box::new(file)
        };
        let raw = Counted { inner: raw, read: Arc::clone(&position.read) };
        Ok(Self { raw, position })
    }

    /// The text. Waits for the first bytes, which say whether it is compressed.
    pub(super) fn into_text(self) -> io::Result<Box<dyn BufRead>> {
        let mut buffered = BufReader::with_capacity(READ_BYTES, self.raw);
        if buffered.fill_buf()?.starts_with(&GZIP_MAGIC) {
            let decoder = MultiGzDecoder::new(buffered);
            return Ok(Box::new(BufReader::with_capacity(TEXT_BYTES, decoder)));
        }
        Ok(Box::new(buffered))
    }
}

struct Counted {
    inner: Box<dyn Read + Send>,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read.fetch_add(u64::try_from(read).unwrap_or(u64::MAX), Ordering::Relaxed);
        Ok(read)
    }
}

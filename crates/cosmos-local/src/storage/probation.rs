//! A storage file that is not written to until its content has proved whole.
//!
//! Opening a file may repair it, which writes. A damaged folder must be left as it was found, so what an
//! open wants to write is kept in memory until the catalog and the tail of the log have been read.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use redb::StorageBackend;

/// Granularity of what is kept in memory, in bytes.
const BLOCK: usize = 4096;

/// What an open has written so far.
#[derive(Debug)]
struct Held {
    blocks: BTreeMap<u64, Vec<u8>>,
    len: u64,
}

#[derive(Debug)]
struct Shared {
    file: Box<dyn StorageBackend>,
    /// Length of the file as it was found.
    original_len: u64,
    /// `None` once the probation is over; read on every access of the file, written once.
    held: RwLock<Option<Held>>,
}

/// The backend of a file on probation.
#[derive(Debug)]
pub(super) struct ProbationBackend {
    shared: Arc<Shared>,
}

/// Ends the probation of a file.
#[derive(Debug)]
pub(super) struct Probation {
    shared: Arc<Shared>,
}

impl Probation {
    /// Puts `file` on probation.
    pub(super) fn new(file: impl StorageBackend) -> io::Result<(ProbationBackend, Self)> {
        let file: Box<dyn StorageBackend> = Box::new(file);
        let len = file.len()?;
        let held = RwLock::new(Some(Held { blocks: BTreeMap::new(), len }));
        let shared = Arc::new(Shared { file, original_len: len, held });
        Ok((ProbationBackend { shared: Arc::clone(&shared) }, Self { shared }))
    }

    /// Writes what was kept, durably; from now on writes go to the file.
    pub(super) fn end(&self) -> io::Result<()> {
        let mut slot = self.shared.held.write().unwrap_or_else(PoisonError::into_inner);
        let Some(held) = slot.as_ref() else { return Ok(()) };
        let file = &self.shared.file;
        if held.len != self.shared.original_len {
            file.set_len(held.len)?;
        }
        for (offset, block) in &held.blocks {
            let len = usize::try_from(held.len.saturating_sub(*offset)).unwrap_or(BLOCK).min(BLOCK);
            file.write(*offset, block.get(..len).unwrap_or(block))?;
        }
        if !held.blocks.is_empty() || held.len != self.shared.original_len {
            file.sync_data()?;
        }
        *slot = None;
        Ok(())
    }
}

impl Shared {
    /// Reads from the file as it was found; beyond its end there are zeros.
    fn read_original(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = usize::try_from(self.original_len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (head, tail) = out.split_at_mut(there.min(out.len()));
        tail.fill(0);
        if head.is_empty() { Ok(()) } else { self.file.read(offset, head) }
    }
}

/// The parts of `offset..offset + len` by block: the block's offset, where the part begins in the block,
/// where it begins in the range, and how long it is.
fn parts(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        (done < len).then(|| {
            let at = offset + u64::try_from(done).unwrap_or(u64::MAX);
            let within = usize::try_from(at % u64::try_from(BLOCK).unwrap_or(1)).unwrap_or(0);
            let size = (BLOCK - within).min(len - done);
            let part = (at - u64::try_from(within).unwrap_or(0), within, done, size);
            done += size;
            part
        })
    })
}

impl StorageBackend for ProbationBackend {
    fn len(&self) -> io::Result<u64> {
        let held = self.shared.held.read().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().map_or_else(|| self.shared.file.len(), |held| Ok(held.len))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let held = self.shared.held.read().unwrap_or_else(PoisonError::into_inner);
        let Some(held) = held.as_ref() else { return self.shared.file.read(offset, out) };
        let end = u64::try_from(out.len()).ok().and_then(|len| offset.checked_add(len));
        if end.is_none_or(|end| end > held.len) {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        self.shared.read_original(offset, out)?;
        for (block, within, at, size) in parts(offset, out.len()) {
            let Some(block) = held.blocks.get(&block) else { continue };
            if let (Some(to), Some(from)) =
                (out.get_mut(at..at + size), block.get(within..within + size))
            {
                to.copy_from_slice(from);
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut held = self.shared.held.write().unwrap_or_else(PoisonError::into_inner);
        match held.as_mut() {
            None => self.shared.file.set_len(len),
            Some(held) => {
                held.len = len;
                Ok(())
            }
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        let held = self.shared.held.read().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() { self.shared.file.sync_data() } else { Ok(()) }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        {
            let held = self.shared.held.read().unwrap_or_else(PoisonError::into_inner);
            if held.is_none() {
                return self.shared.file.write(offset, data);
            }
        }
        let mut held = self.shared.held.write().unwrap_or_else(PoisonError::into_inner);
        let Some(held) = held.as_mut() else { return self.shared.file.write(offset, data) };
        for (block, within, at, size) in parts(offset, data.len()) {
            let content = match held.blocks.entry(block) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => {
                    let mut content = vec![0; BLOCK];
                    self.shared.read_original(block, &mut content)?;
                    entry.insert(content)
                }
            };
            if let (Some(to), Some(from)) =
                (content.get_mut(within..within + size), data.get(at..at + size))
            {
                to.copy_from_slice(from);
            }
        }
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.shared.file.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redb::backends::FileBackend;
    use std::io::Write as _;

    #[test]
    fn nothing_is_written_before_the_end_and_all_of_it_at_the_end() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&[7; 5000]).unwrap();
        let (backend, probation) =
            Probation::new(FileBackend::new(file.reopen().unwrap()).unwrap()).unwrap();
        backend.set_len(10_000).unwrap();
        backend.write(4090, &[1; 20]).unwrap();
        backend.write(9_990, &[2; 10]).unwrap();
        let mut seen = vec![9; 10_000];
        backend.read(0, &mut seen).unwrap();
        let mut expected = vec![7; 5000];
        expected.resize(10_000, 0);
        expected[4090..4110].fill(1);
        expected[9_990..].fill(2);
        assert_eq!(seen, expected);
        assert!(backend.read(9_999, &mut [0; 2]).is_err());
        assert_eq!(std::fs::read(file.path()).unwrap(), [7; 5000]);

        probation.end().unwrap();
        assert_eq!(std::fs::read(file.path()).unwrap(), expected);
        backend.write(0, &[3]).unwrap();
        assert_eq!(std::fs::read(file.path()).unwrap()[0], 3);
    }
}

//! A disk whose power fails: what was written since the last sync is then there, or not, or in part.
//!
//! Not simulated: a disk that reorders across a sync, or that says a sync is done and forgets it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// Numbers that look random and are always the same for a seed (`SplitMix64`).
#[derive(Debug)]
pub(super) struct Luck(pub(super) u64);

impl Luck {
    /// A number below `end`, which is above 0.
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(end).unwrap()).unwrap()
    }
}

#[derive(Debug)]
enum Change {
    Write { at: usize, data: Vec<u8> },
    Resize(usize),
}

#[derive(Debug)]
struct State {
    /// What a reader sees.
    current: Vec<u8>,
    /// What was there at the last sync.
    synced: Vec<u8>,
    /// What has changed since, in order.
    changes: Vec<Change>,
    /// Writes, resizes and syncs before the power fails; `None` once it has failed.
    left: Option<u64>,
}

/// A storage file on a disk whose power fails. Clones are the same disk.
#[derive(Debug, Clone)]
pub(super) struct Disk(Arc<Mutex<State>>);

impl Disk {
    /// A disk with the content of `file`, whose power fails after so many operations.
    pub(super) fn new(mut file: File, left: u64) -> io::Result<Self> {
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        let synced = content.clone();
        let state = State { current: content, synced, changes: Vec::new(), left: Some(left) };
        Ok(Self(Arc::new(Mutex::new(state))))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Ends the power, if it has not failed by itself.
    pub(super) fn cut(&self) {
        self.state().left = None;
    }

    /// Whether the power has failed.
    pub(super) fn is_off(&self) -> bool {
        self.state().left.is_none()
    }

    /// What is found when the power is back.
    pub(super) fn image(&self, luck: &mut Luck) -> Vec<u8> {
        self.state().image(luck)
    }
}

impl State {
    /// Counts an operation; the one during which the power fails may have happened in part.
    fn count(&mut self, change: Option<Change>) -> io::Result<()> {
        let Some(left) = self.left else { return Err(off()) };
        self.left = left.checked_sub(1);
        self.changes.extend(change);
        if self.left.is_some() { Ok(()) } else { Err(off()) }
    }

    fn image(&self, luck: &mut Luck) -> Vec<u8> {
        let len_max = self.current.len().max(self.synced.len());
        let mut lens = vec![self.synced.len()];
        let mut versions: BTreeMap<usize, usize> = BTreeMap::new();
        for change in &self.changes {
            match change {
                Change::Resize(len) => lens.push(*len),
                Change::Write { at, data } => {
                    for sector in sectors(*at, data.len()) {
                        *versions.entry(sector).or_default() += 1;
                    }
                }
            }
        }
        // Each sector has got as far as it has. Often most of them are alike.
        let mood = luck.below(4);
        for count in versions.values_mut() {
            *count = match (mood, luck.below(16)) {
                (0, 1..) => 0,
                (1, 1..) => *count,
                _ => luck.below(*count + 1),
            };
        }
        let mut image = self.synced.clone();
        image.resize(lens.iter().copied().max().unwrap_or(0).max(len_max), 0);
        for change in &self.changes {
            let Change::Write { at, data } = change else { continue };
            for sector in sectors(*at, data.len()) {
                let left = versions.get_mut(&sector).unwrap();
                if *left == 0 {
                    continue;
                }
                *left -= 1;
                let (from, to) =
                    ((sector * SECTOR).max(*at), ((sector + 1) * SECTOR).min(at + data.len()));
                image[from..to].copy_from_slice(&data[from - at..to - at]);
            }
        }
        image.truncate(lens[luck.below(lens.len())]);
        image
    }
}

fn sectors(at: usize, len: usize) -> impl Iterator<Item = usize> {
    at / SECTOR..(at + len).div_ceil(SECTOR)
}

fn off() -> io::Error {
    io::Error::other("the power is off")
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        let state = self.state();
        state.left.map_or_else(|| Err(off()), |_| Ok(u64::try_from(state.current.len()).unwrap()))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        let from = index(offset);
        let found = state.current.get(from..from + out.len());
        match (state.left, found) {
            (None, _) => return Err(off()),
            (_, None) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            (_, Some(found)) => out.copy_from_slice(found),
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        if state.left.is_none() {
            return Err(off());
        }
        let (before, len) = (state.current.len(), index(len));
        state.current.resize(len, 0);
        // What was cut off is zero when the file grows again.
        let rest = before.checked_sub(len).filter(|rest| *rest > 0);
        let zeros = rest.map(|rest| Change::Write { at: len, data: vec![0; rest] });
        state.changes.extend(zeros);
        state.count(Some(Change::Resize(len)))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        state.count(None)?;
        let State { current, synced, changes, .. } = &mut *state;
        synced.resize(current.len(), 0);
        for change in changes.drain(..) {
            if let Change::Write { at, data } = change {
                let there = synced.len().saturating_sub(at).min(data.len());
                synced[at..at + there].copy_from_slice(&data[..there]);
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let at = index(offset);
        state.current[at..at + data.len()].copy_from_slice(data);
        state.count(Some(Change::Write { at, data: data.to_vec() }))
    }
}

#[test]
fn what_was_synced_stays_and_what_was_not_may() {
    let disk = Disk::new(tempfile::tempfile().unwrap(), 6).unwrap();
    disk.set_len(2048).unwrap();
    disk.write(0, &[1; 2048]).unwrap();
    disk.sync_data().unwrap();
    disk.write(256, &[2; 512]).unwrap();
    disk.write(256, &[3; 256]).unwrap();
    disk.set_len(4096).unwrap();
    assert!(!disk.is_off());
    assert!(disk.sync_data().is_err());
    assert!(disk.is_off() && disk.read(0, &mut [0]).is_err());
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let image = disk.image(&mut Luck(seed));
        assert!(image[1024..2048].iter().all(|&byte| byte == 1), "this was synced");
        assert!(image[..256].iter().all(|&byte| byte == 1), "nobody wrote this again");
        seen.insert((image[256], image[512], image.len()));
    }
    let firsts =
        [1, 2, 3].map(|first| [1, 2].map(|second| [2048, 4096].map(|len| (first, second, len))));
    assert_eq!(seen, firsts.into_iter().flatten().flatten().collect());
}

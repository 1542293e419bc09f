//! The data folder: one storage file and a marker that says whose it is.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use redb::{Database, StorageBackend};
use serde::{Deserialize, Serialize};

use super::error::OpenError;
use super::probation::Probation;

/// The format that this version reads and writes.
pub(crate) const FORMAT_VERSION: u64 = 1;
const FORMAT_NAME: &str = "cosmos-local";
const MARKER: &str = "cosmos-local.json";
const DATA: &str = "cosmos-local.redb";
/// Files beside the data that say nothing about whose folder it is: the lock and the endpoint's address.
const OWN_FILES: [&str; 3] = ["lock", "endpoint.json", "endpoint.json.tmp"];
/// First bytes of a redb file (its design document names them).
const REDB_MAGIC: [u8; 9] = [b'r', b'e', b'd', b'b', 0x1a, 0x0a, 0xa9, 0x0d, 0x0a];

#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    format: String,
    version: u64,
    /// False while the storage file is being made for the first time.
    ready: bool,
}

/// What is left to do when the content of a freshly opened file has proved whole.
#[derive(Debug)]
pub(super) struct Admission {
    folder: PathBuf,
    /// `None` when the file is new.
    probation: Option<Probation>,
}

/// Refuses a folder that is not ours, without touching it; one that is missing or empty is fine.
pub(crate) fn check(folder: &Path) -> Result<(), OpenError> {
    match fs::metadata(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(io_error(folder, source)),
        Ok(_) => match read_marker(folder)? {
            Some(_) => Ok(()),
            None => check_empty(folder),
        },
    }
}

/// Opens or makes the storage file of a folder; `backend` reads and writes it.
pub(super) fn open<B: StorageBackend>(
    folder: &Path,
    cache_bytes: usize,
    backend: impl FnOnce(File) -> Result<B, redb::DatabaseError>,
) -> Result<(Database, Admission), OpenError> {
    fs::create_dir_all(folder).map_err(|source| io_error(folder, source))?;
    let data = folder.join(DATA);
    let new = match read_marker(folder)? {
        Some(marker) if marker.ready => {
            check_magic(folder, &data)?;
            false
        }
        Some(_) => {
            // The first start was cut off before anything was acknowledged.
            remove_if_there(&data)?;
            true
        }
        None => {
            check_empty(folder)?;
            write_marker(folder, false)?;
            true
        }
    };
    let file = File::options()
        .read(true)
        .write(true)
        .create(new)
        .truncate(false)
        .open(&data)
        .map_err(|source| io_error(&data, source))?;
    let refused = |error: redb::DatabaseError| damaged(folder, &error.to_string());
    let mut builder = Database::builder();
    builder.set_cache_size(cache_bytes);
    let backend = backend(file).map_err(refused)?;
    if new {
        let database = builder.create_with_backend(backend).map_err(refused)?;
        return Ok((database, Admission { folder: folder.to_owned(), probation: None }));
    }
    let (backend, probation) = Probation::new(backend).map_err(|error| refused(error.into()))?;
    let database = builder.create_with_backend(backend).map_err(refused)?;
    Ok((database, Admission { folder: folder.to_owned(), probation: Some(probation) }))
}

impl Admission {
    /// Whether the file is new and empty.
    pub(super) fn is_new(&self) -> bool {
        self.probation.is_none()
    }

    /// The content is whole: lets writes through to the file.
    pub(super) fn admit(&self) -> Result<(), OpenError> {
        match &self.probation {
            Some(probation) => {
                probation.end().map_err(|source| io_error(&self.folder.join(DATA), source))
            }
            None => write_marker(&self.folder, true),
        }
    }

    /// The answer for content that is not whole.
    pub(super) fn refuse(&self, reason: &impl ToString) -> OpenError {
        damaged(&self.folder, &reason.to_string())
    }
}

/// The answer for content that cannot be read.
fn damaged(folder: &Path, reason: &str) -> OpenError {
    OpenError::Damaged { folder: folder.to_owned(), reason: reason.to_owned() }
}

fn io_error(path: &Path, source: std::io::Error) -> OpenError {
    OpenError::Io { path: path.to_owned(), source }
}

fn read_marker(folder: &Path) -> Result<Option<Marker>, OpenError> {
    let path = folder.join(MARKER);
    let json = match fs::read(&path) {
        Ok(json) => json,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(io_error(&path, source)),
    };
    let marker: Marker = serde_json::from_slice(&json)
        .map_err(|_| damaged(folder, &format!("{MARKER} cannot be read")))?;
    if marker.format != FORMAT_NAME {
        return Err(OpenError::Foreign { folder: folder.to_owned() });
    }
    if marker.version != FORMAT_VERSION {
        let (found, supported) = (marker.version, FORMAT_VERSION);
        return Err(OpenError::Version { folder: folder.to_owned(), found, supported });
    }
    Ok(Some(marker))
}

/// Replaces the marker as a whole and makes it durable.
fn write_marker(folder: &Path, ready: bool) -> Result<(), OpenError> {
    let marker = Marker { format: FORMAT_NAME.to_owned(), version: FORMAT_VERSION, ready };
    let (path, temporary) = (folder.join(MARKER), folder.join("cosmos-local.json.tmp"));
    let json = serde_json::to_vec(&marker)
        .map_err(|error| io_error(&path, std::io::Error::other(error)))?;
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(&json)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        // The rename is durable when the folder is.
        File::open(folder)?.sync_all()
    };
    write().map_err(|source| io_error(&path, source))
}

fn check_magic(folder: &Path, data: &Path) -> Result<(), OpenError> {
    let mut file = match File::open(data) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(damaged(folder, &format!("{DATA} is missing")));
        }
        Err(source) => return Err(io_error(data, source)),
    };
    let mut magic = [0; REDB_MAGIC.len()];
    match file.read_exact(&mut magic) {
        Ok(()) if magic == REDB_MAGIC => Ok(()),
        _ => Err(damaged(folder, &format!("{DATA} does not begin as a storage file does"))),
    }
}

fn check_empty(folder: &Path) -> Result<(), OpenError> {
    let entries = fs::read_dir(folder).map_err(|source| io_error(folder, source))?;
    for entry in entries {
        let name = entry.map_err(|source| io_error(folder, source))?.file_name();
        let own = OWN_FILES.iter().any(|own| name == *own) || name == "cosmos-local.json.tmp";
        if !own {
            return Err(OpenError::Foreign { folder: folder.to_owned() });
        }
    }
    Ok(())
}

fn remove_if_there(path: &Path) -> Result<(), OpenError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io_error(path, error)),
        _ => Ok(()),
    }
}

//! The engine: opens a data folder and finds what is in it. What changes the catalog is in [`super::admin`].

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;

use redb::backends::FileBackend;
use redb::{ReadableDatabase, StorageBackend};

use super::catalog::{Catalog, Database, META, OfferRecord};
use super::container::{Container, Host};
use super::error::{OpenError, StorageError};
use super::flush::{FREEZE_AT, Progress};
use super::folder;
use super::recovery::recover;
use super::writer::{self, Sync, Writer};
use crate::clock::Clock;

/// Page cache: holds the upper levels of all indexes of some millions of items, and stays small beside the
/// process that embeds the endpoint.
pub(crate) const CACHE_BYTES: usize = 48 * 1024 * 1024;

/// When an acknowledged write is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Before it is acknowledged.
    Durable,
    /// About a second later: a crash of the process or the machine loses up to that.
    Relaxed,
}

/// How to open an engine.
#[derive(Debug, Clone)]
pub(crate) struct EngineOptions {
    /// The data folder; `None` keeps everything in memory.
    pub(crate) folder: Option<PathBuf>,
    /// When writes reach the disk.
    pub(crate) durability: Durability,
    /// Bound of the page cache.
    pub(crate) cache_bytes: usize,
    /// Index entries in memory at which they begin to move into the file: [`FREEZE_AT`].
    pub(crate) freeze_at: usize,
}

impl EngineOptions {
    /// Durable, in a folder or in memory.
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self {
            folder,
            durability: Durability::Durable,
            cache_bytes: CACHE_BYTES,
            freeze_at: FREEZE_AT,
        }
    }
}

/// The storage engine. Clones share one engine.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    pub(super) shared: Arc<Shared>,
}

/// What all handles of an engine share.
#[derive(Debug)]
pub(super) struct Shared {
    catalog: RwLock<Catalog>,
    pub(super) host: Host,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Shared {
    pub(super) fn catalog(&self) -> RwLockReadGuard<'_, Catalog> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn catalog_mut(&self) -> RwLockWriteGuard<'_, Catalog> {
        self.catalog.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    /// An engine that was not closed leaves the file as a crash would. Waits for the commit in progress, so
    /// that the folder can be opened again at once.
    fn drop(&mut self) {
        self.host.writer.stop();
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the writer panicked");
        }
    }
}

impl Engine {
    /// Opens or makes a data folder.
    ///
    /// # Errors
    /// The folder is foreign, damaged or of another format; it is then left as it was.
    pub(crate) fn open(options: &EngineOptions) -> Result<Self, OpenError> {
        Self::open_with(options, FileBackend::new)
    }

    /// The same, with what `backend` makes of the storage file.
    pub(super) fn open_with<B: StorageBackend>(
        options: &EngineOptions,
        backend: impl FnOnce(File) -> Result<B, redb::DatabaseError>,
    ) -> Result<Self, OpenError> {
        let (handle, queue) = writer::pair();
        let clock = Clock::default();
        let host =
            |file| Host { file: Arc::new(file), writer: handle.clone(), clock: clock.clone() };
        let (host, loaded, sync) = match &options.folder {
            None => {
                let host = host(in_memory(options.cache_bytes)?);
                let loaded = make(&host).map_err(|error| memory_error(&error))?;
                (host, loaded, Sync::Never)
            }
            Some(folder) => {
                let sync = match options.durability {
                    Durability::Durable => Sync::Always,
                    Durability::Relaxed => Sync::Relaxed,
                };
                let (file, admission) =
                    guarded(folder, || folder::open(folder, options.cache_bytes, backend))?;
                let host = host(file);
                let loaded = guarded(folder, || {
                    let loaded = if admission.is_new() { make(&host) } else { load(&host) };
                    loaded.map_err(|error| admission.refuse(&error))
                })?;
                admission.admit()?;
                (host, loaded, sync)
            }
        };
        let mut writer = Writer::new(
            Arc::clone(&host.file),
            clock,
            sync,
            options.freeze_at,
            handle.failure().clone(),
        );
        for (container, progress) in loaded.progress {
            writer.adopt(container, progress.indexed);
        }
        let thread = std::thread::Builder::new()
            .name("cosmos-local-writer".to_owned())
            .spawn(move || queue.serve(writer))
            .map_err(|source| OpenError::Io {
                path: options.folder.clone().unwrap_or_default(),
                source,
            })?;
        let catalog = RwLock::new(loaded.catalog);
        let thread = Mutex::new(Some(thread));
        Ok(Self { shared: Arc::new(Shared { catalog, host, thread }) })
    }

    /// Takes no more writes, brings the file into the state from which it opens fastest, and closes it.
    ///
    /// # Errors
    /// The last commits failed. What was acknowledged is in the file nevertheless.
    pub(crate) async fn close(&self) -> Result<(), StorageError> {
        let result = self.shared.host.writer.close().await;
        let thread = self.shared.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The writer answers as its last act, so the join does not wait.
        match thread.map(JoinHandle::join) {
            Some(Err(_)) => Err(self.shared.host.writer.failure().closed()),
            _ => result,
        }
    }

    /// The clock of the endpoint.
    pub(crate) fn clock(&self) -> &Clock {
        &self.shared.host.clock
    }

    /// Why the engine takes no more writes, after a failure that only a restart mends.
    pub(crate) fn failure(&self) -> Option<String> {
        self.shared.host.writer.failure().reason().map(str::to_owned)
    }

    /// All databases, by id.
    pub(crate) fn databases(&self) -> Vec<Arc<Database>> {
        self.shared.catalog().databases.values().cloned().collect()
    }

    /// The database with this id.
    pub(crate) fn database(&self, id: &str) -> Option<Arc<Database>> {
        self.shared.catalog().databases.get(id).cloned()
    }

    /// The container with this id.
    pub(crate) fn container(&self, database: &str, id: &str) -> Option<Arc<Container>> {
        let name = (database.to_owned(), id.to_owned());
        self.shared.catalog().containers.get(&name).cloned()
    }

    /// All containers of a database, by id.
    pub(crate) fn containers(&self, database: &str) -> Vec<Arc<Container>> {
        let catalog = self.shared.catalog();
        let of_database = catalog.containers.iter().filter(|((owner, _), _)| owner == database);
        of_database.map(|(_, container)| Arc::clone(container)).collect()
    }

    /// All offers, oldest first.
    pub(crate) fn offers(&self) -> Vec<OfferRecord> {
        self.shared.catalog().offers.values().cloned().collect()
    }
}

/// What an open has read.
struct Loaded {
    catalog: Catalog,
    progress: Vec<(Arc<Container>, Progress)>,
}

/// The storage library may panic on pages that are not what it wrote; to the caller that is damage.
fn guarded<T>(folder: &Path, open: impl FnOnce() -> Result<T, OpenError>) -> Result<T, OpenError> {
    // What `open` leaves half done is dropped here and never looked at again.
    catch_unwind(AssertUnwindSafe(open)).unwrap_or_else(|_| {
        let reason = "its pages are not what was written".to_owned();
        Err(OpenError::Damaged { folder: folder.to_owned(), reason })
    })
}

fn in_memory(cache_bytes: usize) -> Result<redb::Database, OpenError> {
    let mut builder = redb::Database::builder();
    builder.set_cache_size(cache_bytes);
    builder
        .create_with_backend(redb::backends::InMemoryBackend::new())
        .map_err(|error| memory_error(&StorageError::Unavailable(error.to_string())))
}

fn memory_error(error: &StorageError) -> OpenError {
    let source = std::io::Error::other(error.to_string());
    OpenError::Io { path: PathBuf::from("(memory)"), source }
}

/// Makes the catalog of a new file.
fn make(host: &Host) -> Result<Loaded, StorageError> {
    let mut transaction = host.file.begin_write()?;
    transaction.set_quick_repair(true);
    transaction.open_table(META)?;
    transaction.commit()?;
    load(host)
}

/// Reads the catalog and the tail of each log.
fn load(host: &Host) -> Result<Loaded, StorageError> {
    let meta = host.file.begin_read()?.open_table(META)?;
    let catalog = Catalog::load(&meta, host)?;
    let mut progress = Vec::with_capacity(catalog.containers.len());
    for container in catalog.containers.values() {
        progress.push((Arc::clone(container), recover(container)?));
    }
    Ok(Loaded { catalog, progress })
}

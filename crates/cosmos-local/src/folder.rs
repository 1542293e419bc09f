//! The data folder as seen from outside: who uses it, and where that process listens.
//!
//! The lock on `lock` says that a process uses the folder; it goes with the process, however that
//! ends. `endpoint.json` says where to find it and means nothing without the lock. What else is in
//! the folder is the business of storage.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::auth::EMULATOR_KEY;
use crate::management::client;

const LOCK_FILE: &str = "lock";
const ENDPOINT_FILE: &str = "endpoint.json";
const ENDPOINT_FILE_NEW: &str = "endpoint.json.tmp";

/// Another process that only asks who uses the folder holds the lock for microseconds.
const LOCK_ATTEMPTS: usize = 5;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// A process that holds the lock may still be opening a large folder.
const JOIN_DEADLINE: Duration = Duration::from_secs(10);
const JOIN_PAUSE: Duration = Duration::from_millis(50);

/// Where a running endpoint is found.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointInfo {
    /// Address of the endpoint, such as `http://127.0.0.1:8081/`.
    pub endpoint: String,
    /// Address of the management port.
    pub management_endpoint: String,
    /// The account key in base64.
    pub key: String,
    /// The process that serves it.
    pub pid: u32,
}

impl EndpointInfo {
    /// The connection string that SDKs take.
    pub fn connection_string(&self) -> String {
        format!("AccountEndpoint={};AccountKey={};", self.endpoint, self.key)
    }
}

impl fmt::Debug for EndpointInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key stays out of logs.
        f.debug_struct("EndpointInfo")
            .field("endpoint", &self.endpoint)
            .field("management_endpoint", &self.management_endpoint)
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

/// [`EndpointInfo`] as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Published {
    endpoint: String,
    management_endpoint: String,
    pid: u32,
    /// Left out when it is the published emulator key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

/// Why nobody could be joined on a folder that somebody uses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// The process that uses the folder does not answer.
    #[error("a process uses {} but does not answer; stop it, or choose another folder", folder.display())]
    NotAnswering {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder could not be looked at.
    #[error("cannot look at {}: {source}", folder.display())]
    Io {
        /// The folder.
        folder: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// The right to use a folder; it ends with the value.
#[derive(Debug)]
pub(crate) struct FolderLock {
    folder: PathBuf,
    /// Held for its lock.
    _file: File,
}

/// A folder that was not locked.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Another process uses it.
    InUse(Option<EndpointInfo>),
    /// The file system refused.
    Io(io::Error),
}

impl From<io::Error> for LockError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl FolderLock {
    /// Takes the folder, which exists, for this process.
    pub(crate) async fn acquire(folder: &Path) -> Result<Self, LockError> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false);
        let file = file.open(folder.join(LOCK_FILE))?;
        for attempt in 1..=LOCK_ATTEMPTS {
            match file.try_lock() {
                Ok(()) => {
                    let lock = Self { folder: folder.to_owned(), _file: file };
                    // Left behind by a process that was killed.
                    lock.withdraw()?;
                    return Ok(lock);
                }
                Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
                Err(TryLockError::WouldBlock) if attempt < LOCK_ATTEMPTS => {
                    tokio::time::sleep(LOCK_PAUSE).await;
                }
                Err(TryLockError::WouldBlock) => {}
            }
        }
        Err(LockError::InUse(read(folder)))
    }

    /// Tells others where this process listens; they see the whole file or none.
    pub(crate) fn publish(&self, info: &EndpointInfo) -> io::Result<()> {
        let published = Published {
            endpoint: info.endpoint.clone(),
            management_endpoint: info.management_endpoint.clone(),
            pid: info.pid,
            key: (info.key != EMULATOR_KEY).then(|| info.key.clone()),
        };
        let text = serde_json::to_vec_pretty(&published)?;
        let new = self.folder.join(ENDPOINT_FILE_NEW);
        write_private(&new, &text)?;
        fs::rename(new, self.folder.join(ENDPOINT_FILE))
    }

    /// Takes back what [`publish`](Self::publish) told.
    pub(crate) fn withdraw(&self) -> io::Result<()> {
        match fs::remove_file(self.folder.join(ENDPOINT_FILE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Finds the endpoint that another process runs on a folder.
pub(crate) async fn attach(folder: &Path) -> Result<Option<EndpointInfo>, AttachError> {
    let found = tokio::time::timeout(JOIN_DEADLINE, find(folder)).await;
    found.unwrap_or_else(|_| Err(AttachError::NotAnswering { folder: folder.to_owned() }))
}

/// Looks until somebody answers or nobody uses the folder.
async fn find(folder: &Path) -> Result<Option<EndpointInfo>, AttachError> {
    loop {
        let in_use = is_in_use(folder)
            .map_err(|source| AttachError::Io { folder: folder.to_owned(), source })?;
        if !in_use {
            return Ok(None);
        }
        if let Some(info) = read(folder) {
            match client::health(&info.management_endpoint).await {
                // Another process may have been given the port of one that is gone.
                Ok(health) if health.pid == info.pid => return Ok(Some(info)),
                _ => {}
            }
        }
        tokio::time::sleep(JOIN_PAUSE).await;
    }
}

fn is_in_use(folder: &Path) -> io::Result<bool> {
    match File::open(folder.join(LOCK_FILE)) {
        Ok(file) => match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn read(folder: &Path) -> Option<EndpointInfo> {
    let text = fs::read(folder.join(ENDPOINT_FILE)).ok()?;
    let published: Published = serde_json::from_slice(&text).ok()?;
    Some(EndpointInfo {
        endpoint: published.endpoint,
        management_endpoint: published.management_endpoint,
        key: published.key.unwrap_or_else(|| EMULATOR_KEY.to_owned()),
        pid: published.pid,
    })
}

/// The file may carry a key, so only its owner may read it.
fn write_private(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    io::Write::write_all(&mut options.open(path)?, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(key: &str) -> EndpointInfo {
        EndpointInfo {
            endpoint: "http://127.0.0.1:8081/".to_owned(),
            management_endpoint: "http://127.0.0.1:8082/".to_owned(),
            key: key.to_owned(),
            pid: 7,
        }
    }

    #[tokio::test]
    async fn a_folder_is_used_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_in_use(folder.path()).unwrap());
        let lock = FolderLock::acquire(folder.path()).await.unwrap();
        assert!(is_in_use(folder.path()).unwrap());
        lock.publish(&info(EMULATOR_KEY)).unwrap();
        match FolderLock::acquire(folder.path()).await {
            Err(LockError::InUse(Some(found))) => assert_eq!(found, info(EMULATOR_KEY)),
            other => panic!("{other:?}"),
        }
        drop(lock);
        let _lock = FolderLock::acquire(folder.path()).await.unwrap();
        assert_eq!(read(folder.path()), None, "what a killed process left is removed");
    }

    #[tokio::test]
    async fn the_published_key_stays_out_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let lock = FolderLock::acquire(folder.path()).await.unwrap();
        let text = || fs::read_to_string(folder.path().join(ENDPOINT_FILE)).unwrap();
        lock.publish(&info(EMULATOR_KEY)).unwrap();
        assert!(!text().contains("key"));
        lock.publish(&info("b3RoZXI=")).unwrap();
        assert!(text().contains("b3RoZXI="));
        assert_eq!(read(folder.path()), Some(info("b3RoZXI=")));
        lock.withdraw().unwrap();
        lock.withdraw().unwrap();
        assert_eq!(read(folder.path()), None);
    }

    #[tokio::test]
    async fn nobody_is_found_on_a_folder_that_nobody_uses() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(attach(folder.path()).await.unwrap(), None);
        assert_eq!(attach(&folder.path().join("missing")).await.unwrap(), None);
        drop(FolderLock::acquire(folder.path()).await.unwrap());
        assert_eq!(attach(folder.path()).await.unwrap(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_does_not_answer_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let _lock = FolderLock::acquire(folder.path()).await.unwrap();
        let refused = attach(folder.path()).await.unwrap_err();
        assert!(matches!(refused, AttachError::NotAnswering { .. }));
        assert!(refused.to_string().contains(&folder.path().display().to_string()));
    }
}

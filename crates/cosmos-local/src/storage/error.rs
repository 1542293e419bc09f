//! What can go wrong in storage, by what a caller does about it.

use std::path::PathBuf;

/// A data folder that was not opened. Nothing in it has been changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum OpenError {
    /// The folder holds something, and none of it says that it is ours.
    #[error("{folder} is not empty and is not a cosmos-local data folder; choose another folder")]
    Foreign {
        /// The folder that was refused.
        folder: PathBuf,
    },
    /// The folder was written by a version that this one does not know.
    #[error(
        "{folder} has data format {found}, this version reads format {supported}; use the version that wrote it"
    )]
    Version {
        /// The folder that was refused.
        folder: PathBuf,
        /// Its format.
        found: u64,
        /// The format that this version reads and writes.
        supported: u64,
    },
    /// The folder is ours, and its content is damaged.
    #[error(
        "{folder} is damaged ({reason}); it was left as it is: restore it from a copy or choose another folder"
    )]
    Damaged {
        /// The folder that was refused.
        folder: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file system refused.
    #[error("cannot use {path}: {source}")]
    Io {
        /// The path in question.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// An operation of storage that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum StorageError {
    /// A database or container of that name is there already.
    #[error("it exists already")]
    Exists,
    /// No such database, container, offer or partition.
    #[error("it does not exist")]
    NotFound,
    /// The partition was split or merged away.
    #[error("the partition key range is gone")]
    Gone,
    /// The request cannot be carried out as it is.
    #[error("{0}")]
    Invalid(String),
    /// The engine is closed, or a commit failed and it takes no more writes.
    #[error("storage is unavailable: {0}")]
    Unavailable(String),
    /// A stored byte sequence is not what was written.
    #[error("stored data is damaged: {0}")]
    Corrupt(String),
}

macro_rules! unavailable_from {
    ($($source:ty),+) => {$(
        impl From<$source> for StorageError {
            fn from(error: $source) -> Self {
                classify(error.into())
            }
        }
    )+};
}
unavailable_from!(redb::TransactionError, redb::CommitError, redb::SetDurabilityError);

impl From<redb::StorageError> for StorageError {
    fn from(error: redb::StorageError) -> Self {
        classify(error.into())
    }
}

impl From<redb::TableError> for StorageError {
    fn from(error: redb::TableError) -> Self {
        match error {
            // The tables of a container go with it.
            redb::TableError::TableDoesNotExist(_) => Self::NotFound,
            other => classify(other.into()),
        }
    }
}

fn classify(error: redb::Error) -> StorageError {
    match error {
        redb::Error::Corrupted(reason) => StorageError::Corrupt(reason),
        other => StorageError::Unavailable(other.to_string()),
    }
}

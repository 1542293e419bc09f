//! Why the writer takes no more writes, for all who would ask it for one.

use std::sync::{Arc, OnceLock};

use super::super::error::StorageError;

/// The first failure of a writer that it cannot recover from. Clones share it.
#[derive(Clone, Debug, Default)]
pub(in crate::storage) struct Failure(Arc<OnceLock<String>>);

impl Failure {
    /// Notes a failure; the first one stays.
    pub(super) fn note(&self, reason: String) {
        tracing::error!(reason, "storage takes no more writes");
        let _later = self.0.set(reason).is_err();
    }

    /// The reason, if there was a failure.
    pub(in crate::storage) fn reason(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }

    /// The answer when the writer is not there any more.
    pub(in crate::storage) fn closed(&self) -> StorageError {
        StorageError::Unavailable(self.reason().unwrap_or("the engine is closed").to_owned())
    }
}

/// Notes a panic of the thread that holds it.
#[derive(Debug)]
pub(super) struct Watch(pub(super) Failure);

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.note("the writer panicked; restart the endpoint".to_owned());
        }
    }
}

//! Where the store of a demonstration is.

use std::path::{Path, PathBuf};

use uuid::Uuid;

/// A folder, removed at the end unless somebody has named it.
#[derive(Debug)]
pub(super) struct Place {
    folder: PathBuf,
    is_temporary: bool,
}

impl Place {
    pub(super) fn new(named: Option<PathBuf>) -> Self {
        let is_temporary = named.is_none();
        let temporary = || std::env::temp_dir().join(format!("cosmos-es-demo-{}", Uuid::new_v4()));
        Self { folder: named.unwrap_or_else(temporary), is_temporary }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_temporary
            && let Err(error) = std::fs::remove_dir_all(&self.folder)
        {
            tracing::warn!(%error, folder = %self.folder.display(), "the folder is not removed");
        }
    }
}

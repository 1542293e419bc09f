//! Where it is kept which versions there are: one document for each read model.

use std::sync::Arc;

use serde_json::value::to_raw_value;
use thiserror::Error;

use super::{
    Document, Found, Kind, VersionFault, Versions, ViewFault, ViewQuery, ViewStore, Write,
};

/// The logical partition of the documents that say which versions there are.
const PARTITION: &str = "projections";
/// How often a change is tried, when others change the same document at the same moment.
const TRIES_MAX: u32 = 20;
/// The most read models that are listed: a program has some tens.
const LIST_MAX: u32 = 1000;

/// Which versions there are of each read model.
#[derive(Clone)]
pub struct Registry {
    store: Arc<dyn ViewStore>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Registry(..)")
    }
}

/// Why the versions could not be read or changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// It may not become so.
    #[error(transparent)]
    Version(#[from] VersionFault),
    /// Others keep changing them.
    #[error("the versions of the read model keep changing")]
    Contended,
    /// The container failed, or the way to it.
    #[error(transparent)]
    Store(#[from] ViewFault),
}

impl Registry {
    /// The registry in a container of read models.
    pub fn new(store: Arc<dyn ViewStore>) -> Self {
        Self { store }
    }

    /// The versions of a read model; none where there is none. A point read.
    ///
    /// # Errors
    ///
    /// [`RegistryError::Store`].
    pub async fn get(&self, name: &str) -> Result<Versions, RegistryError> {
        Ok(self.read(name).await?.0)
    }

    /// The versions of all read models, by name. A query in one logical partition.
    ///
    /// # Errors
    ///
    /// [`RegistryError::Store`].
    pub async fn list(&self) -> Result<Vec<(String, Versions)>, RegistryError> {
        let query = ViewQuery::of(vec![Kind::Versions], LIST_MAX);
        let found = self.store.query(PARTITION, &query).await?;
        let named = |found: Found| {
            let name = found.document.key.clone().unwrap_or_default();
            Ok((name, versions(&found.document)?))
        };
        found.into_iter().map(named).collect()
    }

    /// Changes the versions of a read model: a read and a guarded write, and again when others were
    /// faster. `change` says whether something has changed, and what it found.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the change may or may not be made.
    pub async fn change<T>(
        &self,
        name: &str,
        mut change: impl FnMut(&mut Versions) -> Result<(bool, T), VersionFault>,
    ) -> Result<T, RegistryError> {
        for _ in 0..TRIES_MAX {
            let (mut versions, etag) = self.read(name).await?;
            let (is_changed, value) = change(&mut versions)?;
            if !is_changed {
                return Ok(value);
            }
            let write = Write { document: document(name, &versions)?, etag, is_delete: false };
            match self.store.commit(PARTITION, vec![write]).await {
                Ok(_) => return Ok(value),
                Err(ViewFault::Conflict) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        Err(RegistryError::Contended)
    }

    async fn read(&self, name: &str) -> Result<(Versions, Option<String>), RegistryError> {
        match self.store.read(PARTITION, &Document::versions_id(name)).await? {
            Some(found) => Ok((versions(&found.document)?, Some(found.etag))),
            None => Ok((Versions::default(), None)),
        }
    }
}

fn versions(document: &Document) -> Result<Versions, ViewFault> {
    serde_json::from_value(document.value()).map_err(|_| ViewFault::Damaged {
        id: document.id.clone(),
        reason: "it does not say which versions there are".to_owned(),
    })
}

fn document(name: &str, versions: &Versions) -> Result<Document, ViewFault> {
    let data = to_raw_value(versions).map_err(|error| ViewFault::Refused(error.to_string()))?;
    Ok(Document::of_versions(PARTITION, name, data))
}

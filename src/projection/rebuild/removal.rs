//! Removing versions that nobody needs any more: their documents, and the places of their processors; and
//! places whose documents were lost.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use crate::{
    feed::{Control, LeaseStore, OPERATIONS_MAX, Operation, StoreFault},
    projection::{
        Kind, ReadModelError, ReadModels, Version, VersionState, ViewFault, ViewQuery, Write,
        definition::partition_key, read_models::LIVE_TIME, store::WRITES_MAX,
    },
};

/// How long readers may use a version after it was live: as long as they remember it and a read takes, and a
/// second because times of versions are whole ones.
const READERS_TIME: Duration = LIVE_TIME.saturating_mul(3);
/// How often documents that change while they are removed are read again.
const TRIES_MAX: u32 = 5;

impl ReadModels {
    /// Removes the versions of a read model that are neither live nor being built: all that were live
    /// before, and what was given up. Gives their numbers. Readers are not concerned; going back is not
    /// possible afterwards.
    ///
    /// # Errors
    ///
    /// [`ReadModelError`]. What is left is removed by the next call.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the next call goes on.
    pub async fn clean_up(&self, name: &str) -> Result<Vec<u32>, ReadModelError> {
        let versions = self.registry().get(name).await?;
        let is_old = |version: &&Version| {
            matches!(version.state, VersionState::Previous | VersionState::Removing)
        };
        let old: Vec<u32> = versions.versions.iter().filter(is_old).map(|one| one.number).collect();
        for number in &old {
            self.remove(name, *number).await?;
        }
        Ok(old)
    }

    /// Removes a version that is not live: its documents, the places of its processor, and that it was there.
    ///
    /// # Errors
    ///
    /// [`ReadModelError`]. What is left is removed by the next call.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the next call goes on.
    pub async fn remove(&self, name: &str, number: u32) -> Result<(), ReadModelError> {
        let now = self.account().clock.now().as_second();
        let registry = self.registry();
        let (shards, since) = registry
            .change(name, |versions| {
                let before = versions.clone();
                versions.give_up(number, now)?;
                let version = before.get(number).map(|version| (version.shards, version.since));
                Ok((*versions != before, version.unwrap_or_default()))
            })
            .await?;
        self.wait_left(name, number).await?;
        // Where no host had to leave, readers may still take it for the live one.
        let now = self.account().clock.now().as_second();
        let passed = u64::try_from(now.saturating_sub(since)).unwrap_or_default();
        sleep(READERS_TIME.saturating_sub(Duration::from_secs(passed))).await;
        for shard in 0..shards {
            self.remove_documents(&partition_key(name, number, shard)).await?;
        }
        self.remove_places(name, number).await?;
        registry
            .change(name, |versions| {
                versions.forget(number);
                Ok((true, ()))
            })
            .await?;
        Ok(())
    }

    /// Sends the processor of the version that is made next to the beginning, where there is one already. Then
    /// the documents of the read model were lost and its places were not: they are behind events that are in
    /// no document.
    ///
    /// # Errors
    ///
    /// [`ReadModelError`].
    pub(in crate::projection) async fn forget_old_places(
        &self,
        name: &str,
    ) -> Result<(), ReadModelError> {
        let number = self.registry().get(name).await?.next_number();
        if self.overview(name, number).await?.topology.is_none() {
            return Ok(());
        }
        // Whoever has made the version meanwhile has looked as well, and its processor is a new one.
        if self.registry().get(name).await?.next_number() != number {
            return Ok(());
        }
        tracing::warn!(
            projection = name,
            version = number,
            "a processor is older than its read model, and begins anew"
        );
        let leases: Arc<dyn LeaseStore> = Arc::new(self.leases(name, number));
        let rewound = Control::new(leases).rewind_to_beginning().await;
        rewound.map_err(|error| ReadModelError::Leases(StoreFault::Unavailable(error.to_string())))
    }

    async fn remove_documents(&self, partition: &str) -> Result<(), ReadModelError> {
        let limit = u32::try_from(WRITES_MAX).unwrap_or(1);
        let query = ViewQuery::of(Kind::MADE.to_vec(), limit);
        let mut conflicts = 0;
        loop {
            let found = self.views().query(partition, &query).await?;
            if found.is_empty() {
                return Ok(());
            }
            let delete = |found: crate::projection::Found| Write {
                document: found.document,
                etag: Some(found.etag),
                is_delete: true,
            };
            match self.views().commit(partition, found.into_iter().map(delete).collect()).await {
                Ok(_) => conflicts = 0,
                Err(ViewFault::Conflict) if conflicts < TRIES_MAX => conflicts += 1,
                Err(fault) => return Err(fault.into()),
            }
        }
    }

    async fn remove_places(&self, name: &str, number: u32) -> Result<(), ReadModelError> {
        let leases = self.leases(name, number);
        let documents = leases.list().await?;
        let delete = |found: &crate::feed::documents::Stored<crate::feed::documents::Document>| {
            Operation::Delete { id: found.document.id(), etag: found.etag.clone() }
        };
        let deletes: Vec<Operation> = documents.iter().map(delete).collect();
        for part in deletes.chunks(OPERATIONS_MAX) {
            leases.commit(part.to_vec()).await?;
        }
        Ok(())
    }
}

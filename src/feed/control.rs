//! What an operator tells all hosts of a processor, by way of its documents.

use std::sync::Arc;

use thiserror::Error;

use super::{
    documents::{Activity, Document, Host, Lease, Parked, Position, Stored, Topology, parked_id},
    store::{LeaseStore, Operation, StoreFault},
};

/// How often a change of the topology is tried, when hosts change it at the same moment.
const TRIES_MAX: u32 = 10;

/// What can be told to a processor, from any process. Every host honours it with its next beat.
#[derive(Clone)]
pub struct Control {
    leases: Arc<dyn LeaseStore>,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Control(..)")
    }
}

/// All of a processor that is stored.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Overview {
    /// What holds for the whole processor; nothing where it was never started.
    pub topology: Option<Topology>,
    /// Its leases, by range.
    pub leases: Vec<Lease>,
    /// Its hosts, also those that died not long ago.
    pub hosts: Vec<Host>,
    /// The keys that are set aside.
    pub parked: Vec<Parked>,
}

/// Why a processor could not be told.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The processor was never started.
    #[error("there is no such processor")]
    NoProcessor,
    /// The key is not parked.
    #[error("the key is not parked")]
    NotParked,
    /// Hosts changed the documents each time. Try again.
    #[error("the documents of the processor keep changing")]
    Contended,
    /// The lease store failed.
    #[error(transparent)]
    Store(#[from] StoreFault),
}

impl Control {
    /// Tells the processor that has its documents here.
    pub fn new(leases: Arc<dyn LeaseStore>) -> Self {
        Self { leases }
    }

    /// All of the processor that is stored. One query.
    ///
    /// # Errors
    ///
    /// [`ControlError::Store`].
    pub async fn overview(&self) -> Result<Overview, ControlError> {
        let mut overview = Overview::default();
        for Stored { document, .. } in self.leases.list().await? {
            match document {
                Document::Topology(topology) => overview.topology = Some(topology),
                Document::Lease(lease) => overview.leases.push(lease),
                Document::Host(host) => overview.hosts.push(host),
                Document::Parked(parked) => overview.parked.push(parked),
            }
        }
        overview.leases.sort_by(|one, other| one.range.cmp(&other.range));
        overview.parked.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(overview)
    }

    /// Lets all hosts hold still: leases stay where they are, nothing new is read or handled.
    ///
    /// # Errors
    ///
    /// [`ControlError`].
    pub async fn pause(&self) -> Result<(), ControlError> {
        self.change(|topology| topology.activity = Activity::Paused).await
    }

    /// Lets all hosts work again.
    ///
    /// # Errors
    ///
    /// [`ControlError`].
    pub async fn resume(&self) -> Result<(), ControlError> {
        self.change(|topology| topology.activity = Activity::Running).await
    }

    /// Lets all leases go on at another place, the beginning or a time. What was handled behind it comes
    /// again. Hosts finish what they have begun first.
    ///
    /// # Errors
    ///
    /// [`ControlError`].
    pub async fn rewind(&self, position: Position) -> Result<(), ControlError> {
        self.change(|topology| {
            topology.generation = topology.generation.saturating_add(1);
            topology.rewind = Some(position.clone());
        })
        .await
    }

    async fn change(&self, change: impl Fn(&mut Topology)) -> Result<(), ControlError> {
        for _ in 0..TRIES_MAX {
            let listed = self.leases.list().await?;
            let found = listed.into_iter().find_map(|found| match found.document {
                Document::Topology(topology) => Some((topology, found.etag)),
                _ => None,
            });
            let (mut topology, etag) = found.ok_or(ControlError::NoProcessor)?;
            change(&mut topology);
            let document = Document::Topology(topology);
            match self.leases.commit(vec![Operation::Replace { document, etag }]).await {
                Ok(_) => return Ok(()),
                Err(StoreFault::Conflict { .. }) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        Err(ControlError::Contended)
    }

    /// Forgets that a key is parked: its later changes are handled again, those before are not.
    ///
    /// # Errors
    ///
    /// [`ControlError`].
    pub async fn discard(&self, key: &str) -> Result<(), ControlError> {
        for _ in 0..TRIES_MAX {
            let id = parked_id(key);
            let listed = self.leases.list().await?;
            // The topology changes with it, so that every host looks.
            let touch = listed.iter().find_map(|found| match &found.document {
                Document::Topology(_) => Some(Operation::Replace {
                    document: found.document.clone(),
                    etag: found.etag.clone(),
                }),
                _ => None,
            });
            let touch = touch.ok_or(ControlError::NoProcessor)?;
            let found = listed.into_iter().find(|found| found.document.id() == id);
            let etag = found.ok_or(ControlError::NotParked)?.etag;
            match self.leases.commit(vec![touch, Operation::Delete { id, etag }]).await {
                Ok(_) => return Ok(()),
                Err(StoreFault::Conflict { .. }) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        Err(ControlError::Contended)
    }
}

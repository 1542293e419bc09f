//! What an operator tells all hosts of a processor, by way of its documents.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    documents::{
        Activity, Discard, Discarded, Document, Host, Lease, Parked, Rewind, Saved, SavedPosition,
        Stored, Topology, parked_id,
    },
    restart,
    store::{LeaseStore, Operation, StoreFault},
};
use crate::clock::{Clock, SystemClock};

/// How often a change of the documents is tried, when hosts change them at the same moment.
const TRIES_MAX: u32 = 10;
/// The characters of a reason: it is for people, and stored.
const REASON_CHARACTERS_MAX: usize = 500;

/// What can be told to a processor, from any process. Every host honours it with its next beat.
///
/// Each call is a query and a transactional batch, about 3 RU and 30 RU, and again when a host changed the
/// documents in between. A call that is dropped may have been carried out.
#[derive(Clone)]
pub struct Control {
    leases: Arc<dyn LeaseStore>,
    clock: Arc<dyn Clock>,
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
    /// The keys that were given up in the last 90 days, the latest first.
    pub discarded: Vec<Discarded>,
    /// Where leases go on after a rewind to saved positions.
    pub saved: Option<Saved>,
}

/// How far a processor was done at a moment, to go back there later.
///
/// As JSON it is `{"positions": [{"range", "position", "doneAt"}]}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Positions {
    /// Of each range.
    pub positions: Vec<SavedPosition>,
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
    /// What lies before the first change that was not handled cannot be handled again.
    #[error("the key is parked at {0}, it cannot be tried again from an earlier place")]
    BeforeParked(u64),
    /// The reason is empty or too long.
    #[error("a reason has 1 to {REASON_CHARACTERS_MAX} characters and no control characters")]
    Reason,
    /// The positions are of no use.
    #[error("there are no positions to go to")]
    NoPositions,
    /// Hosts changed the documents each time. Try again.
    #[error("the documents of the processor keep changing")]
    Contended,
    /// The lease store failed.
    #[error(transparent)]
    Store(#[from] StoreFault),
}

/// All documents, and the version of the topology that every change is made under: when it changes, all
/// hosts look.
struct Listed {
    documents: Vec<Stored<Document>>,
    topology: Topology,
    etag: String,
}

impl Listed {
    fn touch(&self, topology: Topology) -> Operation {
        Operation::Replace { document: Document::Topology(topology), etag: self.etag.clone() }
    }

    fn parked(&self, key: &str) -> Result<(&Parked, &str), ControlError> {
        let id = parked_id(key);
        let found = self.documents.iter().find_map(|found| match &found.document {
            Document::Parked(parked) if found.document.id() == id => {
                Some((parked, found.etag.as_str()))
            }
            _ => None,
        });
        found.ok_or(ControlError::NotParked)
    }
}

impl Control {
    /// Tells the processor that has its documents here.
    pub fn new(leases: Arc<dyn LeaseStore>) -> Self {
        Self { leases, clock: Arc::new(SystemClock::new()) }
    }

    /// The same with another clock, for simulations.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
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
                Document::Discarded(discarded) => overview.discarded.push(discarded),
                Document::Saved(saved) => overview.saved = Some(saved),
            }
        }
        overview.leases.sort_by(|one, other| one.range.cmp(&other.range));
        overview.parked.sort_by(|one, other| one.key.cmp(&other.key));
        overview.discarded.sort_by(|one, other| (other.at, &one.key).cmp(&(one.at, &other.key)));
        Ok(overview)
    }

    /// Lets all hosts hold still: leases stay where they are, nothing new is read or handled.
    ///
    /// # Errors
    ///
    /// [`ControlError`].
    pub async fn pause(&self) -> Result<(), ControlError> {
        self.change_topology(|topology| topology.activity = Activity::Paused).await
    }

    /// Lets all hosts work again.
    ///
    /// # Errors
    ///
    /// [`ControlError`].
    pub async fn resume(&self) -> Result<(), ControlError> {
        self.change_topology(|topology| topology.activity = Activity::Running).await
    }

    /// Lets all leases go on with the first change. What was handled comes again. Hosts finish what they
    /// have begun first. Keys that are parked stay so.
    ///
    /// # Errors
    ///
    /// [`ControlError`].
    pub async fn rewind_to_beginning(&self) -> Result<(), ControlError> {
        self.rewind(Rewind::Beginning).await
    }

    /// Lets all leases go on with the changes after a time, in seconds since 1970, UTC. A later time than
    /// the leases have come to leaves out what is before it.
    ///
    /// # Errors
    ///
    /// [`ControlError`].
    pub async fn rewind_to_time(&self, seconds: i64) -> Result<(), ControlError> {
        self.rewind(Rewind::Time(seconds)).await
    }

    async fn rewind(&self, rewind: Rewind) -> Result<(), ControlError> {
        self.change_topology(|topology| {
            topology.generation = topology.generation.saturating_add(1);
            topology.rewind = Some(rewind);
        })
        .await
    }

    /// How far the processor is done now: what is durable. Changes that are behind it come again after a
    /// [`rewind_to`](Self::rewind_to) these positions, and a little more may, but nothing before the
    /// positions.
    ///
    /// # Errors
    ///
    /// [`ControlError`].
    pub async fn positions(&self) -> Result<Positions, ControlError> {
        let overview = self.overview().await?;
        let topology = overview.topology.ok_or(ControlError::NoProcessor)?;
        let saved = |lease: Lease| {
            let goal = restart::next_place(&topology, overview.saved.as_ref(), &lease);
            let (position, done_at) = (goal.position, goal.done_at);
            SavedPosition { range: lease.range, position, done_at }
        };
        Ok(Positions { positions: overview.leases.into_iter().map(saved).collect() })
    }

    /// Lets all leases go on at positions that were saved before, of this processor or of another one over
    /// the same container. Where partitions have changed since, a range goes on at an earlier time.
    ///
    /// # Errors
    ///
    /// [`ControlError::NoPositions`] and the others.
    pub async fn rewind_to(&self, positions: &Positions) -> Result<(), ControlError> {
        if positions.positions.is_empty() {
            return Err(ControlError::NoPositions);
        }
        self.change(|listed| {
            let mut topology = listed.topology.clone();
            topology.generation = topology.generation.saturating_add(1);
            topology.rewind = Some(Rewind::Saved);
            let saved =
                Saved { generation: topology.generation, positions: positions.positions.clone() };
            Ok(vec![listed.touch(topology), Operation::Upsert(Document::Saved(saved))])
        })
        .await
    }

    /// Lets a parked key be tried again: the changes that waited are handled in order, then those that
    /// come. It is parked again when that fails. From a later place than it was parked at on, what is
    /// before that place is given up.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotParked`], [`ControlError::BeforeParked`] and the others.
    pub async fn redrive(&self, key: &str, from: Option<u64>) -> Result<(), ControlError> {
        self.change(|listed| {
            let (parked, etag) = listed.parked(key)?;
            if from.is_some_and(|from| from < parked.order) {
                return Err(ControlError::BeforeParked(parked.order));
            }
            let order = from.unwrap_or(parked.order);
            if parked.redrive && order == parked.order && parked.discard.is_none() {
                // Whoever asks again and again must not be in the way of what was asked for.
                return Ok(Vec::new());
            }
            let parked = Parked { redrive: true, order, discard: None, ..parked.clone() };
            let document = Document::Parked(parked);
            let wish = Operation::Replace { document, etag: etag.to_owned() };
            Ok(vec![listed.touch(listed.topology.clone()), wish])
        })
        .await
    }

    /// Lets a parked key go: what was stored before this call is given up, what is stored later is handled.
    /// That it was, and why, is kept for 90 days.
    ///
    /// The service stamps whole seconds: what waits and was stored in the second of the call is still
    /// handled, rather than something later be lost. Who holds the range carries it out, within seconds; as
    /// long as no host runs, the key stays parked.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotParked`], [`ControlError::Reason`] and the others.
    pub async fn discard(&self, key: &str, reason: &str) -> Result<(), ControlError> {
        let characters = reason.chars().count();
        if !(1..=REASON_CHARACTERS_MAX).contains(&characters)
            || reason.chars().any(char::is_control)
        {
            return Err(ControlError::Reason);
        }
        self.change(|listed| {
            let (parked, etag) = listed.parked(key)?;
            if parked.discard.is_some() {
                return Ok(Vec::new());
            }
            let (at, order) = (self.clock.now().as_second(), parked.order);
            let discard = Discard { reason: reason.to_owned(), at, order, before: None };
            let parked = Parked { redrive: true, discard: Some(discard), ..parked.clone() };
            let document = Document::Parked(parked);
            let wish = Operation::Replace { document, etag: etag.to_owned() };
            Ok(vec![listed.touch(listed.topology.clone()), wish])
        })
        .await
    }

    async fn change_topology(&self, change: impl Fn(&mut Topology)) -> Result<(), ControlError> {
        self.change(|listed| {
            let mut topology = listed.topology.clone();
            change(&mut topology);
            Ok(vec![listed.touch(topology)])
        })
        .await
    }

    async fn change(
        &self,
        change: impl Fn(&Listed) -> Result<Vec<Operation>, ControlError>,
    ) -> Result<(), ControlError> {
        for _ in 0..TRIES_MAX {
            let documents = self.leases.list().await?;
            let found = documents.iter().find_map(|found| match &found.document {
                Document::Topology(topology) => Some((topology.clone(), found.etag.clone())),
                _ => None,
            });
            let (topology, etag) = found.ok_or(ControlError::NoProcessor)?;
            let operations = change(&Listed { documents, topology, etag })?;
            if operations.is_empty() {
                return Ok(());
            }
            match self.leases.commit(operations).await {
                Ok(_) => return Ok(()),
                Err(StoreFault::Conflict { .. }) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        Err(ControlError::Contended)
    }
}

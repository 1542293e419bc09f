//! Control of a running endpoint: counters, faults, splits and merges, sweeping, shutdown.
//!
//! [`Control`] is the interface inside the process; the management port offers the same operations
//! as JSON over HTTP. Neither needs a key: both belong to whoever started the endpoint, and the
//! port is bound to the loopback interface.

mod api;
pub(crate) mod client;
pub(crate) mod counters;
pub(crate) mod fault;
pub(crate) mod faults;
pub(crate) mod serve;

use std::sync::Arc;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use self::counters::{Counts, DATA_KINDS};
use self::fault::{ActiveFault, Fault, FaultAction, Throttle};
use crate::clock;
use crate::key::Epk;
use crate::state::ServerState;
use crate::storage::{Container, StorageError};

/// Why a control operation was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// No such database, container, partition or fault.
    #[error("{0} does not exist")]
    NotFound(String),
    /// The request makes no sense as it is.
    #[error("{0}")]
    Invalid(String),
    /// Storage failed.
    #[error("{0}")]
    Failed(String),
}

/// A physical partition as control operations show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Partition {
    /// The id of its key range.
    pub id: u32,
    /// First effective partition key, in hexadecimal; empty for the start of the space.
    pub min: String,
    /// End of its effective partition keys, exclusive; `FF` for the end of the space.
    pub max: String,
    /// The partitions that it came from.
    pub parents: Vec<u32>,
}

/// Control of a running endpoint from inside its process.
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use cosmos_local::{Fault, FaultAction, LocalCosmos};
///
/// let endpoint = LocalCosmos::builder().start().await?;
/// endpoint.control().inject(Fault::new(FaultAction::DropAfter).on_kind("batch").times(1))?;
/// assert_eq!(endpoint.control().counts().total, 0);
/// endpoint.shutdown().await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Control {
    state: Arc<ServerState>,
    stop: CancellationToken,
}

impl Control {
    pub(crate) fn new(state: Arc<ServerState>, stop: CancellationToken) -> Self {
        Self { state, stop }
    }

    /// Why the endpoint takes no more writes, if that is so; only a restart mends it.
    pub fn failure(&self) -> Option<String> {
        self.state.engine.failure()
    }

    /// Requests since the start or the last reset.
    pub fn counts(&self) -> Counts {
        self.state.counters.counts()
    }

    /// The same, and starts counting anew.
    pub fn reset_counts(&self) -> Counts {
        self.state.counters.reset()
    }

    /// The faults in force.
    pub fn faults(&self) -> Vec<ActiveFault> {
        self.state.faults.list(clock::monotonic())
    }

    /// Puts a fault in force.
    ///
    /// # Errors
    ///
    /// [`ControlError::Invalid`] for a fault that makes no sense, such as one for a kind of request
    /// that does not exist.
    pub fn inject(&self, fault: Fault) -> Result<ActiveFault, ControlError> {
        self.state
            .faults
            .add(fault, clock::monotonic())
            .map_err(|error| ControlError::Invalid(error.to_string()))
    }

    /// Ends one fault.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when it is over already.
    pub fn remove_fault(&self, id: u64) -> Result<(), ControlError> {
        if self.state.faults.remove(id) {
            Ok(())
        } else {
            Err(ControlError::NotFound(format!("fault {id}")))
        }
    }

    /// Ends every fault, throttles included.
    pub fn clear_faults(&self) {
        self.state.faults.clear();
    }

    /// Answers requests that read or write items with 429/3200 when there are too many, for
    /// `seconds` or until it is removed. Takes the place of an earlier throttle.
    ///
    /// # Errors
    ///
    /// [`ControlError::Invalid`] unless exactly one of rate and ratio is given.
    pub fn throttle(
        &self,
        throttle: Throttle,
        seconds: Option<f64>,
    ) -> Result<ActiveFault, ControlError> {
        let mut fault = Fault::new(FaultAction::Throttle(throttle));
        fault.seconds = seconds;
        fault.matches.kinds = DATA_KINDS.map(str::to_owned).to_vec();
        self.clear_throttles();
        self.inject(fault)
    }

    /// Ends every throttle.
    pub fn clear_throttles(&self) {
        self.state.faults.clear_throttles();
    }

    /// The physical partitions of a container, in the order of their ranges.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when there is no such container.
    pub fn partitions(
        &self,
        database: &str,
        container: &str,
    ) -> Result<Vec<Partition>, ControlError> {
        Ok(show(&*self.container(database, container)?))
    }

    /// Splits a physical partition in two and gives the partitions afterwards.
    ///
    /// `partition` may be left out when there is only one. `at` is the effective partition key (in
    /// hexadecimal) at which the upper half begins; the middle when left out.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when there is no such container or partition,
    /// [`ControlError::Invalid`] when `at` is not inside the partition.
    pub async fn split(
        &self,
        database: &str,
        container: &str,
        partition: Option<u32>,
        at: Option<&str>,
    ) -> Result<Vec<Partition>, ControlError> {
        let before = show(&*self.container(database, container)?);
        let partition = match (partition, before.as_slice()) {
            (Some(id), _) => id,
            (None, [only]) => only.id,
            (None, several) => {
                let ids: Vec<String> = several.iter().map(|one| one.id.to_string()).collect();
                let ids = ids.join(", ");
                let reason = format!("there are several partitions; name one of {ids}");
                return Err(ControlError::Invalid(reason));
            }
        };
        let at = at.map(Epk::from_hex).transpose();
        let at = at.map_err(|error| ControlError::Invalid(error.to_string()))?;
        let split = self.state.engine.split(database, container, partition, at).await;
        split.map_err(|error| refused(error, &format!("partition {partition}")))?;
        self.partitions(database, container)
    }

    /// Merges two neighbouring physical partitions and gives the partitions afterwards.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] when there is no such container or partition,
    /// [`ControlError::Invalid`] when `right` does not follow `left`.
    pub async fn merge(
        &self,
        database: &str,
        container: &str,
        left: u32,
        right: u32,
    ) -> Result<Vec<Partition>, ControlError> {
        self.container(database, container)?;
        let merged = self.state.engine.merge(database, container, left, right).await;
        merged.map_err(|error| refused(error, &format!("partition {left} or {right}")))?;
        self.partitions(database, container)
    }

    /// Removes the items that have expired, now rather than in the background, and gives their
    /// number. Reads and queries leave them out in any case.
    ///
    /// # Errors
    ///
    /// [`ControlError::Failed`] when storage fails.
    pub async fn sweep(&self) -> Result<u64, ControlError> {
        let swept = self.state.engine.sweep().await;
        swept.map_err(|error| ControlError::Failed(error.to_string()))
    }

    /// Moves the endpoint's clock ahead, so that items expire without waiting. It counts for `_ts`
    /// too, and never goes back.
    pub fn advance_clock(&self, seconds: u64) {
        self.state.engine.clock().advance(seconds);
    }

    /// Tells the endpoint to stop; it ends requests that have begun and closes the data folder.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    fn container(&self, database: &str, container: &str) -> Result<Arc<Container>, ControlError> {
        self.state
            .engine
            .container(database, container)
            .ok_or_else(|| ControlError::NotFound(format!("container {database}/{container}")))
    }
}

fn show(container: &Container) -> Vec<Partition> {
    let topology = container.partitions();
    let partitions = topology.partitions.iter().map(|partition| Partition {
        id: partition.id,
        min: partition.range.min_hex(),
        max: partition.range.max_hex(),
        parents: partition.parents.clone(),
    });
    partitions.collect()
}

fn refused(error: StorageError, what: &str) -> ControlError {
    match error {
        StorageError::NotFound => ControlError::NotFound(what.to_owned()),
        StorageError::Gone => ControlError::NotFound(format!("{what} (it was split or merged)")),
        StorageError::Invalid(reason) => ControlError::Invalid(reason),
        other => ControlError::Failed(other.to_string()),
    }
}

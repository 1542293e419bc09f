//! What the parts of a running endpoint share.

use crate::auth::Verifier;
use crate::management::counters::Counters;
use crate::management::faults::Faults;
use crate::storage::Engine;

/// Shared by the server, the management interface and the background work.
#[derive(Debug)]
pub(crate) struct ServerState {
    /// Where everything is stored.
    pub engine: Engine,
    /// Checks the signature of every request.
    pub verifier: Verifier,
    /// Whether to follow the service where it is less generous than it could be.
    pub strict: bool,
    /// Physical partitions of a new container; `None` goes by throughput.
    pub partitions: Option<u32>,
    /// Counts every request.
    pub counters: Counters,
    /// Decides what goes wrong with a request.
    pub faults: Faults,
}

//! What operations take and what they leave behind.

use std::{fmt, ops::AddAssign};

use crate::stream::StreamId;

/// What an operation took so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// The request charge in RU, as the service reported it.
    pub request_charge: f64,
    /// The requests that were sent, with those that the SDK repeated by itself. Metadata that the
    /// SDK fetches once per connection is not counted.
    pub round_trips: u32,
    /// The requests among them that failed and that the SDK sent again.
    pub retries: u32,
    /// The requests among them that the service answered with 429: it had no throughput left.
    pub throttles: u32,
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.request_charge += other.request_charge;
        self.round_trips = self.round_trips.saturating_add(other.round_trips);
        self.retries = self.retries.saturating_add(other.retries);
        self.throttles = self.throttles.saturating_add(other.throttles);
    }
}

/// The service's mark of how far a session has seen. Hand it to a read in another process so that
/// it sees what this one has written; within a process the SDK does that by itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionToken(String);

impl SessionToken {
    /// Takes a token as text, for example from another process.
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    /// The token as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where the events of an append are.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Receipt {
    /// The stream.
    pub stream: StreamId,
    /// The sequence number of the first event.
    pub first: u64,
    /// The sequence number of the last event: the version of the stream with them.
    pub last: u64,
    /// The request charge in RU of the whole call.
    pub request_charge: f64,
    /// The requests of the whole call: 1 for an ordinary append.
    pub round_trips: u32,
    /// What makes the events visible to a read in another process.
    pub session_token: Option<SessionToken>,
}

/// How an append ended well.
#[derive(Debug, Clone, PartialEq)]
pub enum AppendOutcome {
    /// The events were stored by this call.
    Appended(Receipt),
    /// Exactly this commit was already stored, by an earlier call or by a request of this one whose
    /// answer was lost; the numbers are the original ones.
    Repeated(Receipt),
}

impl AppendOutcome {
    /// Where the events are, whichever call stored them.
    pub fn receipt(&self) -> &Receipt {
        match self {
            Self::Appended(receipt) | Self::Repeated(receipt) => receipt,
        }
    }

    /// Where the events are, whichever call stored them.
    pub fn into_receipt(self) -> Receipt {
        match self {
            Self::Appended(receipt) | Self::Repeated(receipt) => receipt,
        }
    }

    /// Whether the commit was stored before.
    pub fn is_repeated(&self) -> bool {
        matches!(self, Self::Repeated(_))
    }
}

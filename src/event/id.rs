//! Event ids.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::{NoContext, Uuid};

/// The identity of an event, chosen by the caller before the append, so that an append can be
/// repeated safely. Unique within a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(Uuid);

impl EventId {
    /// Takes a UUID of any version.
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// A new random id (UUID version 4).
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// A new id that sorts by the given time (UUID version 7). Times before 1970 count as 1970.
    pub fn time_ordered(at: Timestamp) -> Self {
        let seconds = u64::try_from(at.as_second()).unwrap_or(0);
        let nanoseconds = u32::try_from(at.subsec_nanosecond()).unwrap_or(0);
        Self(Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, nanoseconds)))
    }

    /// The id that follows from a namespace and a name (UUID version 5): the same arguments always
    /// give the same id, which makes an import or a command repeatable.
    pub fn derived(namespace: Uuid, name: &str) -> Self {
        Self(Uuid::new_v5(&namespace, name.as_bytes()))
    }

    /// The UUID.
    pub const fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for EventId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl From<EventId> for Uuid {
    fn from(id: EventId) -> Self {
        id.0
    }
}

impl FromStr for EventId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_ids_are_stable_and_told_apart() {
        let namespace = Uuid::NAMESPACE_URL;
        let id = EventId::derived(namespace, "loan-1/1");
        assert_eq!(id, EventId::derived(namespace, "loan-1/1"));
        assert_ne!(id, EventId::derived(namespace, "loan-1/2"));
        assert_eq!(id.as_uuid().get_version_num(), 5);
    }

    #[test]
    fn time_ordered_ids_sort_by_time() {
        let early = EventId::time_ordered(Timestamp::UNIX_EPOCH);
        let late = EventId::time_ordered("2026-11-20T10:00:00Z".parse().unwrap());
        assert!(early < late);
        assert_eq!(late.as_uuid().get_version_num(), 7);
        EventId::time_ordered("1960-01-01T00:00:00Z".parse().unwrap());
    }

    #[test]
    fn text_goes_both_ways() {
        let id: EventId = "67e55044-10b1-426f-9247-bb680e5fe0c8".parse().unwrap();
        assert_eq!(id.to_string(), "67e55044-10b1-426f-9247-bb680e5fe0c8");
        assert!("not-a-uuid".parse::<EventId>().is_err());
    }
}

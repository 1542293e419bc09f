//! The documents of a processor in the leases container; `docs/leases-format.md` describes them.
//!
//! All documents of one processor are in one logical partition, so that what belongs together changes in
//! one transaction. Every document says which schema it has, and a processor refuses to touch those of a
//! newer one.

use serde::{Deserialize, Serialize};

use super::FeedRange;

/// The schema of the documents that this version reads and writes.
pub const SCHEMA: u32 = 1;
/// The id of the topology document.
pub const TOPOLOGY_ID: &str = "topology";
/// The id of the document of saved positions.
pub const SAVED_ID: &str = "saved";
const LEASE_PREFIX: &str = "lease:";
const HOST_PREFIX: &str = "host:";

/// A document with what names this very version of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored<T> {
    /// The document.
    pub document: T,
    /// Its version.
    pub etag: String,
    /// When the service stored it, in seconds.
    pub stored_at: u64,
}

/// Any document of a processor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Document {
    /// What holds for the whole processor.
    Topology(Topology),
    /// A range and how far it is done.
    Lease(Lease),
    /// A host that runs, or ran.
    Host(Host),
    /// A key that was set aside.
    Parked(Parked),
    /// A key that was set aside and given up.
    Discarded(Discarded),
    /// Where leases go on after a rewind to saved positions.
    Saved(Saved),
}

impl Document {
    /// Its id in the logical partition of the processor.
    pub fn id(&self) -> String {
        match self {
            Self::Topology(_) => TOPOLOGY_ID.to_owned(),
            Self::Lease(lease) => lease.id(),
            Self::Host(host) => host_id(&host.incarnation),
            Self::Parked(parked) => parked_id(&parked.key),
            Self::Discarded(discarded) => discarded.id(),
            Self::Saved(_) => SAVED_ID.to_owned(),
        }
    }

    /// What the id of a document tells that cannot be read: of a lease its range, of a host its
    /// incarnation, of others nothing.
    pub(super) fn spoiled(id: &str) -> Option<Self> {
        if let Some(incarnation) = id.strip_prefix(HOST_PREFIX) {
            let (incarnation, instance) = (incarnation.to_owned(), String::new());
            return Some(Self::Host(Host { instance, incarnation, beat: 0, wants: Vec::new() }));
        }
        let (begin, end) = id.strip_prefix(LEASE_PREFIX)?.split_once('-')?;
        Some(Self::Lease(Lease {
            range: FeedRange::new(begin, end).ok()?,
            owner: None,
            epoch: 0,
            generation: 0,
            position: Position::Beginning,
            ordinal: 0,
            done_at: None,
            lag: None,
            is_damaged: true,
        }))
    }

    /// After how many seconds without a change the service removes it; never, unless this says so.
    pub fn time_to_live(&self) -> Option<u32> {
        match self {
            Self::Host(_) => Some(HOST_TIME_TO_LIVE),
            Self::Discarded(_) => Some(DISCARDED_TIME_TO_LIVE),
            _ => None,
        }
    }
}

/// How long the document of a dead host is kept, in seconds: long enough for every observer to see that it
/// does not change, however late it looks.
const HOST_TIME_TO_LIVE: u32 = 300;
/// How long it is kept that a key was given up, in seconds: 90 days.
const DISCARDED_TIME_TO_LIVE: u32 = 90 * 24 * 60 * 60;

/// Where a processor begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Start {
    /// With the first change that the feed still has.
    Beginning,
    /// Behind what is stored when the processor is made.
    Now,
    /// With the changes after a time, in seconds since 1970, UTC.
    Time(i64),
}

/// Whether a processor works.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Activity {
    /// It works.
    #[default]
    Running,
    /// All hosts hold still: leases stay where they are, nothing is read or handled.
    Paused,
}

/// What holds for the whole processor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Topology {
    /// Where it began; leases that are lost begin there again.
    pub start: Start,
    /// When it was made, in seconds, as the service stamps it.
    pub made_at: u64,
    /// Raised by every rewind. Checkpoints of an earlier generation are refused.
    pub generation: u64,
    /// Where leases of an earlier generation go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewind: Option<Rewind>,
    /// Whether it works.
    pub activity: Activity,
    /// The incarnations that have joined and were not found dead.
    pub members: Vec<String>,
    /// The name of what its hosts do with the changes; nothing as long as no host had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler: Option<String>,
}

impl Topology {
    /// The handler that the processor has, where it is another one than that of a host: such a host would
    /// do other work with a part of the changes. Who gives no name may join any processor.
    pub fn other_handler(&self, name: Option<&str>) -> Option<&str> {
        let has = self.handler.as_deref()?;
        name.is_some_and(|name| name != has).then_some(has)
    }
}

/// Where all leases go on after a rewind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Rewind {
    /// With the first change.
    Beginning,
    /// With the changes after a time, in seconds since 1970, UTC.
    Time(i64),
    /// Where the document of saved positions says.
    Saved,
}

/// Where a lease goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Position {
    /// With the first change.
    Beginning,
    /// With the changes after a time, in seconds since 1970, UTC.
    Time(i64),
    /// Behind a place in the feed.
    Continuation(String),
}

/// A range and how far it is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// The range.
    pub range: FeedRange,
    /// Who holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Raised by every acquisition.
    pub epoch: u64,
    /// The generation of the processor that the position is of.
    pub generation: u64,
    /// Where to go on.
    pub position: Position,
    /// The number of the page that was checkpointed last, rising within an epoch.
    pub ordinal: u64,
    /// When the last change that is done was stored, in seconds, as the service stamps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at: Option<u64>,
    /// How far it is behind, as its owner knew at the last checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<Lag>,
    /// The document cannot be read, and this is what its id says. Whoever takes the lease makes it anew.
    #[serde(skip)]
    pub is_damaged: bool,
}

impl Lease {
    /// Its id.
    pub fn id(&self) -> String {
        lease_id(&self.range)
    }
}

/// How far a lease is behind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lag {
    /// Seconds between the storing of the oldest change that is not done and now; 0 when all is done.
    pub seconds: u64,
    /// Transactions between the last one that was read and the last one that is stored.
    pub transactions: u64,
}

/// A host that runs, or ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Host {
    /// The name that the operator gave it.
    pub instance: String,
    /// This start of it.
    pub incarnation: String,
    /// Raised with every beat.
    pub beat: u64,
    /// The leases that it asks their owners for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wants: Vec<String>,
}

/// A key that was set aside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parked {
    /// The key.
    pub key: String,
    /// The order of the first change that was not handled.
    pub order: u64,
    /// The transaction of that change.
    pub lsn: i64,
    /// Why, in a few words without payload.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When, in seconds since 1970, UTC.
    pub since: i64,
    /// The range of the lease that it was set aside in.
    pub range: FeedRange,
    /// Whether it is to be tried again, from `order` on.
    #[serde(default)]
    pub redrive: bool,
    /// What of it is to be given up while it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discard: Option<Discard>,
}

/// What an operator wants to be given up of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Discard {
    /// Why, as the operator said.
    pub reason: String,
    /// When that was said, in seconds since 1970, UTC.
    pub at: i64,
    /// The order of the first change that is given up.
    pub order: u64,
    /// What was stored before this time is given up, in seconds, as the service stamps it; before this
    /// document was stored, unless it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
}

/// A key that was set aside and given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Discarded {
    /// The key.
    pub key: String,
    /// The order of the first change that was not handled.
    pub order: u64,
    /// Why it had been set aside.
    pub parked: String,
    /// Why it was given up, as the operator said.
    pub reason: String,
    /// When it was given up, in seconds since 1970, UTC.
    pub at: i64,
}

impl Discarded {
    /// Its id: a key may be given up more than once.
    fn id(&self) -> String {
        format!("discarded:{}:{}", key_digest(&self.key), self.order)
    }
}

/// Where leases go on after a rewind to saved positions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Saved {
    /// The generation that goes on there.
    pub generation: u64,
    /// The positions.
    pub positions: Vec<SavedPosition>,
}

/// How far a range was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SavedPosition {
    /// The range.
    pub range: FeedRange,
    /// Where it goes on.
    pub position: Position,
    /// When the last change that was done was stored, in seconds, as the service stamps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at: Option<u64>,
}

/// The id of the lease on a range.
pub fn lease_id(range: &FeedRange) -> String {
    format!("{LEASE_PREFIX}{range}")
}

/// The id of the document of a host.
pub fn host_id(incarnation: &str) -> String {
    format!("{HOST_PREFIX}{incarnation}")
}

/// The id of the document of a parked key. Keys may be long and have any characters; ids may not, so a
/// long key is named by its hash.
pub fn parked_id(key: &str) -> String {
    format!("parked:{}", key_digest(key))
}

fn key_digest(key: &str) -> String {
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::digest(key.as_bytes());
    let mut text = String::new();
    for byte in digest.iter().take(16) {
        for digit in [byte >> 4, byte & 0x0f] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_have_their_form() {
        let lease = Lease {
            range: FeedRange::full(),
            owner: Some("a".to_owned()),
            epoch: 3,
            generation: 0,
            position: Position::Continuation("c1".to_owned()),
            ordinal: 7,
            done_at: Some(1_700_000_000),
            lag: Some(Lag { seconds: 2, transactions: 5 }),
            is_damaged: false,
        };
        let stored = json!({
            "kind": "lease", "range": {"min": "", "max": "FF"}, "owner": "a", "epoch": 3,
            "generation": 0, "position": {"continuation": "c1"}, "ordinal": 7,
            "doneAt": 1_700_000_000, "lag": {"seconds": 2, "transactions": 5},
        });
        let document = Document::Lease(lease);
        assert_eq!(serde_json::to_value(&document).unwrap(), stored);
        assert_eq!(serde_json::from_value::<Document>(stored).unwrap(), document);
        assert_eq!(document.id(), "lease:-FF");
    }

    #[test]
    fn of_a_spoiled_document_the_id_is_left() {
        let Some(Document::Lease(lease)) = Document::spoiled("lease:05-0A") else { panic!() };
        assert!(lease.is_damaged && lease.id() == "lease:05-0A");
        let host = Document::spoiled("host:a-b").unwrap();
        assert_eq!(host.id(), "host:a-b");
        for id in ["topology", "parked:00", "lease:0A-05", "lease:", "saved"] {
            assert_eq!(Document::spoiled(id), None, "{id}");
        }
    }

    #[test]
    fn a_handler_differs_only_from_one_with_another_name() {
        let text = r#"{"start": "now", "madeAt": 1, "generation": 0, "activity": "running", "members": []}"#;
        let mut topology: Topology = serde_json::from_str(text).unwrap();
        assert_eq!(topology.other_handler(Some("mails")), None);
        topology.handler = Some("count".to_owned());
        assert_eq!(topology.other_handler(Some("mails")), Some("count"));
        assert_eq!(topology.other_handler(Some("count")), None);
        assert_eq!(topology.other_handler(None), None);
    }

    #[test]
    fn parked_keys_are_told_apart_by_their_ids() {
        assert_ne!(parked_id("a/b"), parked_id("a%2Fb"));
        assert_eq!(parked_id("x").len(), "parked:".len() + 32);
        assert_eq!(parked_id("x"), parked_id("x"));
    }
}

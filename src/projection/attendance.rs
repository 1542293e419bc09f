//! Who keeps a version up to date, and whether it is: by what can be seen from any process.
//!
//! What stands in the documents may be old: hosts die, and their documents stay for minutes. So a host counts
//! when its beat goes on, and a version has caught up when nothing lies behind its places in the feed. Readers
//! never change from a version that is kept up to date to one that nobody keeps.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::{ReadModelError, ReadModels, ViewFault};
use crate::feed::{
    CaughtUp, CosmosFeed, LeaseStore,
    documents::{Document, Stored},
    liveness::{EXPIRY, Observer, Sighting},
};

/// The time between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// How long hosts may take until they join a version: they look every 5 seconds which versions there are.
const JOIN_TIME_MAX: Duration = Duration::from_secs(15);
/// How long hosts may take until they leave one: one that has died is known to be dead after 9 seconds.
const LEAVE_TIME_MAX: Duration = Duration::from_secs(30);

impl ReadModels {
    /// Whether a version has everything that is stored when it is called; what is parked counts as if it had.
    /// Waits for that, at most for so long.
    ///
    /// # Errors
    ///
    /// [`ReadModelError`].
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    pub async fn has_caught_up(
        &self,
        name: &str,
        version: u32,
        time_max: Duration,
    ) -> Result<bool, ReadModelError> {
        let feed = self.open_feed().await?;
        self.caught_up_within(&feed, name, version, time_max).await
    }

    pub(super) async fn caught_up_within(
        &self,
        feed: &CosmosFeed,
        name: &str,
        version: u32,
        time_max: Duration,
    ) -> Result<bool, ReadModelError> {
        let mut caught_up = self.caught_up(feed, name, version);
        let begun = Instant::now();
        while !caught_up.look().await? {
            if begun.elapsed() >= time_max {
                return Ok(false);
            }
            sleep(LOOK).await;
        }
        Ok(true)
    }

    pub(super) fn caught_up(&self, feed: &CosmosFeed, name: &str, version: u32) -> CaughtUp {
        let leases: Arc<dyn LeaseStore> = Arc::new(self.leases(name, version));
        CaughtUp::new(Arc::new(feed.clone()), leases)
    }

    /// Whether a host other than the one with this incarnation works on a version: its beat goes on, or it
    /// has just come. Where one is dead, it takes until that is known: 9 seconds.
    pub(super) async fn is_attended(
        &self,
        name: &str,
        version: u32,
        but: Option<&str>,
    ) -> Result<bool, ReadModelError> {
        let first = self.beats(name, version, but).await?;
        if first.is_empty() {
            return Ok(false);
        }
        let begun = Instant::now();
        while begun.elapsed() < EXPIRY {
            sleep(LOOK).await;
            let now = self.beats(name, version, but).await?;
            if now.iter().any(|(host, beat)| first.get(host).is_none_or(|first| beat > first)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Waits until a host other than this one works on a version; says whether one came.
    pub(super) async fn wait_attended(
        &self,
        name: &str,
        version: u32,
        but: &str,
    ) -> Result<bool, ReadModelError> {
        let begun = Instant::now();
        while begun.elapsed() < JOIN_TIME_MAX {
            if self.is_attended(name, version, Some(but)).await? {
                return Ok(true);
            }
            sleep(LOOK).await;
        }
        Ok(false)
    }

    /// The beats of the hosts of a version.
    async fn beats(
        &self,
        name: &str,
        version: u32,
        but: Option<&str>,
    ) -> Result<BTreeMap<String, u64>, ReadModelError> {
        let overview = self.overview(name, version).await?;
        // The document of a host that has left stays for a while.
        let members = overview.topology.map(|topology| topology.members).unwrap_or_default();
        let hosts = overview.hosts.into_iter().filter(|host| members.contains(&host.incarnation));
        let others = hosts.filter(|host| but != Some(host.incarnation.as_str()));
        Ok(others.map(|host| (host.incarnation, host.beat)).collect())
    }

    /// Waits until no host works on a version: one that does would write what is removed. A host whose
    /// document does not change for as long as its processor takes a beat to be late is dead.
    pub(super) async fn wait_left(&self, name: &str, number: u32) -> Result<(), ReadModelError> {
        let leases = self.leases(name, number);
        let mut observer = Observer::new(EXPIRY);
        let begun = Instant::now();
        loop {
            let sightings = sightings(leases.list().await?);
            // There is no document of this process that says what time it is there: all are as if new.
            let alive = observer.look(begun.elapsed(), 0, &sightings);
            if alive.is_empty() {
                return Ok(());
            }
            if begun.elapsed() >= LEAVE_TIME_MAX {
                let reason = format!("hosts still work on version {number} of {name:?}");
                return Err(ViewFault::Unavailable(reason).into());
            }
            sleep(LOOK).await;
        }
    }
}

/// The hosts that have joined and have neither left nor been found dead.
fn sightings(documents: Vec<Stored<Document>>) -> Vec<Sighting> {
    let members: Vec<String> = documents
        .iter()
        .filter_map(|found| match &found.document {
            Document::Topology(topology) => Some(topology.members.clone()),
            _ => None,
        })
        .flatten()
        .collect();
    let sighting = |found: Stored<Document>| match found.document {
        Document::Host(host) if members.contains(&host.incarnation) => Some(Sighting {
            incarnation: host.incarnation,
            etag: found.etag,
            stored_at: found.stored_at,
        }),
        _ => None,
    };
    documents.into_iter().filter_map(sighting).collect()
}

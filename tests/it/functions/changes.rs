//! The Cosmos DB trigger: its own leases, its own place in the feed, and its rule that a batch is behind it when
//! the function has failed for good.

use azure_data_cosmos::ContainerClient;
use cosmos_event_store::feed::{CosmosFeed, Feed as _, FeedRange, documents::Position};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    encode::{Rewrite, documents},
    host::Host,
    reply::Failure,
};

/// A lease document, as far as the driver needs one.
#[derive(Debug, Serialize, Deserialize)]
struct Lease {
    id: String,
    #[serde(rename = "Owner")]
    owner: Option<String>,
    #[serde(rename = "ContinuationToken")]
    continuation: Option<String>,
}

/// The trigger of one host.
pub(super) struct Trigger<'a> {
    host: &'a Host,
    owner: String,
    leases: ContainerClient,
    feed: CosmosFeed,
    ranges: Vec<FeedRange>,
    pub(super) rewrite: Rewrite,
    /// The batches that were behind the trigger although the function had failed.
    pub(super) lost: Vec<Failure>,
    /// The documents that were handed over.
    pub(super) documents: usize,
}

impl<'a> Trigger<'a> {
    pub(super) async fn new(
        host: &'a Host,
        owner: &str,
        leases: ContainerClient,
        feed: CosmosFeed,
    ) -> Self {
        let pages =
            host.function("wakeup")["bindings"][0]["maxItemsPerInvocation"].as_u64().unwrap();
        let feed = feed.with_page_changes(u32::try_from(pages).unwrap());
        let ranges = feed.ranges().await.unwrap();
        assert_eq!(host.trigger_setting("wakeup", "containerName"), "events");
        assert_eq!(host.trigger_setting("wakeup", "leaseContainerName"), "wakeup-leases");
        let owner = owner.to_owned();
        Self {
            host,
            owner,
            leases,
            feed,
            ranges,
            rewrite: Rewrite::Nothing,
            lost: Vec::new(),
            documents: 0,
        }
    }

    async fn lease(&self, id: &str) -> Lease {
        let found = self.leases.read_item(id.to_owned(), id, None).await;
        match found {
            Ok(found) => found.into_model().unwrap(),
            Err(_) => Lease { id: id.to_owned(), owner: None, continuation: None },
        }
    }

    async fn store(&self, lease: &Lease) {
        self.leases.upsert_item(lease.id.clone(), &lease.id, lease, None).await.unwrap();
    }

    /// Hands over everything that is in the feed, batch by batch.
    pub(super) async fn run(&mut self) {
        for range in self.ranges.clone() {
            let mut lease = self.lease(&range.to_string().replace('-', "..")).await;
            lease.owner = Some(self.owner.clone());
            self.store(&lease).await;
            let position =
                lease.continuation.clone().map_or(Position::Beginning, Position::Continuation);
            let mut reader = self.feed.open(&range, &position).await.unwrap();
            loop {
                let page = reader.next_page().await.unwrap();
                if page.changes.is_empty() {
                    break;
                }
                let batch: Vec<Value> = page
                    .changes
                    .iter()
                    .map(|change| serde_json::from_str(change.document.get()).unwrap())
                    .collect();
                self.documents += batch.len();
                let invoked = self.host.invoke("wakeup", documents(&batch, self.rewrite)).await;
                // The trigger's rule: a failure is only told to a monitor.
                self.lost.extend(invoked.err());
                lease.continuation = Some(page.continuation);
                self.store(&lease).await;
            }
            lease.owner = None;
            self.store(&lease).await;
        }
    }
}

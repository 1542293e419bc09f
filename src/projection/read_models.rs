//! Read models as readers see them: views by key, lists, totals, and waiting for an append.
//!
//! A read goes to the version that is live, so nobody sees one that is being built.

mod list;
mod receipt;
mod waiting;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;

pub use self::{
    list::{List, Listed, TotalsList},
    receipt::{InvalidToken, ReceiptToken},
    waiting::Waited,
};
use super::{
    Catalog, CosmosViews, Document, Found, HistoryFault, Kind, Projection, Registry, RegistryError,
    Total, Version, VersionFault, ViewFault, ViewKey, ViewQuery, ViewStore,
    definition::Site,
    document::{total_id, view_id},
    order::sort_text,
};
use crate::{
    config::StoreOptions,
    event::EventId,
    feed::{CosmosLeases, FeedFault, StoreFault},
    store::EventStore,
};

/// How long it is remembered which version is live: for that long readers may use the former one, which is
/// kept up to date.
pub(super) const LIVE_TIME: Duration = Duration::from_secs(1);
/// The logical partitions that are asked at the same time.
const PARTITIONS_AT_ONCE: usize = 16;
/// The container with the places of processors.
const LEASES: &str = "leases";

/// The read models of a database. Cheap to clone.
///
/// ```no_run
/// # use std::time::Duration;
/// # use cosmos_event_store::{EventStore, ExpectedVersion, NewEvent, StoreOptions};
/// use cosmos_event_store::projection::{Catalog, ReadModels, ReceiptToken, ViewKey};
///
/// # async fn example(account: StoreOptions, event: NewEvent) -> Result<(), Box<dyn std::error::Error>> {
/// let store = EventStore::connect(account.clone()).await?;
/// let read_models = ReadModels::open(&account, store.clone(), Catalog::generic()?).await?;
/// let appended = store.append("quote-1", ExpectedVersion::Any, vec![event]).await?;
/// let token = ReceiptToken::of(appended.receipt());
/// read_models.wait_for("stream-summary", &token, Duration::from_secs(2)).await?;
/// let view = read_models.view("stream-summary", "quote-1", &ViewKey::Stream).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ReadModels(Arc<Inner>);

/// The number of the version that readers use, and its logical partitions, where there is one.
type LiveVersion = Option<(u32, u16)>;

struct Inner {
    catalog: Catalog,
    account: StoreOptions,
    store: EventStore,
    views: Arc<dyn ViewStore>,
    leases: CosmosLeases,
    /// Which version was live, and when that was looked up.
    live: Mutex<BTreeMap<String, (LiveVersion, Duration)>>,
}

impl std::fmt::Debug for ReadModels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ReadModels").field(&self.0.catalog).finish()
    }
}

/// Why a read model could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReadModelError {
    /// The program has no projection of this name.
    #[error("there is no projection {0:?}")]
    NoProjection(String),
    /// The projection has views where totals are asked for, or totals where views are.
    #[error("the projection {0:?} has views of the other kind")]
    OtherKind(String),
    /// Nobody has begun to build it.
    #[error("the read model {0:?} is not there: no worker has begun to build it")]
    NotBuilt(String),
    /// A list is asked for by a field that the projection does not declare.
    #[error("the projection {0:?} declares no field {1:?}")]
    NoField(String, String),
    /// A continuation token is not one of this list, or a receipt is none of this database.
    #[error(transparent)]
    Token(#[from] InvalidToken),
    /// The versions could not be read.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The documents could not be read.
    #[error(transparent)]
    Store(#[from] ViewFault),
    /// The events could not be read.
    #[error(transparent)]
    History(#[from] HistoryFault),
    /// The events cannot be followed.
    #[error("the feed of the events: {0}")]
    Feed(#[from] FeedFault),
    /// The places of the processor could not be read.
    #[error("the places of the processor: {0}")]
    Leases(#[from] StoreFault),
}

/// A view of a stream. Its `Debug` does not show the data.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct View {
    /// The stream that it is made from.
    pub stream: String,
    /// Which view of the stream.
    pub key: ViewKey,
    /// The sequence number of the last event in it that the projection takes. For the view of a part: the
    /// last one that touched it.
    pub sequence_number: u64,
    /// The id of that event.
    pub event_id: EventId,
    /// What the projection made.
    pub data: Value,
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View")
            .field("stream", &self.stream)
            .field("key", &self.key)
            .field("sequence_number", &self.sequence_number)
            .finish_non_exhaustive()
    }
}

impl View {
    /// The data as the type that the projection made.
    ///
    /// # Errors
    ///
    /// What serde says when the data does not have that shape.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(&self.data)
    }

    fn of(document: &Document) -> Option<Self> {
        if !matches!(document.kind, Kind::View | Kind::Part) {
            return None;
        }
        let guard = document.guard()?;
        Some(Self {
            stream: document.stream.clone()?,
            key: document.key.clone().map_or(ViewKey::Stream, ViewKey::Part),
            sequence_number: guard.last,
            event_id: guard.id,
            data: document.value(),
        })
    }
}

impl ReadModels {
    /// Connects to the read models and to the places of their processors: the containers `read-models` and
    /// `leases`, which must be there (see [`provision`](crate::provision)). A few requests.
    ///
    /// # Errors
    ///
    /// [`ReadModelError::Store`] and [`ReadModelError::Leases`].
    pub async fn open(
        account: &StoreOptions,
        store: EventStore,
        catalog: Catalog,
    ) -> Result<Self, ReadModelError> {
        let views = Arc::new(Box::pin(CosmosViews::open(account)).await?);
        let leases = Box::pin(CosmosLeases::open(account, LEASES, "")).await?;
        let account = account.clone();
        let live = Mutex::default();
        Ok(Self(Arc::new(Inner { catalog, account, store, views, leases, live })))
    }

    /// The projections.
    pub fn catalog(&self) -> &Catalog {
        &self.0.catalog
    }

    /// Which versions there are.
    pub fn registry(&self) -> Registry {
        Registry::new(Arc::clone(&self.0.views))
    }

    /// The store of the events.
    pub fn store(&self) -> &EventStore {
        &self.0.store
    }

    pub(super) fn account(&self) -> &StoreOptions {
        &self.0.account
    }

    pub(super) fn views(&self) -> &Arc<dyn ViewStore> {
        &self.0.views
    }

    /// The places of the processor of a version.
    pub(super) fn leases(&self, name: &str, version: u32) -> CosmosLeases {
        self.0.leases.of(processor_name(name, version))
    }

    pub(super) fn projection(&self, name: &str) -> Result<&Projection, ReadModelError> {
        let found = self.0.catalog.get(name);
        found.ok_or_else(|| ReadModelError::NoProjection(name.to_owned()))
    }

    /// The version that readers use; nothing where nobody has begun to build one.
    pub(super) async fn live<'a>(&self, name: &'a str) -> Result<Option<Site<'a>>, ReadModelError> {
        let live = self.live_version(name).await?;
        Ok(live.map(|(number, shards)| Site::new(name, number, shards)))
    }

    async fn live_version(&self, name: &str) -> Result<LiveVersion, ReadModelError> {
        let now = self.0.account.clock.monotonic();
        let known = self.0.live.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied();
        if let Some((version, looked_up)) = known
            && now.saturating_sub(looked_up) < LIVE_TIME
            && version.is_some()
        {
            return Ok(version);
        }
        let versions = self.registry().get(name).await?;
        let version = versions.live().map(|version| (version.number, version.shards));
        let mut live = self.0.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.insert(name.to_owned(), (version, now));
        Ok(version)
    }

    pub(super) async fn must_live<'a>(&self, name: &'a str) -> Result<Site<'a>, ReadModelError> {
        let live = self.live(name).await?;
        live.ok_or_else(|| ReadModelError::NotBuilt(name.to_owned()))
    }

    /// A version by its number.
    pub(super) async fn site<'a>(
        &self,
        name: &'a str,
        number: u32,
    ) -> Result<Site<'a>, ReadModelError> {
        let versions = self.registry().get(name).await?;
        let version = versions.get(number).ok_or(VersionFault::Unknown(number));
        let version = version.map_err(RegistryError::from)?;
        Ok(Site::new(name, number, version.shards))
    }

    /// Forgets which versions are live, so that the next read looks.
    pub(super) fn forget_live(&self) {
        self.0.live.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// A view of a stream; nothing where there is none. A point read: one round trip, about 1 RU.
    ///
    /// # Errors
    ///
    /// [`ReadModelError`].
    pub async fn view(
        &self,
        name: &str,
        stream: &str,
        key: &ViewKey,
    ) -> Result<Option<View>, ReadModelError> {
        let projection = self.projection(name)?;
        if projection.has_totals() {
            return Err(ReadModelError::OtherKind(name.to_owned()));
        }
        let partition = self.must_live(name).await?.partition_of(stream);
        let found = self.0.views.read(&partition, &view_id(stream, key)).await?;
        Ok(found.and_then(|found| View::of(&found.document)))
    }

    /// The views of the parts of a stream, by their keys; at most so many. A query in one logical partition.
    ///
    /// # Errors
    ///
    /// [`ReadModelError`].
    pub async fn parts(
        &self,
        name: &str,
        stream: &str,
        limit: u32,
    ) -> Result<Vec<View>, ReadModelError> {
        let projection = self.projection(name)?;
        if projection.has_totals() {
            return Err(ReadModelError::OtherKind(name.to_owned()));
        }
        let partition = self.must_live(name).await?.partition_of(stream);
        let after = Some(sort_text(&Value::String(stream.to_owned()), ""));
        let query = ViewQuery { after, ..ViewQuery::of(vec![Kind::Part], limit) };
        let found = self.0.views.query(&partition, &query).await?;
        let views = found.iter().filter_map(|found| View::of(&found.document));
        Ok(views.take_while(|view| view.stream == stream).collect())
    }

    /// A total; nothing where no stream adds to it. A point read in each logical partition of the version.
    ///
    /// # Errors
    ///
    /// [`ReadModelError`].
    pub async fn total(&self, name: &str, key: &str) -> Result<Option<Total>, ReadModelError> {
        let projection = self.projection(name)?;
        if !projection.has_totals() {
            return Err(ReadModelError::OtherKind(name.to_owned()));
        }
        let id = total_id(key);
        let partitions = self.must_live(name).await?.partitions();
        let reads: Vec<_> =
            partitions.iter().map(|partition| self.0.views.read(partition, &id)).collect();
        let parts: Vec<Option<Found>> =
            stream::iter(reads).buffered(PARTITIONS_AT_ONCE).try_collect().await?;
        let parts = parts.into_iter().flatten().filter_map(|found| found.document.total);
        Ok(merged(parts)?)
    }
}

impl ReadModels {
    /// How many views of streams a version has, or how many totals. A query in each of its logical
    /// partitions; all totals are read.
    ///
    /// # Errors
    ///
    /// [`ReadModelError`].
    pub async fn count(&self, name: &str, version: &Version) -> Result<u64, ReadModelError> {
        let site = Site::new(name, version.number, version.shards);
        if self.projection(name).is_ok_and(Projection::has_totals) {
            let totals = self.all_totals(site).await?;
            return Ok(u64::try_from(totals.len()).unwrap_or(u64::MAX));
        }
        let partitions = site.partitions();
        let counts: Vec<_> =
            partitions.iter().map(|partition| self.0.views.count(partition, Kind::View)).collect();
        let counts: Vec<u64> =
            stream::iter(counts).buffered(PARTITIONS_AT_ONCE).try_collect().await?;
        Ok(counts.into_iter().fold(0, u64::saturating_add))
    }
}

/// The parts of a total as one; nothing where there are none.
fn merged(parts: impl IntoIterator<Item = Total>) -> Result<Option<Total>, ViewFault> {
    let mut whole: Option<Total> = None;
    for part in parts {
        whole.get_or_insert_default().merge(&part).map_err(|fault| ViewFault::Damaged {
            id: "total".to_owned(),
            reason: fault.to_string(),
        })?;
    }
    Ok(whole)
}

/// The name of the processor that builds a version.
pub fn processor_name(name: &str, version: u32) -> String {
    format!("{name}@{version}")
}

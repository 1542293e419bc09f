//! The views of two versions of a read model, compared.

use std::{collections::HashSet, time::Duration};

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};

use crate::projection::{
    Document, Drift, Kind, ReadModelError, ReadModels, TotalsList, ViewFault, ViewQuery, What,
    definition::{Site, partition_key},
    drift::{difference, total_difference},
};

/// The documents that are read with one query.
const PAGE: u32 = 500;
/// The documents that are compared at the same time.
const AT_ONCE: usize = 16;
/// How often two documents are read again that are of different events, because one is written just then.
const TRIES_MAX: u32 = 10;
/// The time between that.
const WAIT: Duration = Duration::from_millis(100);

/// How much is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// Nothing.
    Nothing,
    /// About so many views: the first and the last of each logical partition. Totals are all compared.
    Sample(u32),
    /// All of them, in both directions.
    All,
}

/// Which of two versions is gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The former one.
    There,
    /// The new one, for what only it has: the rest is known.
    Back,
}

impl ReadModels {
    /// Compares a version with another one. Both may be written meanwhile: what is of different events is
    /// read again.
    ///
    /// # Errors
    ///
    /// [`ReadModelError`].
    pub async fn compare(
        &self,
        name: &str,
        former: u32,
        version: u32,
        how: Compare,
    ) -> Result<Drift, ReadModelError> {
        let projection = self.projection(name)?;
        let (former, version) = (self.site(name, former).await?, self.site(name, version).await?);
        if projection.has_totals() {
            return self.compare_totals(former, version).await;
        }
        let mut drift = self.compare_views(former, version, how, Way::There).await?;
        if how == Compare::All {
            drift.add(self.compare_views(version, former, how, Way::Back).await?);
        }
        Ok(drift)
    }

    async fn compare_views(
        &self,
        one: Site<'_>,
        other: Site<'_>,
        how: Compare,
        way: Way,
    ) -> Result<Drift, ReadModelError> {
        let mut drift = Drift::default();
        for shard in 0..one.shards {
            let partition = partition_key(one.name, one.number, shard);
            let each = match how {
                Compare::Nothing => return Ok(drift),
                Compare::Sample(views) => {
                    Some(views.div_ceil(u32::from(one.shards).saturating_mul(2).max(1)))
                }
                Compare::All => None,
            };
            // Of a sample: those of the first end, which the last one may reach.
            let mut seen = HashSet::new();
            for is_descending in [false, true] {
                let kinds = vec![Kind::View, Kind::Part, Kind::Guard];
                let mut left = each.unwrap_or(u32::MAX);
                let mut query = ViewQuery { is_descending, ..ViewQuery::of(kinds, left.min(PAGE)) };
                let is_whole = loop {
                    let mut page = self.views().query(&partition, &query).await?;
                    let is_last = !query.go_on(&page);
                    left = left.saturating_sub(u32::try_from(page.len()).unwrap_or(u32::MAX));
                    query.limit = left.min(PAGE);
                    if is_descending {
                        page.retain(|found| !seen.contains(&found.document.id));
                    } else if each.is_some() {
                        seen.extend(page.iter().map(|found| found.document.id.clone()));
                    }
                    let compared: Vec<_> = page
                        .into_iter()
                        .map(|found| self.compare_one(found.document, other, way).boxed())
                        .collect();
                    let compared: Vec<Drift> =
                        stream::iter(compared).buffer_unordered(AT_ONCE).try_collect().await?;
                    for one in compared {
                        drift.add(one);
                    }
                    if is_last || left == 0 {
                        break is_last;
                    }
                };
                // All of them, or fewer than were asked for: the other end has nothing more.
                if each.is_none() || is_whole {
                    break;
                }
            }
        }
        Ok(drift)
    }

    /// Compares a document with that of another version.
    async fn compare_one(
        &self,
        one: Document,
        other: Site<'_>,
        way: Way,
    ) -> Result<Drift, ViewFault> {
        let mut one = Some(one);
        let mut drift = Drift::default();
        for attempt in 1..=TRIES_MAX {
            let Some(document) = &one else { return Ok(drift) };
            let stream = document.stream.clone().unwrap_or_default();
            let (home, id) = (document.partition_key.clone(), document.id.clone());
            let found = self.views().read(&other.partition_of(&stream), &id).await?;
            let found = found.map(|found| found.document);
            let guards = (document.guard(), found.as_ref().and_then(Document::guard));
            let what = match way {
                Way::Back if found.is_some() => return Ok(drift),
                Way::Back => Some(What::Extra),
                Way::There => difference(Some(document), found.as_ref()),
            };
            if guards.0 == guards.1 || what.is_none() {
                drift.note(&stream, document.key.as_deref(), what);
                return Ok(drift);
            }
            if attempt == TRIES_MAX {
                let is_behind = found.is_none() || guards.0.map(|g| g.id) == guards.1.map(|g| g.id);
                if is_behind || guards.0.map(|g| g.last) == guards.1.map(|g| g.last) {
                    drift.note(&stream, document.key.as_deref(), what);
                } else {
                    drift.moving = drift.moving.saturating_add(1);
                }
                return Ok(drift);
            }
            tokio::time::sleep(WAIT).await;
            one = self.views().read(&home, &id).await?.map(|found| found.document);
        }
        Ok(drift)
    }

    async fn compare_totals(
        &self,
        former: Site<'_>,
        version: Site<'_>,
    ) -> Result<Drift, ReadModelError> {
        let mut drift = Drift::default();
        for attempt in 1..=TRIES_MAX {
            drift = Drift::default();
            let one = self.all_totals(former).await?;
            let other = self.all_totals(version).await?;
            for key in one.keys().chain(other.keys().filter(|key| !one.contains_key(*key))) {
                drift.note(key, None, total_difference(one.get(key), other.get(key)));
            }
            if drift.is_none() || attempt == TRIES_MAX {
                break;
            }
            // One of the two may be written just now.
            tokio::time::sleep(WAIT).await;
        }
        Ok(drift)
    }

    /// All totals of a version.
    pub(in crate::projection) async fn all_totals(
        &self,
        site: Site<'_>,
    ) -> Result<std::collections::BTreeMap<String, crate::projection::Total>, ReadModelError> {
        let mut all = std::collections::BTreeMap::new();
        let mut list = TotalsList::new().limit(PAGE);
        loop {
            let page = self.totals_of(site, &list).await?;
            all.extend(page.items);
            let Some(next) = page.next else { return Ok(all) };
            list = TotalsList::new().limit(PAGE).after(next);
        }
    }
}

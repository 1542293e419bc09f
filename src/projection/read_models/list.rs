//! Lists: filtered, sorted, and page by page, merged from all logical partitions of a version.
//!
//! Every document has a text for each way to sort, which no two have equal. A page goes on behind the last
//! text of the page before, so nothing is left out or comes twice, however many have equal values. What
//! changes its place between two pages may come twice or not at all.

use std::{cmp::Ordering, collections::BTreeMap};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    InvalidToken, PARTITIONS_AT_ONCE, ReadModelError, ReadModels, View, merged,
    receipt::{decode, encode},
};
use crate::{
    event::write_infallibly,
    projection::{
        Document, Found, Kind, Projection, Total, ViewFault, ViewQuery, definition::Site,
        order::sort_text,
    },
};

/// The most views of a page.
pub(super) const LIST_MAX: u32 = 1000;
/// The field by which everything can be sorted: the stream, or the key of a total.
const KEY: &str = "key";
/// The bytes of a hash that tells lists apart.
const IDENTITY_BYTES: usize = 16;

/// Which views of a projection, in which order.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct List {
    filters: BTreeMap<String, Value>,
    sort: String,
    is_descending: bool,
    limit: u32,
    after: Option<String>,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Listed<T> {
    /// The page.
    pub items: Vec<T>,
    /// What [`List::after`] takes for the next page; nothing behind the last.
    pub next: Option<String>,
}

/// Which totals, by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct TotalsList {
    from: Option<String>,
    to: Option<String>,
    after: Option<String>,
    limit: Option<u32>,
}

impl Default for List {
    fn default() -> Self {
        Self {
            filters: BTreeMap::new(),
            sort: KEY.to_owned(),
            is_descending: false,
            limit: 100,
            after: None,
        }
    }
}

/// Where a page ended, and of which list.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    /// The version of the form.
    v: u32,
    /// The list, so that no other one goes on with it.
    l: String,
    /// The text behind which it goes on.
    a: String,
}

impl List {
    /// All views, by stream, 100 a page.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only views with this value of a declared field.
    pub fn filter(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.filters.insert(field.into(), value.into());
        self
    }

    /// Sorted by a declared field, or by `key`, which is the stream.
    pub fn sort(mut self, field: impl Into<String>) -> Self {
        self.sort = field.into();
        self
    }

    /// The largest first.
    pub fn descending(mut self) -> Self {
        self.is_descending = true;
        self
    }

    /// At most so many a page: 1 to 1,000.
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = limit.clamp(1, LIST_MAX);
        self
    }

    /// Goes on behind a page of the same list.
    pub fn after(mut self, token: impl Into<String>) -> Self {
        self.after = Some(token.into());
        self
    }

    fn check(&self, projection: &Projection) -> Result<(), ReadModelError> {
        let definition = projection.definition();
        let is_declared = |name: &String| definition.fields.iter().any(|field| field.name == *name);
        let sort = Some(&self.sort).filter(|sort| *sort != KEY);
        match self.filters.keys().chain(sort).find(|name| !is_declared(name)) {
            Some(name) => Err(ReadModelError::NoField(definition.name.clone(), name.clone())),
            None => Ok(()),
        }
    }

    /// What makes it another list.
    fn identity(&self, name: &str) -> String {
        let filters: Vec<_> =
            self.filters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let direction = if self.is_descending { "-" } else { "+" };
        let text = format!("{name} {direction}{} {}", self.sort, filters.join(" "));
        // Values to filter by have any length, and a token has not.
        let mut identity = String::with_capacity(IDENTITY_BYTES.saturating_mul(2));
        for byte in Sha256::digest(text).iter().take(IDENTITY_BYTES) {
            write_infallibly(&mut identity, format_args!("{byte:02x}"));
        }
        identity
    }
}

fn place(token: &str, list: &str) -> Result<String, InvalidToken> {
    let place: Place = decode(token)?;
    if place.v != 1 || place.l != list {
        return Err(InvalidToken);
    }
    Ok(place.a)
}

fn token(list: String, after: String) -> String {
    encode(&Place { v: 1, l: list, a: after })
}

impl TotalsList {
    /// All totals, by key, 100 a page.
    pub fn new() -> Self {
        Self::default()
    }

    /// From this key on.
    pub fn from(mut self, key: impl Into<String>) -> Self {
        self.from = Some(key.into());
        self
    }

    /// Up to this key, and those that begin with it.
    pub fn up_to(mut self, key: impl Into<String>) -> Self {
        self.to = Some(key.into());
        self
    }

    /// At most so many a page: 1 to 1,000.
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = Some(limit.clamp(1, LIST_MAX));
        self
    }

    /// Goes on behind a page of the same list.
    pub fn after(mut self, token: impl Into<String>) -> Self {
        self.after = Some(token.into());
        self
    }
}

impl ReadModels {
    /// A page of views of streams; not of those of parts. A query in each logical partition of the version:
    /// about 3 RU for each, and what the page has.
    ///
    /// # Errors
    ///
    /// [`ReadModelError`].
    pub async fn list(&self, name: &str, list: &List) -> Result<Listed<View>, ReadModelError> {
        let projection = self.projection(name)?;
        if projection.has_totals() {
            return Err(ReadModelError::OtherKind(name.to_owned()));
        }
        list.check(projection)?;
        let identity = list.identity(name);
        let after = list.after.as_deref().map(|token| place(token, &identity)).transpose()?;
        let site = self.must_live(name).await?;
        let query = ViewQuery {
            filters: list.filters.clone().into_iter().collect(),
            sort: list.sort.clone(),
            is_descending: list.is_descending,
            after,
            ..ViewQuery::of(vec![Kind::View], list.limit.saturating_add(1))
        };
        let mut found = self.sorted(site, &query).await?;
        let limit = usize::try_from(list.limit).unwrap_or(usize::MAX);
        let has_more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().and_then(|document| document.sort.get(&list.sort).cloned());
        let next = last.filter(|_| has_more).map(|after| token(identity, after));
        Ok(Listed { items: found.iter().filter_map(View::of).collect(), next })
    }

    /// The first documents of a query over all logical partitions of a version.
    async fn sorted(&self, site: Site<'_>, query: &ViewQuery) -> Result<Vec<Document>, ViewFault> {
        let partitions = site.partitions();
        // Collected, so that no closure is held while they are read: the future is then one of any task.
        let reads: Vec<_> =
            partitions.iter().map(|partition| self.views().query(partition, query)).collect();
        let pages: Vec<Vec<Found>> =
            stream::iter(reads).buffered(PARTITIONS_AT_ONCE).try_collect().await?;
        let mut found: Vec<Document> =
            pages.into_iter().flatten().map(|found| found.document).collect();
        found.sort_by(|one, other| {
            let order: Ordering = one.sort.get(&query.sort).cmp(&other.sort.get(&query.sort));
            if query.is_descending { order.reverse() } else { order }
        });
        found.truncate(usize::try_from(query.limit).unwrap_or(usize::MAX));
        Ok(found)
    }

    /// A page of totals, by key. A query in each logical partition of the version.
    ///
    /// # Errors
    ///
    /// [`ReadModelError`].
    pub async fn totals(
        &self,
        name: &str,
        list: &TotalsList,
    ) -> Result<Listed<(String, Total)>, ReadModelError> {
        let projection = self.projection(name)?;
        if !projection.has_totals() {
            return Err(ReadModelError::OtherKind(name.to_owned()));
        }
        let site = self.must_live(name).await?;
        self.totals_of(site, list).await
    }

    pub(in crate::projection) async fn totals_of(
        &self,
        site: Site<'_>,
        list: &TotalsList,
    ) -> Result<Listed<(String, Total)>, ReadModelError> {
        let identity = format!("{} totals", site.name);
        let after = list.after.as_deref().map(|token| place(token, &identity)).transpose()?;
        // The text of a key without an id sorts before that of every document with the key.
        let begin = list.from.as_ref().map(|from| sort_text(&Value::String(from.clone()), ""));
        let limit = list.limit.unwrap_or(100);
        let after = after.or(begin);
        let query =
            ViewQuery { after, ..ViewQuery::of(vec![Kind::Total], limit.saturating_add(1)) };
        // Each key has the same id in every partition, and so the same text to sort by: of those that are
        // among the first of any, no partition can lack its part.
        let partitions = site.partitions();
        let reads: Vec<_> =
            partitions.iter().map(|partition| self.views().query(partition, &query)).collect();
        let pages: Vec<Vec<Found>> =
            stream::iter(reads).buffered(PARTITIONS_AT_ONCE).try_collect().await?;
        let mut parts: BTreeMap<String, (String, Vec<Total>)> = BTreeMap::new();
        for document in pages.into_iter().flatten().map(|found| found.document) {
            let text = document.sort.get(KEY).cloned().unwrap_or_default();
            let (Some(key), Some(total)) = (document.key, document.total) else { continue };
            parts.entry(text).or_insert_with(|| (key, Vec::new())).1.push(total);
        }
        let is_in =
            |key: &str| list.to.as_ref().is_none_or(|to| key <= to.as_str() || key.starts_with(to));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = parts.len() > limit;
        let mut items = Vec::new();
        let mut last = None;
        for (text, (key, parts)) in parts.into_iter().take(limit) {
            if !is_in(&key) {
                last = None;
                break;
            }
            items.extend(merged(parts)?.map(|total| (key, total)));
            last = Some(text);
        }
        let next = last.filter(|_| has_more).map(|after| token(identity, after));
        Ok(Listed { items, next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_goes_on_with_its_own_list_however_long_its_filters_are() {
        let long = |end: &str| format!("{}{end}", "\u{e9}".repeat(5000));
        let list = List::new().filter("a", long("1")).filter("b", 1).sort("a");
        // Nothing that a document is sorted by is longer.
        let text = sort_text(&Value::from("\n".repeat(200)), &"\u{e9}".repeat(130));
        let next = token(list.identity("name"), text.clone());
        assert_eq!(place(&next, &list.identity("name")), Ok(text));
        let others = [
            list.clone().filter("a", long("2")),
            list.clone().filter("b", "1"),
            list.clone().sort("b"),
            list.clone().descending(),
        ];
        for other in others {
            assert_eq!(place(&next, &other.identity("name")), Err(InvalidToken), "{}", other.sort);
        }
        assert_eq!(place(&next, &list.identity("other")), Err(InvalidToken));
    }
}

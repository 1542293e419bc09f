//! Which operation a request asks for: a pure function of method, path and headers.
//!
//! Paths alternate keywords and ids (`/dbs/a/colls/b/docs/c`); ids are percent-encoded, and a
//! trailing slash means nothing (the Python SDK sends one on every path).

use std::borrow::Cow;

use hyper::{HeaderMap, Method, StatusCode};
use percent_encoding::percent_decode_str;

use super::error::ServiceError;
use super::names;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    ReadAccount,
    CreateDatabase,
    ListDatabases,
    QueryDatabases,
    ReadDatabase,
    DeleteDatabase,
    CreateContainer,
    ListContainers,
    QueryContainers,
    ReadContainer,
    ReplaceContainer,
    DeleteContainer,
    ReadRanges,
    QueryPlan,
    QueryItems,
    Batch,
    UpsertItem,
    CreateItem,
    ReadFeed,
    ChangeFeed,
    ReadItem,
    ReplaceItem,
    DeleteItem,
    PatchItem,
    QueryOffers,
    ListOffers,
    ReadOffer,
    ReplaceOffer,
}

impl Action {
    /// The name under which requests of this kind are counted and matched by faults.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::ReadAccount => "read_account",
            Self::CreateDatabase => "create_database",
            Self::ListDatabases => "list_databases",
            Self::QueryDatabases => "query_databases",
            Self::ReadDatabase => "read_database",
            Self::DeleteDatabase => "delete_database",
            Self::CreateContainer => "create_container",
            Self::ListContainers => "list_containers",
            Self::QueryContainers => "query_containers",
            Self::ReadContainer => "read_container",
            Self::ReplaceContainer => "replace_container",
            Self::DeleteContainer => "delete_container",
            Self::ReadRanges => "read_ranges",
            Self::QueryPlan => "query_plan",
            Self::QueryItems => "query_items",
            Self::Batch => "batch",
            Self::UpsertItem => "upsert_item",
            Self::CreateItem => "create_item",
            Self::ReadFeed => "read_feed",
            Self::ChangeFeed => "change_feed",
            Self::ReadItem => "read_item",
            Self::ReplaceItem => "replace_item",
            Self::DeleteItem => "delete_item",
            Self::PatchItem => "patch_item",
            Self::QueryOffers => "query_offers",
            Self::ListOffers => "list_offers",
            Self::ReadOffer => "read_offer",
            Self::ReplaceOffer => "replace_offer",
        }
    }
}

/// The ids of a path; those that it does not have are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) database: String,
    pub(crate) container: String,
    /// The id of the item or of the offer.
    pub(crate) leaf: String,
}

/// What the signature of a request covers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Signed<'a> {
    /// The last keyword of the path (`docs`), or nothing for the account.
    pub(crate) resource_type: &'a str,
    /// The path up to the resource, ids decoded: the parent's path when the last segment is a
    /// keyword.
    pub(crate) link: Cow<'a, str>,
    /// The same with the ids as they were sent, which is what some clients sign.
    pub(crate) raw_link: &'a str,
}

/// A path taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path<'a> {
    segments: Vec<Cow<'a, str>>,
    signed: Signed<'a>,
}

impl<'a> Path<'a> {
    /// Takes a path apart. Never fails: what makes no sense is found by [`Path::resolve`].
    pub(crate) fn parse(path: &'a str) -> Self {
        let whole = path.trim_matches('/');
        let raw = || whole.split('/').filter(|segment| !segment.is_empty());
        let segments = raw().map(|segment| percent_decode_str(segment).decode_utf8_lossy());
        let segments: Vec<Cow<'_, str>> = segments.collect();
        // A path that ends with a keyword is about the children of what stands before it.
        let is_feed = segments.len() % 2 == 1;
        let parent = whole.rsplit_once('/').map_or("", |(parent, _)| parent);
        let raw_link = if is_feed { parent.trim_end_matches('/') } else { whole };
        let decoded = percent_decode_str(raw_link).decode_utf8_lossy();
        let keyword = if is_feed { raw().next_back() } else { raw().rev().nth(1) };
        let signed = Signed { resource_type: keyword.unwrap_or_default(), link: decoded, raw_link };
        Self { segments, signed }
    }

    /// What the signature of a request to this path covers.
    pub(crate) fn signed(&self) -> &Signed<'a> {
        &self.signed
    }

    /// Finds the operation.
    ///
    /// # Errors
    ///
    /// 501 for parts of the protocol that are not built, 405 and 404 for what it does not have.
    pub(crate) fn resolve(
        &self,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<(Action, Ids), ServiceError> {
        let segments: Vec<&str> = self.segments.iter().map(AsRef::as_ref).collect();
        let ids = Ids {
            database: segments.get(1).copied().unwrap_or_default().to_owned(),
            container: segments.get(3).copied().unwrap_or_default().to_owned(),
            leaf: segments.get(5).copied().unwrap_or_default().to_owned(),
        };
        let action = match segments.as_slice() {
            [] if method == Method::GET => Some(Action::ReadAccount),
            ["dbs"] => databases(method, headers),
            ["dbs", _] => database(method),
            ["dbs", _, "colls"] => containers(method, headers),
            ["dbs", _, "colls", _] => container(method),
            ["dbs", _, "colls", _, "pkranges"] if method == Method::GET => Some(Action::ReadRanges),
            ["dbs", _, "colls", _, "docs"] => items(method, headers),
            ["dbs", _, "colls", _, "docs", _] => item(method),
            ["dbs", _, "colls", _, other, ..] | ["dbs", _, other, ..] => {
                return Err(unsupported(other));
            }
            ["offers"] => offers(method, headers),
            ["offers", id] => {
                let ids = Ids { leaf: (*id).to_owned(), ..Ids::default() };
                return offer(method).map(|action| (action, ids)).ok_or_else(|| refused(method));
            }
            [] => None,
            _ => return Err(ServiceError::not_found("there is no such resource path")),
        };
        action.map(|action| (action, ids)).ok_or_else(|| refused(method))
    }
}

fn databases(method: &Method, headers: &HeaderMap) -> Option<Action> {
    match *method {
        Method::POST if is_query(headers) => Some(Action::QueryDatabases),
        Method::POST => Some(Action::CreateDatabase),
        Method::GET => Some(Action::ListDatabases),
        _ => None,
    }
}

fn database(method: &Method) -> Option<Action> {
    match *method {
        Method::GET => Some(Action::ReadDatabase),
        Method::DELETE => Some(Action::DeleteDatabase),
        _ => None,
    }
}

fn containers(method: &Method, headers: &HeaderMap) -> Option<Action> {
    match *method {
        Method::POST if is_query(headers) => Some(Action::QueryContainers),
        Method::POST => Some(Action::CreateContainer),
        Method::GET => Some(Action::ListContainers),
        _ => None,
    }
}

fn container(method: &Method) -> Option<Action> {
    match *method {
        Method::GET => Some(Action::ReadContainer),
        Method::PUT => Some(Action::ReplaceContainer),
        Method::DELETE => Some(Action::DeleteContainer),
        _ => None,
    }
}

/// The order matters: a query-plan request also carries the query header, and a batch may carry
/// any content type.
fn items(method: &Method, headers: &HeaderMap) -> Option<Action> {
    match *method {
        Method::POST if flag(headers, names::IS_QUERY_PLAN) => Some(Action::QueryPlan),
        Method::POST if is_query(headers) => Some(Action::QueryItems),
        Method::POST if flag(headers, names::IS_BATCH) => Some(Action::Batch),
        Method::POST if flag(headers, names::IS_UPSERT) => Some(Action::UpsertItem),
        Method::POST => Some(Action::CreateItem),
        Method::GET if headers.contains_key(names::A_IM) => Some(Action::ChangeFeed),
        Method::GET => Some(Action::ReadFeed),
        _ => None,
    }
}

fn item(method: &Method) -> Option<Action> {
    match *method {
        Method::GET => Some(Action::ReadItem),
        Method::PUT => Some(Action::ReplaceItem),
        Method::DELETE => Some(Action::DeleteItem),
        Method::PATCH => Some(Action::PatchItem),
        _ => None,
    }
}

fn offers(method: &Method, headers: &HeaderMap) -> Option<Action> {
    match *method {
        Method::POST if is_query(headers) => Some(Action::QueryOffers),
        Method::GET => Some(Action::ListOffers),
        _ => None,
    }
}

fn offer(method: &Method) -> Option<Action> {
    match *method {
        Method::GET => Some(Action::ReadOffer),
        Method::PUT => Some(Action::ReplaceOffer),
        _ => None,
    }
}

fn refused(method: &Method) -> ServiceError {
    ServiceError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{method} is not defined for this resource path"),
    )
}

/// 501, which the SDKs treat as final, for resources of the protocol that are not built.
fn unsupported(keyword: &str) -> ServiceError {
    let what = match keyword {
        "sprocs" => "Stored procedures are",
        "triggers" => "Triggers are",
        "udfs" => "User-defined functions are",
        "users" => "Users are",
        "permissions" => "Permissions are",
        "conflicts" => "Conflicts are",
        "clientencryptionkeys" => "Client encryption keys are",
        _ => return ServiceError::not_found("there is no such resource path"),
    };
    ServiceError::new(
        StatusCode::NOT_IMPLEMENTED,
        format!("{what} not supported yet by this local endpoint"),
    )
}

fn is_query(headers: &HeaderMap) -> bool {
    flag(headers, names::IS_QUERY)
        || flag(headers, names::IS_QUERY_OLD)
        || headers
            .get(hyper::header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| {
                value.trim().to_ascii_lowercase().starts_with("application/query+json")
            })
}

/// Whether a header is there and says true, in any case.
pub(crate) fn flag(headers: &HeaderMap, name: &str) -> bool {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{HeaderName, HeaderValue};

    fn resolve(method: &Method, path: &str, headers: &[(&'static str, &str)]) -> Action {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        Path::parse(path).resolve(method, &map).unwrap().0
    }

    #[test]
    fn posts_to_items_are_told_apart_in_the_documented_order() {
        let docs = "/dbs/d/colls/c/docs";
        let post = Method::POST;
        let plan = (names::IS_QUERY_PLAN, "True");
        let query = (names::IS_QUERY, "True");
        let batch = (names::IS_BATCH, "True");
        let upsert = (names::IS_UPSERT, "true");
        assert_eq!(resolve(&post, docs, &[plan, query]), Action::QueryPlan);
        assert_eq!(resolve(&post, docs, &[query, batch]), Action::QueryItems);
        assert_eq!(
            resolve(&post, docs, &[("content-type", "application/query+json; charset=utf-8")]),
            Action::QueryItems
        );
        assert_eq!(resolve(&post, docs, &[batch, upsert]), Action::Batch);
        assert_eq!(resolve(&post, docs, &[upsert]), Action::UpsertItem);
        assert_eq!(resolve(&post, docs, &[]), Action::CreateItem);
        assert_eq!(
            resolve(&Method::GET, docs, &[("a-im", "Incremental feed")]),
            Action::ChangeFeed
        );
        assert_eq!(resolve(&Method::GET, docs, &[]), Action::ReadFeed);
    }

    #[test]
    fn ids_are_decoded_and_trailing_slashes_ignored() {
        let path = Path::parse("/dbs/a%20b/colls/c/docs/x%2By/");
        let (action, ids) = path.resolve(&Method::GET, &HeaderMap::new()).unwrap();
        assert_eq!(action, Action::ReadItem);
        assert_eq!(ids.database, "a b");
        assert_eq!(ids.leaf, "x+y");
        assert_eq!(path.signed().resource_type, "docs");
        assert_eq!(path.signed().link, "dbs/a b/colls/c/docs/x+y");
        assert_eq!(path.signed().raw_link, "dbs/a%20b/colls/c/docs/x%2By");
    }

    #[test]
    fn a_feed_is_signed_with_its_parent_and_the_account_with_nothing() {
        let signed = Path::parse("/dbs/d/colls/c/docs").signed().clone();
        assert_eq!((signed.resource_type, signed.link.as_ref()), ("docs", "dbs/d/colls/c"));
        let signed = Path::parse("/dbs").signed().clone();
        assert_eq!((signed.resource_type, signed.link.as_ref()), ("dbs", ""));
        assert_eq!(Path::parse("/").signed(), &Signed::default());
    }

    #[test]
    fn what_is_not_built_says_so() {
        let error = Path::parse("/dbs/d/colls/c/sprocs/p")
            .resolve(&Method::POST, &HeaderMap::new())
            .unwrap_err();
        assert_eq!(error.status, StatusCode::NOT_IMPLEMENTED);
        let error = Path::parse("/dbs/d").resolve(&Method::PATCH, &HeaderMap::new()).unwrap_err();
        assert_eq!(error.status, StatusCode::METHOD_NOT_ALLOWED);
        let error = Path::parse("/x/y").resolve(&Method::GET, &HeaderMap::new()).unwrap_err();
        assert_eq!(error.status, StatusCode::NOT_FOUND);
    }
}

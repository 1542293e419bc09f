//! One request as the handlers see it, and the look-ups that most of them begin with.

use std::sync::Arc;

use bytes::Bytes;
use hyper::{HeaderMap, StatusCode, Uri};
use serde_json::Value;

use super::ServerState;
use super::error::{ServiceError, substatus};
use super::names;
use super::respond::PartitionMark;
use super::route::{self, Ids};
use crate::json;
use crate::key::PartitionKey;
use crate::rid;
use crate::session;
use crate::storage::{Condition, Container, Database, PartitionInfo, Topology};

/// Items a page has at the most when the client leaves the number to the server.
const PAGE_ITEMS_DEFAULT: usize = 100;
/// Items a page has at the most, whatever the client asks for.
const PAGE_ITEMS_MAX: usize = 1000;
/// Bytes after which a page ends, as on the service.
pub(crate) const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A request whose operation is known.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) ids: Ids,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) uri: Uri,
}

impl Call {
    /// The text of a header, which may have characters beyond ASCII.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
    }

    /// Scheme, host and port under which the caller reached the server.
    pub(crate) fn origin(&self) -> String {
        let host = self
            .uri
            .authority()
            .map(hyper::http::uri::Authority::as_str)
            .or_else(|| self.header("host"))
            .unwrap_or("127.0.0.1");
        format!("http://{host}")
    }

    /// Whether a header says true.
    pub(crate) fn flag(&self, name: &str) -> bool {
        route::flag(&self.headers, name)
    }

    /// Whether a write's answer leaves out the document.
    pub(crate) fn is_minimal(&self) -> bool {
        self.header(names::PREFER).is_some_and(|value| value.contains("return=minimal"))
    }

    /// The request's condition on the stored etag.
    pub(crate) fn condition(&self) -> Condition {
        if let Some(etag) = self.header(names::IF_MATCH) {
            Condition::IfMatch(etag.to_owned())
        } else if let Some(etag) = self.header(names::IF_NONE_MATCH) {
            Condition::IfNoneMatch(etag.to_owned())
        } else {
            Condition::None
        }
    }

    /// The partition key header; `None` when it is missing or `[]`, which both mean "any".
    ///
    /// # Errors
    ///
    /// 400 for a header that is not a partition key.
    pub(crate) fn partition_key(&self) -> Result<Option<PartitionKey>, ServiceError> {
        match self.header(names::PARTITION_KEY) {
            Some(text) => Ok(PartitionKey::from_header(text)?),
            None => Ok(None),
        }
    }

    /// The partition key header of an operation that cannot do without.
    ///
    /// # Errors
    ///
    /// 400 when it is missing or not a partition key.
    pub(crate) fn required_key(&self) -> Result<PartitionKey, ServiceError> {
        self.partition_key()?.ok_or_else(|| {
            ServiceError::bad_request(
                "PartitionKey value must be supplied for this operation \
                 (header x-ms-documentdb-partitionkey)",
            )
        })
    }

    /// How many items a page may have.
    ///
    /// # Errors
    ///
    /// 400 when the header is not a number.
    pub(crate) fn page_items(&self) -> Result<usize, ServiceError> {
        self.page_items_or(PAGE_ITEMS_DEFAULT)
    }

    /// As [`Call::page_items`] with another default.
    pub(crate) fn page_items_or(&self, default: usize) -> Result<usize, ServiceError> {
        let Some(text) = self.header(names::MAX_ITEM_COUNT) else { return Ok(default) };
        let count: i64 = text.trim().parse().map_err(|_| {
            ServiceError::bad_request("x-ms-max-item-count must be a number, or -1 for any")
        })?;
        Ok(match usize::try_from(count) {
            Ok(0) | Err(_) => default,
            Ok(count) => count.min(PAGE_ITEMS_MAX),
        })
    }

    /// The body as JSON; binary JSON is decoded.
    ///
    /// # Errors
    ///
    /// 400 when it is neither.
    pub(crate) fn json(&self) -> Result<Value, ServiceError> {
        if json::binary::is_binary(&self.body) {
            return Ok(json::binary::decode(&self.body)?);
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| ServiceError::bad_request(format!("the body is not JSON: {error}")))
    }

    /// The body as the document of an item. In strict mode its numbers become binary64.
    ///
    /// # Errors
    ///
    /// 400 when the body is not JSON.
    pub(crate) fn document(&self, state: &ServerState) -> Result<Value, ServiceError> {
        let mut document = self.json()?;
        if state.strict {
            json::normalise_numbers(&mut document);
        }
        Ok(document)
    }

    /// Refuses the request when its session token is ahead of the partition.
    ///
    /// # Errors
    ///
    /// 404/1002, or 400 for a token that cannot be read.
    pub(crate) fn check_session(
        &self,
        container: &Container,
        partition: &PartitionInfo,
    ) -> Result<(), ServiceError> {
        let Some(text) = self.header(names::SESSION_TOKEN) else { return Ok(()) };
        let token =
            session::parse(text).map_err(|error| ServiceError::bad_request(error.to_string()))?;
        let seen = mark(container, partition);
        if token.iter().any(|(range, lsn)| *range == seen.range && *lsn > seen.lsn) {
            return Err(ServiceError::not_found(
                "The read session is not available for the input session token.",
            )
            .with_substatus(substatus::READ_SESSION_NOT_AVAILABLE)
            .with_mark(Some(seen)));
        }
        Ok(())
    }

    /// The database of the path, by id or by resource id.
    ///
    /// # Errors
    ///
    /// 404 when there is none.
    pub(crate) fn database(&self, state: &ServerState) -> Result<Arc<Database>, ServiceError> {
        let name = &self.ids.database;
        state
            .engine
            .database(name)
            .or_else(|| database_by_rid(state, name))
            .ok_or_else(|| ServiceError::not_found(format!("database '{name}' does not exist")))
    }

    /// The container of the path as the resource of the request.
    ///
    /// # Errors
    ///
    /// 404 when it is missing, 404/1003 when its database is, 400/1024 when the client means an
    /// earlier container of that name.
    pub(crate) fn container(&self, state: &ServerState) -> Result<Arc<Container>, ServiceError> {
        let (database, name) = (&self.ids.database, &self.ids.container);
        let found = match state.engine.container(database, name) {
            Some(container) => Some(container),
            None => self.container_by_rid(state)?,
        };
        let container = found.ok_or_else(|| {
            ServiceError::not_found(format!("container '{name}' does not exist in '{database}'"))
        })?;
        match self.header(names::INTENDED_COLLECTION_RID) {
            Some(intended) if intended != container.rid() => Err(ServiceError::bad_request(
                "Collection rid mismatch: the container was deleted and created again",
            )
            .with_substatus(substatus::COLLECTION_RID_MISMATCH)),
            _ => Ok(container),
        }
    }

    /// The container of the path as the owner of what the request is about.
    ///
    /// # Errors
    ///
    /// 404/1003 when it is missing, 400/1024 as [`Call::container`].
    pub(crate) fn owner(&self, state: &ServerState) -> Result<Arc<Container>, ServiceError> {
        self.container(state).map_err(|error| {
            if error.status == StatusCode::NOT_FOUND {
                ServiceError::owner_not_found(&error.message)
            } else {
                error
            }
        })
    }

    fn container_by_rid(
        &self,
        state: &ServerState,
    ) -> Result<Option<Arc<Container>>, ServiceError> {
        let database =
            self.database(state).map_err(|error| ServiceError::owner_not_found(&error.message))?;
        let name = &self.ids.container;
        if let Some(container) = state.engine.container(&database.id, name) {
            return Ok(Some(container));
        }
        if rid::parse_container(name).is_none() {
            return Ok(None);
        }
        let all = state.engine.containers(&database.id);
        Ok(all.into_iter().find(|container| container.rid() == *name))
    }
}

fn database_by_rid(state: &ServerState, name: &str) -> Option<Arc<Database>> {
    let number = rid::parse_database(name)?;
    state.engine.databases().into_iter().find(|database| database.number == number)
}

/// The headers of a partition as it is now.
pub(crate) fn mark(container: &Container, partition: &PartitionInfo) -> PartitionMark {
    PartitionMark { range: partition.id, lsn: container.lsn(partition.id) }
}

/// The partition that holds a key.
///
/// # Errors
///
/// 500 when the ranges do not tile the key space, which storage rules out.
pub(crate) fn partition_of<'a>(
    topology: &'a Topology,
    key: &PartitionKey,
) -> Result<&'a PartitionInfo, ServiceError> {
    Ok(topology.serving(key.epk())?)
}

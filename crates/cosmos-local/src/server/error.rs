//! The only way in which a request fails towards the client.
//!
//! A [`ServiceError`] is a status, a sub-status and a message for people. It never carries stored
//! data: what a document contains stays out of error messages.

use hyper::StatusCode;

use super::respond::PartitionMark;
use crate::json::binary::BinaryError;
use crate::key::KeyError;
use crate::query::QueryError;
use crate::storage::{DefinitionError, PrepareError, StorageError};

/// Sub-statuses of the protocol that this endpoint answers with.
pub(crate) mod substatus {
    /// The partition key header and the document disagree.
    pub(crate) const KEY_MISMATCH: u32 = 1001;
    /// On 410: the partition key range has been split or merged away.
    pub(crate) const RANGE_GONE: u32 = 1002;
    /// On 404: the session token is ahead of the partition.
    pub(crate) const READ_SESSION_NOT_AVAILABLE: u32 = 1002;
    /// On 404: the database or container that owns the resource does not exist.
    pub(crate) const OWNER_NOT_FOUND: u32 = 1003;
    /// The query needs a plan and a client that merges partitions.
    pub(crate) const CROSS_PARTITION_QUERY: u32 = 1004;
    /// The container was deleted and created again since the client last looked.
    pub(crate) const COLLECTION_RID_MISMATCH: u32 = 1024;
    /// On 412: the condition of a patch did not hold.
    pub(crate) const PATCH_CONDITION: u32 = 1110;
}

/// A request that is answered with an error.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ServiceError {
    /// The HTTP status.
    pub(crate) status: StatusCode,
    /// The sub-status, where the protocol has one.
    pub(crate) substatus: Option<u32>,
    /// What went wrong, for a person.
    pub(crate) message: String,
    /// The partition that answered, if one did.
    pub(crate) mark: Option<PartitionMark>,
    /// How long the client should wait, in milliseconds (with 429).
    pub(crate) retry_after_ms: Option<u64>,
    /// The request charge in RU.
    pub(crate) charge: f64,
}

impl ServiceError {
    /// An error with a status and a message and nothing else.
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            substatus: None,
            message: message.into(),
            mark: None,
            retry_after_ms: None,
            charge: 0.0,
        }
    }

    /// 400.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 400 for a feature of the service that this endpoint does not have yet.
    pub(crate) fn not_supported(what: &str) -> Self {
        Self::bad_request(format!("{what}: not supported yet by this local endpoint"))
    }

    /// 404 for an item, container or database that is the resource itself.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 404/1003: the container or database that owns the resource is missing.
    pub(crate) fn owner_not_found(what: &str) -> Self {
        Self::not_found(format!("Owner resource does not exist: {what}"))
            .with_substatus(substatus::OWNER_NOT_FOUND)
    }

    /// 410/1002: the range id is not one of the container's current ranges.
    pub(crate) fn range_gone(id: &str) -> Self {
        Self::new(StatusCode::GONE, format!("partition key range {id} is gone"))
            .with_substatus(substatus::RANGE_GONE)
    }

    /// 413.
    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// The same error with a sub-status.
    #[must_use]
    pub(crate) fn with_substatus(mut self, substatus: u32) -> Self {
        self.substatus = Some(substatus);
        self
    }

    /// The same error with the headers of the partition that answered.
    #[must_use]
    pub(crate) fn with_mark(mut self, mark: Option<PartitionMark>) -> Self {
        self.mark = mark;
        self
    }

    /// The same error with a request charge.
    #[must_use]
    pub(crate) fn with_charge(mut self, charge: f64) -> Self {
        self.charge = charge;
        self
    }

    /// The protocol's word for the status, the `code` of the body.
    pub(crate) fn code(&self) -> &'static str {
        match self.status.as_u16() {
            400 => "BadRequest",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "NotFound",
            405 => "MethodNotAllowed",
            408 => "RequestTimeout",
            409 => "Conflict",
            410 => "Gone",
            412 => "PreconditionFailed",
            413 => "RequestEntityTooLarge",
            429 => "TooManyRequests",
            449 => "RetryWith",
            501 => "NotImplemented",
            503 => "ServiceUnavailable",
            _ => "InternalServerError",
        }
    }

    /// The body: `{"code", "message"}`.
    pub(crate) fn body(&self) -> Vec<u8> {
        serde_json::json!({ "code": self.code(), "message": self.message }).to_string().into_bytes()
    }
}

impl From<KeyError> for ServiceError {
    fn from(error: KeyError) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<BinaryError> for ServiceError {
    fn from(error: BinaryError) -> Self {
        Self::bad_request(format!("the body is not valid binary JSON: {error}"))
    }
}

impl From<DefinitionError> for ServiceError {
    fn from(error: DefinitionError) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<QueryError> for ServiceError {
    fn from(error: QueryError) -> Self {
        match error.position {
            Some(position) => Self::bad_request(format!(
                "Syntax error or unsupported query at position {position}: {}",
                error.message
            )),
            None => Self::bad_request(format!("Invalid query: {}", error.message)),
        }
    }
}

impl From<PrepareError> for ServiceError {
    fn from(error: PrepareError) -> Self {
        match error {
            PrepareError::TooLarge { .. } => Self::too_large(error.to_string()),
            other => Self::bad_request(other.to_string()),
        }
    }
}

impl From<StorageError> for ServiceError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Exists => {
                Self::new(StatusCode::CONFLICT, "a resource with this id exists already")
            }
            // Handlers look up what they work on first, so it was deleted in the meantime.
            StorageError::NotFound => Self::owner_not_found("it was deleted in the meantime"),
            StorageError::Gone => {
                Self::new(StatusCode::GONE, "the partition key range was split or merged")
                    .with_substatus(substatus::RANGE_GONE)
            }
            StorageError::Invalid(reason) => Self::bad_request(reason),
            StorageError::Unavailable(reason) => Self::new(StatusCode::SERVICE_UNAVAILABLE, reason),
            other => Self::new(StatusCode::INTERNAL_SERVER_ERROR, other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_names_the_code_and_the_message() {
        let error = ServiceError::owner_not_found("container 'x'");
        assert_eq!(error.substatus, Some(1003));
        let body: serde_json::Value = serde_json::from_slice(&error.body()).unwrap();
        assert_eq!(body["code"], "NotFound");
        assert_eq!(body["message"], "Owner resource does not exist: container 'x'");
    }
}

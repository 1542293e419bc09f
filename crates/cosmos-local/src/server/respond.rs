//! Replies: status, headers and a body of bytes that is built once.

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, StatusCode};

use super::error::ServiceError;
use super::names;
use crate::session;

/// Which partition answered, and how far it had got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartitionMark {
    /// The partition key range id.
    pub(crate) range: u32,
    /// The partition's log sequence number that the answer reflects at least.
    pub(crate) lsn: u64,
}

/// An answer before the headers that every answer carries are added.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    /// A reply without a body.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::with_capacity(16), body: Bytes::new() }
    }

    /// A reply with JSON text.
    pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Self {
        let mut reply = Self::empty(status);
        reply.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        reply.body = body.into();
        reply
    }

    /// A reply with a JSON value.
    pub(crate) fn value(status: StatusCode, body: &serde_json::Value) -> Self {
        Self::json(status, body.to_string())
    }

    /// The reply that reports an error.
    pub(crate) fn error(error: &ServiceError) -> Self {
        let mut reply = if error.status == StatusCode::NOT_MODIFIED {
            Self::empty(error.status)
        } else {
            Self::json(error.status, error.body())
        };
        if let Some(substatus) = error.substatus {
            reply = reply.number(names::SUBSTATUS, u64::from(substatus));
        }
        if let Some(wait) = error.retry_after_ms {
            reply = reply.number(names::RETRY_AFTER_MS, wait);
        }
        reply.mark(error.mark).charge(error.charge)
    }

    /// Adds a header. A value that HTTP cannot carry is left out: all such values come from
    /// clients (ids, continuations), and no client needs them back.
    #[must_use]
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Adds a header with a number.
    #[must_use]
    pub(crate) fn number(mut self, name: &'static str, value: u64) -> Self {
        self.headers.insert(name, HeaderValue::from(value));
        self
    }

    /// Adds the request charge in RU, with two digits.
    #[must_use]
    pub(crate) fn charge(self, charge: f64) -> Self {
        self.header(names::REQUEST_CHARGE, &format!("{charge:.2}"))
    }

    /// Adds the headers of the partition that answered.
    #[must_use]
    pub(crate) fn mark(self, mark: Option<PartitionMark>) -> Self {
        match mark {
            Some(mark) => self
                .header(names::SESSION_TOKEN, &session::format(mark.range, mark.lsn))
                .number(names::LSN, mark.lsn)
                .number(names::PARTITION_KEY_RANGE_ID, u64::from(mark.range)),
            None => self,
        }
    }
}

/// The body of a list: `{"_rid", NAME: [..], "_count"}`, items as written by `write`.
pub(crate) fn list_body<T>(
    rid: &str,
    name: &str,
    items: &[T],
    mut write: impl FnMut(&mut Vec<u8>, &T),
) -> Vec<u8> {
    let mut body = Vec::with_capacity(64 + items.len() * 256);
    body.extend_from_slice(b"{\"_rid\":\"");
    body.extend_from_slice(rid.as_bytes());
    body.extend_from_slice(b"\",\"");
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(b"\":[");
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        write(&mut body, item);
    }
    body.extend_from_slice(b"],\"_count\":");
    body.extend_from_slice(items.len().to_string().as_bytes());
    body.push(b'}');
    body
}

/// Appends `value` as JSON text.
pub(crate) fn write_value(out: &mut Vec<u8>, value: &serde_json::Value) {
    // Writing a JSON value into memory cannot fail: its keys are strings.
    let written = serde_json::to_writer(out, value);
    debug_assert!(written.is_ok(), "a JSON value always serialises");
}

/// Appends `text` as a JSON string.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    let written = serde_json::to_writer(out, text);
    debug_assert!(written.is_ok(), "a string always serialises");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_valid_json() {
        let body =
            list_body("abc=", "Documents", &["a", "b\""], |out, text| write_string(out, text));
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(value, serde_json::json!({"_rid":"abc=","Documents":["a","b\""],"_count":2}));
    }

    #[test]
    fn an_unsendable_header_is_left_out() {
        let reply = Reply::empty(StatusCode::OK).header(names::CONTENT_PATH, "a\nb");
        assert!(reply.headers.is_empty());
    }
}

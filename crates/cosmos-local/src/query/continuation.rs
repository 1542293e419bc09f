//! Continuation tokens: where a query goes on, opaque to clients and bound to the query.
//!
//! A token is base64url over JSON. It carries a digest of the query text, its parameters and its
//! resume filter, so that a token of another query is an error instead of a wrong answer.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::QueryError;
use super::value::ValueDigest;

/// Raised when the meaning of a field changes.
const VERSION: u32 = 1;

/// The longest token that is looked at; the longest that is made is far shorter.
const TOKEN_BYTES_MAX: usize = 64 * 1024;

/// Sort keys above this size are not put into a token, which travels in a header; the number of
/// rows already returned stands in for them.
pub(super) const KEY_BYTES_MAX: usize = 4 * 1024;

/// The most digests of distinct values in a token; beyond it the number of values stands in.
pub(super) const DIGESTS_MAX: usize = 200;

/// Where a query goes on.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Progress {
    /// After this position of the source.
    Position(Vec<u8>),
    /// After this row of the sorted result.
    Sorted {
        /// Its ORDER BY values.
        keys: Vec<Option<Value>>,
        /// Its ordinal, which breaks ties.
        ordinal: u64,
        /// The digest of its value, for DISTINCT.
        digest: Option<ValueDigest>,
    },
    /// Without the values that have these digests.
    Distinct(Vec<ValueDigest>),
    /// After as many rows as have been returned.
    Counted,
}

/// A decoded token.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Continuation {
    pub(super) progress: Progress,
    /// The number of rows returned so far.
    pub(super) returned: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    v: u32,
    /// Digest of the query.
    q: String,
    /// Rows returned so far.
    n: u64,
    /// Position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    p: Option<String>,
    /// Sort keys: `[value]`, or `[]` for `undefined`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    k: Option<Vec<Vec<Value>>>,
    /// Ordinal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    o: Option<u64>,
    /// Digests, one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    d: Option<String>,
}

/// Makes the token of a query with this digest.
pub(super) fn encode(query: &ValueDigest, continuation: &Continuation) -> Option<String> {
    let mut wire = Wire {
        v: VERSION,
        q: URL_SAFE_NO_PAD.encode(query),
        n: continuation.returned,
        p: None,
        k: None,
        o: None,
        d: None,
    };
    match &continuation.progress {
        Progress::Position(position) => wire.p = Some(URL_SAFE_NO_PAD.encode(position)),
        Progress::Sorted { keys, ordinal, digest } => {
            wire.k = Some(keys.iter().map(|key| key.iter().cloned().collect()).collect());
            wire.o = Some(*ordinal);
            wire.d = digest.map(|digest| URL_SAFE_NO_PAD.encode(digest));
        }
        Progress::Distinct(digests) => {
            wire.d = Some(URL_SAFE_NO_PAD.encode(digests.concat()));
        }
        Progress::Counted => {}
    }
    serde_json::to_vec(&wire).ok().map(|json| URL_SAFE_NO_PAD.encode(json))
}

/// Reads a token back; it must be one of a query with this digest.
pub(super) fn decode(query: &ValueDigest, token: &str) -> Result<Continuation, QueryError> {
    let malformed = || QueryError::new("the continuation token is malformed");
    if token.len() > TOKEN_BYTES_MAX {
        return Err(malformed());
    }
    let json = URL_SAFE_NO_PAD.decode(token).map_err(|_| malformed())?;
    let wire: Wire = serde_json::from_slice(&json).map_err(|_| malformed())?;
    if wire.v != VERSION {
        return Err(QueryError::new(format!(
            "the continuation token has version {}, not {VERSION}",
            wire.v
        )));
    }
    if wire.q != URL_SAFE_NO_PAD.encode(query) {
        return Err(QueryError::new("the continuation token belongs to another query"));
    }
    let digests = wire.d.as_deref().map(digests).transpose().map_err(|()| malformed())?;
    let progress = match (wire.p, wire.k, wire.o, digests) {
        (Some(position), None, None, None) => {
            Progress::Position(URL_SAFE_NO_PAD.decode(position).map_err(|_| malformed())?)
        }
        (None, Some(keys), Some(ordinal), digests) => {
            let keys: Option<Vec<Option<Value>>> =
                keys.into_iter().map(|mut key| (key.len() <= 1).then(|| key.pop())).collect();
            Progress::Sorted {
                keys: keys.ok_or_else(malformed)?,
                ordinal,
                digest: digests.and_then(|digests| digests.first().copied()),
            }
        }
        (None, None, None, Some(digests)) => Progress::Distinct(digests),
        (None, None, None, None) => Progress::Counted,
        _ => return Err(malformed()),
    };
    Ok(Continuation { progress, returned: wire.n })
}

fn digests(text: &str) -> Result<Vec<ValueDigest>, ()> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| ())?;
    let (digests, rest) = bytes.as_chunks();
    if rest.is_empty() { Ok(digests.to_vec()) } else { Err(()) }
}

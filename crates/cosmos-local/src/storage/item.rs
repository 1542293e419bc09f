//! Items as they are stored: a row is a header and the user's JSON, without system properties.
//!
//! System properties (`_rid`, `_self`, `_etag`, `_attachments`, `_ts`, `_lsn`) follow from where a row
//! stands, so they are written when an item is read and never stored.

use std::ops::Range;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::encoding::{Pointer, Reader};
use super::error::StorageError;
use super::{ContainerDefinition, container::Numbers};
use crate::key::{Epk, KeyError, PartitionKey};
use crate::rid;

/// Longest id of an item, in bytes of UTF-8 (the service: 1,023 bytes).
pub(crate) const ID_BYTES_MAX: usize = 1023;
/// Largest item, in bytes of JSON (the service: 2 MiB).
pub(crate) const ITEM_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Longest encoded partition key, in bytes (the service: 2,048 bytes of value).
const KEY_BYTES_MAX: usize = 4096;

const KIND_PUT: u8 = 1;
const KIND_DELETE: u8 = 2;

/// Properties that the endpoint owns; what a caller sends in them is dropped.
const SYSTEM_PROPERTIES: [&str; 5] = ["_rid", "_self", "_etag", "_attachments", "_ts"];

/// Why a document cannot be an item.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PrepareError {
    /// The body is not a JSON object.
    #[error("the item must be a JSON object")]
    NotAnObject,
    /// The `id` is missing or not usable.
    #[error("the item's id {0}")]
    Id(&'static str),
    /// The `ttl` property is not usable.
    #[error("the item's ttl must be -1 or a whole number of seconds from 1 to 2147483647")]
    Ttl,
    /// The partition key is not a scalar or too long.
    #[error("{0}")]
    Key(String),
    /// The item is larger than the service stores.
    #[error("the item has {size} bytes, the limit is {ITEM_BYTES_MAX}")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
}

impl From<KeyError> for PrepareError {
    fn from(error: KeyError) -> Self {
        Self::Key(error.to_string())
    }
}

/// A checked document with all that the engine derives from it before it is written.
#[derive(Debug)]
pub(crate) struct NewItem {
    /// Its partition key.
    pub(crate) key: PartitionKey,
    /// Its id.
    pub(crate) id: String,
    pub(super) body: Vec<u8>,
    /// Seconds to live; 0 = not given.
    pub(super) ttl: i32,
    pub(super) terms: Terms,
    /// The definition that `terms` follow; a replaced definition makes them stale.
    pub(super) generation: u64,
}

/// Index entries of one document, without what only its place decides.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Per unique key its encoded values.
    pub(crate) unique: Vec<Vec<u8>>,
    /// Path and value of each indexed path.
    pub(crate) paths: Vec<Vec<u8>>,
}

impl NewItem {
    /// Checks a document and derives key and terms.
    pub(crate) fn prepare(
        document: Value,
        definition: &ContainerDefinition,
        generation: u64,
    ) -> Result<Self, PrepareError> {
        let Value::Object(mut map) = document else {
            return Err(PrepareError::NotAnObject);
        };
        for name in SYSTEM_PROPERTIES {
            map.shift_remove(name);
        }
        let id = check_id(&map)?;
        let ttl = check_ttl(&map)?;
        let document = Value::Object(map);
        let key = PartitionKey::from_document(&document, &definition.partition_key_path)?;
        if key.encode().len() > KEY_BYTES_MAX {
            return Err(PrepareError::Key("the partition key is too long".to_owned()));
        }
        let terms = definition.terms(&document);
        let body = serde_json::to_vec(&document).map_err(|_| PrepareError::NotAnObject)?;
        if body.len() > ITEM_BYTES_MAX {
            return Err(PrepareError::TooLarge { size: body.len() });
        }
        Ok(Self { key, id, body, ttl, terms, generation })
    }

    /// How many values of the item are indexed.
    pub(crate) fn indexed(&self) -> usize {
        self.terms.paths.len() + self.terms.unique.len()
    }
}

fn check_id(map: &Map<String, Value>) -> Result<String, PrepareError> {
    let id = match map.get("id") {
        Some(Value::String(id)) => id,
        Some(_) => return Err(PrepareError::Id("must be a string")),
        None => return Err(PrepareError::Id("is missing")),
    };
    if id.is_empty() {
        return Err(PrepareError::Id("is empty"));
    }
    if id.len() > ID_BYTES_MAX {
        return Err(PrepareError::Id("is longer than 1023 bytes"));
    }
    if id.contains(['/', '\\', '?', '#']) {
        return Err(PrepareError::Id("must not contain '/', '\\', '?' or '#'"));
    }
    if id.ends_with(' ') {
        return Err(PrepareError::Id("must not end with a space"));
    }
    Ok(id.clone())
}

fn check_ttl(map: &Map<String, Value>) -> Result<i32, PrepareError> {
    match map.get("ttl") {
        None | Some(Value::Null) => Ok(0),
        Some(value) => {
            let ttl = value
                .as_i64()
                .or_else(|| whole_seconds(value))
                .and_then(|ttl| i32::try_from(ttl).ok());
            ttl.filter(|&ttl| ttl == -1 || ttl > 0).ok_or(PrepareError::Ttl)
        }
    }
}

#[allow(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "the range is checked first"
)]
fn whole_seconds(value: &Value) -> Option<i64> {
    let seconds = value.as_f64()?;
    (seconds.fract() == 0.0 && seconds.abs() <= f64::from(i32::MAX)).then_some(seconds as i64)
}

/// What a row says besides the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowHeader {
    /// Place of the item in the order of creation; kept when it is replaced.
    pub(crate) ordinal: u64,
    /// Unix seconds of the write.
    pub(crate) ts: u32,
    /// The document's `ttl`; 0 = none.
    pub(crate) ttl: i32,
    /// Hash of the partition key.
    pub(crate) epk: Epk,
    /// The row that this one replaces.
    pub(crate) previous: Option<Pointer>,
}

/// Writes a row; `body` is `None` for a delete.
pub(crate) fn encode_row(header: &RowHeader, key: &[u8], id: &str, body: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + key.len() + id.len() + body.map_or(0, <[u8]>::len));
    out.push(if body.is_some() { KIND_PUT } else { KIND_DELETE });
    out.extend_from_slice(&header.ordinal.to_be_bytes());
    out.extend_from_slice(&header.ts.to_be_bytes());
    out.extend_from_slice(&header.ttl.to_be_bytes());
    out.extend_from_slice(&header.epk.0);
    match header.previous {
        None => out.push(0),
        Some(pointer) => {
            out.push(1);
            out.extend_from_slice(&pointer.encode());
        }
    }
    push_short(key, &mut out);
    push_short(id.as_bytes(), &mut out);
    out.extend_from_slice(body.unwrap_or_default());
    out
}

/// Lengths are bounded by [`KEY_BYTES_MAX`] and [`ID_BYTES_MAX`], both below 64 KiB.
fn push_short(bytes: &[u8], out: &mut Vec<u8>) {
    let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(bytes);
}

/// One version of one item, as stored, with its place.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    numbers: Numbers,
    pointer: Pointer,
    header: RowHeader,
    row: Bytes,
    key: Range<usize>,
    id: Range<usize>,
    body: Option<usize>,
}

impl Item {
    /// Reads a row.
    pub(crate) fn decode(
        numbers: Numbers,
        pointer: Pointer,
        row: Bytes,
    ) -> Result<Self, StorageError> {
        let mut reader = Reader::new(&row);
        let kind = reader.u8()?;
        let (ordinal, ts, ttl, epk) = (reader.u64()?, reader.u32()?, reader.i32()?, reader.epk()?);
        let previous = match reader.u8()? {
            0 => None,
            1 => Some(Pointer { log: reader.u32()?, lsn: reader.u64()?, place: reader.u16()? }),
            other => return Err(StorageError::Corrupt(format!("row with link kind {other}"))),
        };
        let key_len = usize::from(reader.u16()?);
        let key = reader.take(key_len)?.len();
        let id_len = usize::from(reader.u16()?);
        let id = reader.take(id_len)?;
        if std::str::from_utf8(id).is_err() {
            return Err(StorageError::Corrupt("an item id is not UTF-8".to_owned()));
        }
        let body = row.len() - reader.rest().len();
        let id = body - id_len..body;
        let key = id.start - 2 - key..id.start - 2;
        let body = match kind {
            KIND_PUT => Some(body),
            KIND_DELETE => None,
            other => return Err(StorageError::Corrupt(format!("row of kind {other}"))),
        };
        let header = RowHeader { ordinal, ts, ttl, epk, previous };
        Ok(Self { numbers, pointer, header, row, key, id, body })
    }

    /// Place in the order of creation within the container; the tail of `_rid`.
    pub(crate) fn ordinal(&self) -> u64 {
        self.header.ordinal
    }

    /// LSN of the write in the partition that took it.
    pub(crate) fn lsn(&self) -> u64 {
        self.pointer.lsn
    }

    /// Unix seconds of the write.
    pub(crate) fn ts(&self) -> u64 {
        u64::from(self.header.ts)
    }

    /// The entity tag, in its quotes: it names the row, so every write has another.
    pub(crate) fn etag(&self) -> String {
        etag(self.numbers, self.pointer)
    }

    /// The item's id.
    pub(crate) fn id(&self) -> &str {
        self.row
            .get(self.id.clone())
            .and_then(|id| std::str::from_utf8(id).ok())
            .unwrap_or_default()
    }

    /// Hash of the partition key.
    pub(crate) fn epk(&self) -> Epk {
        self.header.epk
    }

    /// `_rid`.
    pub(crate) fn rid(&self) -> String {
        rid::item_rid(self.numbers.database, self.numbers.container, self.header.ordinal)
    }

    /// Size of the stored JSON in bytes.
    pub(crate) fn size(&self) -> usize {
        self.body_bytes().len()
    }

    /// Appends the item as clients see it: the user's properties in their order, then the system's.
    pub(crate) fn write_json(&self, out: &mut Vec<u8>, with_lsn: bool) {
        let body = self.body_bytes();
        let open = body.strip_suffix(b"}").unwrap_or(b"{");
        out.extend_from_slice(open);
        if open.len() > 1 {
            out.push(b',');
        }
        let Numbers { database, container } = self.numbers;
        let rid = self.rid();
        let (database, container) =
            (rid::database_rid(database), rid::container_rid(database, container));
        // An entity tag is hexadecimal in quotes: escaping it is putting a backslash before each quote.
        let etag = self.etag();
        let etag = etag.trim_matches('"');
        let system = format!(
            "\"_rid\":\"{rid}\",\"_self\":\"dbs/{database}/colls/{container}/docs/{rid}/\",\
             \"_etag\":\"\\\"{etag}\\\"\",\"_attachments\":\"attachments/\",\"_ts\":{}",
            self.header.ts
        );
        out.extend_from_slice(system.as_bytes());
        if with_lsn {
            out.extend_from_slice(format!(",\"_lsn\":{}", self.pointer.lsn).as_bytes());
        }
        out.push(b'}');
    }

    /// The item as a value, with system properties.
    pub(crate) fn value(&self) -> Result<Value, StorageError> {
        let mut json = Vec::with_capacity(self.size() + 256);
        self.write_json(&mut json, false);
        serde_json::from_slice(&json).map_err(|error| damaged_body(&error))
    }

    /// The user's document, without system properties.
    pub(crate) fn document(&self) -> Result<Value, StorageError> {
        serde_json::from_slice(self.body_bytes()).map_err(|error| damaged_body(&error))
    }

    pub(super) fn pointer(&self) -> Pointer {
        self.pointer
    }

    pub(super) fn header(&self) -> &RowHeader {
        &self.header
    }

    pub(super) fn key_bytes(&self) -> &[u8] {
        self.row.get(self.key.clone()).unwrap_or_default()
    }

    /// Whether the row records a delete.
    pub(super) fn is_delete(&self) -> bool {
        self.body.is_none()
    }

    /// When the item expires, in Unix seconds, under the container's default.
    pub(super) fn expires_at(&self, default_ttl: Option<i32>) -> Option<u32> {
        expires_at(self.header.ts, self.header.ttl, default_ttl)
    }

    /// Whether the item has expired by `now` (Unix seconds).
    pub(super) fn is_expired(&self, default_ttl: Option<i32>, now: u64) -> bool {
        self.expires_at(default_ttl).is_some_and(|at| u64::from(at) <= now)
    }

    fn body_bytes(&self) -> &[u8] {
        self.body.and_then(|start| self.row.get(start..)).unwrap_or_default()
    }
}

fn damaged_body(error: &serde_json::Error) -> StorageError {
    StorageError::Corrupt(format!("an item is not JSON ({:?})", error.classify()))
}

/// The entity tag of the row at `pointer`, in its quotes. It names the container too: one that is made
/// anew begins with the same rows.
fn etag(numbers: Numbers, pointer: Pointer) -> String {
    let (high, low) = (numbers.container >> 16, numbers.container & 0xFFFF);
    let Pointer { log, lsn, place } = pointer;
    format!("\"{log:08x}-{place:04x}-{high:04x}-{low:04x}-{lsn:012x}\"")
}

/// Time to live is off unless the container has a default; the item's own value wins over it.
pub(crate) fn expires_at(ts: u32, ttl: i32, default_ttl: Option<i32>) -> Option<u32> {
    let default = default_ttl?;
    let ttl = if ttl == 0 { default } else { ttl };
    u32::try_from(ttl).ok().map(|ttl| ts.saturating_add(ttl))
}

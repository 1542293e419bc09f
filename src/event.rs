//! Events: what a caller hands in and what the store hands back.
//!
//! A [`NewEvent`] is checked when it is made, so that everything which reaches the store can be
//! stored without change: numbers that binary64 cannot hold, duplicate keys and JSON that is
//! nested too deeply are refused here, with a JSON pointer. A [`RecordedEvent`] is what was
//! stored. This module knows nothing of Cosmos DB and does no IO.

mod canonical;
mod hash;
mod id;
mod input;
mod json;
mod kind;
mod metadata;
mod new;
mod object;
mod recorded;
mod time;

pub(crate) use self::{
    canonical::{is_same_json, write_infallibly},
    hash::content_hash,
    json::{check as check_json, restore_integers},
    object::{Object, optional as optional_object},
    recorded::Fields,
    time::{format_timestamp, parse_timestamp, whole_microseconds},
};
pub use self::{
    hash::ContentHash,
    id::EventId,
    input::{BadInput, JsonProblem, Part},
    kind::EventType,
    metadata::Metadata,
    new::NewEvent,
    recorded::{Commit, RecordedEvent},
};

/// The longest event type, in characters.
pub const EVENT_TYPE_CHARS_MAX: usize = 256;
/// The most bytes that the compact JSON of an event's data may have. One document may have 2 MiB
/// with everything in it, and a batch no more; half of that leaves room for the rest.
pub const DATA_BYTES_MAX: usize = 1024 * 1024;
/// The most bytes that the compact JSON of an event's metadata may have: metadata describes the
/// event, and is sent again with each.
pub const METADATA_BYTES_MAX: usize = 64 * 1024;
/// How deeply data and metadata may be nested. Readers of JSON stop at 128 levels, and an answer of
/// the service wraps an event in a few of its own.
pub const JSON_DEPTH_MAX: usize = 100;

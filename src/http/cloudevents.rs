//! Events as `CloudEvents` 1.0 has them, in its JSON format.
//!
//! On the way in, what has a place in the store goes there, and every other attribute is kept under
//! `custom` of the metadata: nothing is lost in silence. Data is JSON; base64 is refused.

mod read;
mod write;

use serde_json::Value;
use utoipa::ToSchema;
use uuid::{Uuid, uuid};

pub(crate) use self::{
    read::{read_batch, read_one},
    write::CloudEvent,
};

/// The only version of the specification that is understood.
const SPEC_VERSION: &str = "1.0";
/// The namespace of the ids (UUID version 5) of events whose id is no UUID. Their name is the source and
/// the id, with a line feed between them: the two together are what is unique.
const EVENT_ID_NAMESPACE: Uuid = uuid!("5e680334-35b9-54d8-b538-811c666f50a4");

/// An event as `CloudEvents` has it. Other attributes may follow: lower-case letters and digits, with a
/// string, an integer or a boolean as value.
#[derive(ToSchema)]
#[schema(as = CloudEvent, example = json!({
    "specversion": "1.0",
    "id": "A-1",
    "source": "/quotes",
    "type": "QuoteInitiated",
    "data": {"country": "IN"},
}))]
#[allow(dead_code, reason = "the description of what is read and written by hand")]
pub(crate) struct CloudEventSchema {
    /// `1.0`.
    #[schema(pattern = "^1\\.0$")]
    specversion: String,
    /// The id of the event: a UUID is taken as it is, anything else together with the source.
    #[schema(min_length = 1)]
    id: String,
    /// Where it comes from. In answers the path of the stream.
    #[schema(min_length = 1)]
    source: String,
    /// What happened.
    #[schema(min_length = 1, max_length = 256, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    r#type: String,
    /// What it is about. In answers the id of the stream.
    #[schema(min_length = 1)]
    subject: Option<String>,
    /// When it happened.
    #[schema(format = DateTime)]
    time: Option<String>,
    /// A type of JSON; `application/json` is meant where it is missing.
    #[schema(pattern = "^[^/]+/([^/]+[+])?[Jj][Ss][Oo][Nn] *(;.*)?$")]
    datacontenttype: Option<String>,
    /// The data, any JSON; `null` unless it is given.
    #[schema(required = false)]
    data: Value,
    /// The version of the schema of the data.
    #[schema(minimum = 1, maximum = 2_147_483_647)]
    schemaversion: Option<u32>,
    /// What all events of one business transaction share.
    correlationid: Option<String>,
    /// The command or event that caused this one.
    causationid: Option<String>,
    /// Who did it.
    actor: Option<String>,
    /// The W3C trace context's `traceparent`.
    traceparent: Option<String>,
    /// The W3C trace context's `tracestate`.
    tracestate: Option<String>,
}

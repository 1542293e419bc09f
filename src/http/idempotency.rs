//! Idempotency keys: what makes a request without event ids repeatable.

use axum::http::{HeaderMap, HeaderName};
use uuid::{Uuid, uuid};

use super::{limits::IDEMPOTENCY_KEY_CHARS_MAX, problem::Problem};
use crate::{event::EventId, stream::StreamId};

/// The header that has the key.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The namespace of the ids (UUID version 5) of events that come with an idempotency key and without an
/// id. Their name is the stream id, the key and the place in the request, counted from 0, with a line
/// feed between them.
pub const EVENT_ID_NAMESPACE: Uuid = uuid!("4c0c36d7-e259-599d-b6c5-e932d411dc24");

/// The client's name for a request, the same when it repeats it.
#[derive(Debug, Clone)]
pub(crate) struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key of a request, if it has one.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let name = "idempotency-key";
        if values.next().is_some() {
            return Err(Problem::header(name, "given twice"));
        }
        let is_fit = (1..=IDEMPOTENCY_KEY_CHARS_MAX).contains(&value.len())
            && value.as_bytes().iter().all(u8::is_ascii_graphic);
        match value.to_str() {
            Ok(key) if is_fit => Ok(Some(Self(key.to_owned()))),
            _ => {
                let max = IDEMPOTENCY_KEY_CHARS_MAX;
                let detail = format!("1 to {max} visible ASCII characters without spaces");
                Err(Problem::header(name, detail))
            }
        }
    }

    /// The id of the event at this place of the request.
    pub(crate) fn event_id(&self, stream: &StreamId, index: usize) -> EventId {
        EventId::derived(EVENT_ID_NAMESPACE, &format!("{stream}\n{}\n{index}", self.0))
    }

    /// The key as text, for commands, whose ids follow from it in another way.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

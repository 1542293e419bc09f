//! What happens to a quote, and how it is stored.
//!
//! Who and when travel in the envelope: `by` is the actor of the metadata, `at` is when the event
//! occurred. The names and versions are stored, so they outlive the code; every version of each has a
//! frozen example in `tests/fixtures/quotes`.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    status::Status,
    stored::{Contact, Family, Geographic, Offer},
    values::Actor,
};
use crate::{
    aggregate::{DecodeError, DomainEvent, EncodeError, EventSchema, UpcastError, Upcaster},
    event::{Metadata, NewEvent, RecordedEvent},
};

/// The names of a quote's events with their versions, and the way from old versions.
pub static SCHEMA: EventSchema = EventSchema::new(&[
    ("QuoteInitiated", 1),
    ("GeographicDetailsSet", 1),
    ("ContactDetailsSet", 1),
    ("FamilyDetailsSet", 2),
    ("QuoteSaved", 1),
    ("QuoteFinalized", 1),
    ("QuoteApproved", 1),
    ("QuoteRejected", 1),
    ("QuoteWithdrawn", 1),
    ("QuoteExpired", 1),
])
.upcasting(&[Upcaster::new("FamilyDetailsSet", 1, count_dependants)]);

/// Something that happened to a quote: who did it, when, and what.
///
/// Its `Debug` shows the name of the change and not its data.
#[derive(Debug, Clone, PartialEq)]
pub struct QuoteEvent {
    /// Who did it.
    pub by: Actor,
    /// When, in whole microseconds.
    pub at: Timestamp,
    /// What happened.
    pub change: Change,
}

/// What happened.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum Change {
    /// Somebody asked for a quote.
    QuoteInitiated {
        /// Which product.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        product: Option<String>,
        /// Where, for example `web`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        channel: Option<String>,
    },
    /// The customer said where they live.
    GeographicDetailsSet(Geographic),
    /// The customer said how to reach them.
    ContactDetailsSet(Contact),
    /// The customer said who is insured with them.
    FamilyDetailsSet(Family),
    /// What was entered so far was saved.
    QuoteSaved {
        /// The page that it was saved on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        page: Option<String>,
    },
    /// The details are complete, and an offer was made.
    QuoteFinalized(Offer),
    /// The offer became a policy.
    QuoteApproved {
        /// The number of the policy.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        policy_number: Option<String>,
    },
    /// The insurer does not want it.
    QuoteRejected {
        /// Why.
        reason: String,
    },
    /// The customer does not want it.
    QuoteWithdrawn {
        /// Why, where they said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Nobody did anything for too long.
    QuoteExpired {
        /// How long that is, in days.
        after_days: u64,
    },
}

impl Change {
    /// The name that it is stored under.
    pub fn name(&self) -> &'static str {
        match self {
            Self::QuoteInitiated { .. } => "QuoteInitiated",
            Self::GeographicDetailsSet(_) => "GeographicDetailsSet",
            Self::ContactDetailsSet(_) => "ContactDetailsSet",
            Self::FamilyDetailsSet(_) => "FamilyDetailsSet",
            Self::QuoteSaved { .. } => "QuoteSaved",
            Self::QuoteFinalized(_) => "QuoteFinalized",
            Self::QuoteApproved { .. } => "QuoteApproved",
            Self::QuoteRejected { .. } => "QuoteRejected",
            Self::QuoteWithdrawn { .. } => "QuoteWithdrawn",
            Self::QuoteExpired { .. } => "QuoteExpired",
        }
    }

    /// Where the quote stands behind it, where it changes that.
    pub(super) fn leads_to(&self) -> Option<Status> {
        match self {
            Self::QuoteInitiated { .. } => Some(Status::Initiated),
            Self::GeographicDetailsSet(_)
            | Self::ContactDetailsSet(_)
            | Self::FamilyDetailsSet(_) => None,
            Self::QuoteSaved { .. } => Some(Status::Saved),
            Self::QuoteFinalized(_) => Some(Status::Finalized),
            Self::QuoteApproved { .. } => Some(Status::Approved),
            Self::QuoteRejected { .. } => Some(Status::Rejected),
            Self::QuoteWithdrawn { .. } => Some(Status::Withdrawn),
            Self::QuoteExpired { .. } => Some(Status::Expired),
        }
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl DomainEvent for QuoteEvent {
    fn encode(&self) -> Result<NewEvent, EncodeError> {
        let metadata = Metadata::default().with_actor(self.by.as_str());
        Ok(SCHEMA.encode(&self.change)?.with_metadata(metadata)?.with_occurred_at(self.at)?)
    }

    /// An event that this program does not know is an error: to decide about money on half of what
    /// has happened is wrong.
    fn decode(event: &RecordedEvent) -> Result<Option<Self>, DecodeError> {
        let by = Actor::recorded(event.metadata().actor.as_deref());
        let at = event.occurred_at();
        Ok(SCHEMA.decode_or_fail(event)?.map(|change| Self { by, at, change }))
    }
}

/// The largest whole number that every reader of JSON has exactly.
const COUNT_MAX: u64 = (1 << 53) - 1;

/// Version 1 counted adults, the policy holder among them; version 2 counts who depends on the
/// policy holder.
fn count_dependants(data: Value) -> Result<Value, UpcastError> {
    let Value::Object(mut fields) = data else {
        return Err(UpcastError::new("it is not an object"));
    };
    let number = |field: Option<&Value>| field.and_then(Value::as_u64);
    let adults = fields.shift_remove("adults");
    let adults = number(adults.as_ref()).ok_or(UpcastError::new("adults is not a whole number"))?;
    let children =
        number(fields.get("children")).ok_or(UpcastError::new("children is not a whole number"))?;
    // No adult at all was never right, but it can have been stored, and so can more of them than a number
    // of JSON counts.
    let dependants = adults.saturating_sub(1).saturating_add(children).min(COUNT_MAX);
    fields.insert("dependants".to_owned(), dependants.into());
    Ok(Value::Object(fields))
}

#[cfg(test)]
mod tests;

//! What readers see of a quote.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    command::ActionKind,
    event::QuoteEvent,
    quote::Quote,
    status::{Section, Status},
    stored::{Contact, Family, Geographic, Offer},
    time,
    values::Actor,
};
use crate::aggregate::{DomainEvent, EncodeError};

/// All of a quote. Its `Debug` shows the id and the version only.
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct QuoteView {
    /// Its id, which is the id of its stream.
    pub quote_id: String,
    /// The sequence number of its last event.
    pub version: u64,
    /// Where it stands.
    pub status: Status,
    /// Which product.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// Where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Where the customer lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub geographic: Option<Geographic>,
    /// How to reach the customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<Contact>,
    /// Who is insured besides the policy holder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// What is offered, once it is finalized.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offer: Option<Offer>,
    /// The number of the policy, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_number: Option<String>,
    /// Why it was rejected or withdrawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether details were set since the last save.
    pub has_unsaved_changes: bool,
    /// The sections without which it cannot be finalized.
    pub missing: Vec<Section>,
    /// When it was initiated.
    #[serde(with = "time")]
    pub initiated_at: Timestamp,
    /// Who initiated it.
    pub initiated_by: Actor,
    /// When its last event happened.
    #[serde(with = "time")]
    pub changed_at: Timestamp,
    /// Who did that.
    pub changed_by: Actor,
}

impl QuoteView {
    /// The view of a quote at a version, or nothing when there is no quote.
    pub fn new(quote_id: impl Into<String>, version: u64, quote: &Quote) -> Option<Self> {
        let changed = quote.changed.clone()?;
        // A history that was imported without its beginning begins with what is there.
        let initiated = quote.initiated.clone().unwrap_or_else(|| changed.clone());
        let missing = quote.missing();
        let quote = quote.clone();
        Some(Self {
            quote_id: quote_id.into(),
            version,
            status: quote.status,
            product: quote.product,
            channel: quote.channel,
            geographic: quote.geographic,
            contact: quote.contact,
            family: quote.family,
            offer: quote.offer,
            policy_number: quote.policy_number,
            reason: quote.reason,
            has_unsaved_changes: quote.has_unsaved_changes,
            missing,
            initiated_at: initiated.at,
            initiated_by: initiated.by,
            changed_at: changed.at,
            changed_by: changed.by,
        })
    }
}

impl std::fmt::Debug for QuoteView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QuoteView")
            .field("quote_id", &self.quote_id)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// Where a quote stands, and what can be done with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct StatusView {
    /// Its id, which is the id of its stream.
    pub quote_id: String,
    /// The sequence number of its last event.
    pub version: u64,
    /// Where it stands.
    pub status: Status,
    /// The sections without which it cannot be finalized.
    pub missing: Vec<Section>,
    /// What it would do now. A command of another kind is rejected.
    pub actions: Vec<ActionKind>,
}

impl StatusView {
    /// The view of a quote at a version, with the actions that are possible at a time; or nothing when
    /// there is no quote.
    pub fn new(
        quote_id: impl Into<String>,
        version: u64,
        quote: &Quote,
        at: Timestamp,
    ) -> Option<Self> {
        quote.changed.as_ref()?;
        let actions = ActionKind::ALL.into_iter().filter(|kind| quote.permits(*kind, at).is_ok());
        Some(Self {
            quote_id: quote_id.into(),
            version,
            status: quote.status(),
            missing: quote.missing(),
            actions: actions.collect(),
        })
    }
}

/// An event of a quote as readers see it: data of an old version is shown as the current one.
///
/// Its `Debug` does not show the data.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct HistoryEntry {
    /// Its place in the stream, counted from 1.
    pub sequence_number: u64,
    /// Its type.
    pub r#type: String,
    /// Who did it.
    pub by: Actor,
    /// When it happened.
    #[serde(with = "time")]
    pub at: Timestamp,
    /// Where the quote stood before it.
    pub from_status: Status,
    /// Where the quote stood behind it.
    pub to_status: Status,
    /// What happened, in detail, where that is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl HistoryEntry {
    /// The entry for the event in a place, of a quote that stood so before it: without data.
    pub fn new(sequence_number: u64, event: &QuoteEvent, before: Status) -> Self {
        Self {
            sequence_number,
            r#type: event.change.name().to_owned(),
            by: event.by.clone(),
            at: event.at,
            from_status: before,
            to_status: event.change.leads_to().unwrap_or(before),
            data: None,
        }
    }

    /// The same with the data of the event.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] for an event that could not be stored; one that was read from the store can.
    pub fn with_data(mut self, event: &QuoteEvent) -> Result<Self, EncodeError> {
        self.data = Some(event.encode()?.data().clone());
        Ok(self)
    }
}

impl std::fmt::Debug for HistoryEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HistoryEntry")
            .field("sequence_number", &self.sequence_number)
            .field("type", &self.r#type)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

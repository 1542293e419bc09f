//! Each quote as it is now.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{decode, definition, region};
use crate::{
    aggregate::Aggregate as _,
    event::RecordedEvent,
    projection::{Definition, Unreadable, ViewKey, Views},
    quotes::{Quote, QuoteEvent, Status, time},
};

/// A view for each quote: the quote itself, and by what it is found.
#[derive(Debug, Clone, Copy, Default)]
pub struct QuoteDetails;

/// A quote with what it is found by. [`QuoteView`](crate::quotes::QuoteView) and
/// [`StatusView`](crate::quotes::StatusView) are made from the quote, and [`QuoteRow`] from the whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct QuoteDetailsView {
    /// Where the customer lives: country and state, such as `IN-KA`; `-` as long as that is not known.
    pub region: String,
    /// The quote.
    pub quote: Quote,
}

impl QuoteDetails {
    /// Its name.
    pub const NAME: &'static str = "quote-details";
    /// The field with the status, by its name.
    pub const STATUS: &'static str = "status";
    /// The field with the time of the last event.
    pub const CHANGED_AT: &'static str = "changedAt";
    /// The field with the time at which it was initiated.
    pub const INITIATED_AT: &'static str = "initiatedAt";
    /// The field with the region.
    pub const REGION: &'static str = "region";
    /// The field with the product.
    pub const PRODUCT: &'static str = "product";
}

impl Views for QuoteDetails {
    type Event = QuoteEvent;
    type View = QuoteDetailsView;

    fn definition(&self) -> Definition {
        definition(Self::NAME, 1)
            .with_field(Self::STATUS, "/quote/status")
            .with_field(Self::CHANGED_AT, "/quote/changed/at")
            .with_field(Self::INITIATED_AT, "/quote/initiated/at")
            .with_field(Self::REGION, "/region")
            .with_field(Self::PRODUCT, "/quote/product")
    }

    fn decode(&self, event: &RecordedEvent) -> Result<Option<QuoteEvent>, Unreadable> {
        decode(event)
    }

    fn change(
        &self,
        _: &ViewKey,
        view: Option<QuoteDetailsView>,
        event: &QuoteEvent,
        _: &RecordedEvent,
    ) -> Option<QuoteDetailsView> {
        let quote = view.map_or_else(Quote::initial, |view| view.quote).evolve(event);
        Some(QuoteDetailsView { region: region(quote.geographic.as_ref()), quote })
    }
}

/// A quote in a list: no names and no addresses.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct QuoteRow {
    /// Its id, which is the id of its stream.
    pub quote_id: String,
    /// The sequence number of its last event.
    pub version: u64,
    /// Where it stands.
    pub status: Status,
    /// Which product.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// Country and state, such as `IN-KA`; `-` as long as that is not known.
    pub region: String,
    /// When it was initiated.
    #[serde(with = "time")]
    pub initiated_at: Timestamp,
    /// When its last event happened.
    #[serde(with = "time")]
    pub changed_at: Timestamp,
}

impl QuoteRow {
    /// The row of a quote at a version, or nothing when there is no quote.
    pub fn new(quote_id: impl Into<String>, version: u64, view: QuoteDetailsView) -> Option<Self> {
        let QuoteDetailsView { region, quote } = view;
        let changed_at = quote.changed?.at;
        let initiated_at = quote.initiated.map_or(changed_at, |initiated| initiated.at);
        let (quote_id, status, product) = (quote_id.into(), quote.status, quote.product);
        Some(Self { quote_id, version, status, product, region, initiated_at, changed_at })
    }
}

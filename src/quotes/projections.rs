//! Read models of quotes: each quote as it is, its history, and what came of the quotes of a day.
//!
//! All three take the events of quotes and no others. They are pure, as the rest of the domain is; an event that
//! a quote cannot have parks its stream with the reason, and the rest goes on. `docs/quotes.md` has them on
//! one page.

mod days;
mod details;
mod history;

pub use self::{
    days::{DaySummary, PREMIUM_MAX, QuoteDays, QuoteDaysState},
    details::{QuoteDetails, QuoteDetailsView, QuoteRow},
    history::{HISTORY_ENTRIES_MAX, QuoteHistory, QuoteHistoryView},
};
use super::{
    event::{QuoteEvent, SCHEMA},
    stored::Geographic,
};
use crate::{
    aggregate::DomainEvent as _,
    event::RecordedEvent,
    projection::{Catalog, Definition, InvalidDefinition, Unreadable},
};

/// The most characters of a region: with a day it fits into the key of a total. Regions that came by a command
/// have fewer.
const REGION_CHARACTERS_MAX: usize = 110;
/// Stands for a region that is not known.
const REGION_UNKNOWN: &str = "-";

/// The projections of this program: the pair that works for any log, and those of quotes.
///
/// ```
/// let catalog = cosmos_event_store::quotes::projections::catalog()?;
/// let names: Vec<&str> = catalog.names().collect();
/// assert_eq!(
///     names,
///     ["quote-days", "quote-details", "quote-history", "stream-summary", "type-totals"]
/// );
/// # Ok::<(), cosmos_event_store::projection::InvalidDefinition>(())
/// ```
///
/// # Errors
///
/// None in this version.
pub fn catalog() -> Result<Catalog, InvalidDefinition> {
    Catalog::generic()?.with_views(QuoteDetails)?.with_views(QuoteHistory)?.with_totals(QuoteDays)
}

/// A projection of the events of quotes.
fn definition(name: &str, version: u32) -> Definition {
    Definition::new(name, version).taking(SCHEMA.types().iter().map(|(name, _)| *name))
}

fn decode(event: &RecordedEvent) -> Result<Option<QuoteEvent>, Unreadable> {
    Ok(QuoteEvent::decode(event)?)
}

/// Where the customer lives: the country, and the state where there is one. What was imported may be any text,
/// so it is cut to what a key may be.
fn region(geographic: Option<&Geographic>) -> String {
    let Some(Geographic { country, state, .. }) = geographic else {
        return REGION_UNKNOWN.to_owned();
    };
    let state = state.as_deref().filter(|state| !state.is_empty());
    let parts = [Some(country.as_str()), state];
    let region = parts.into_iter().flatten().collect::<Vec<_>>().join("-");
    let fit = |c: char| if c.is_control() { '?' } else { c };
    let region: String = region.chars().map(fit).take(REGION_CHARACTERS_MAX).collect();
    if region.is_empty() { REGION_UNKNOWN.to_owned() } else { region }
}

#[cfg(test)]
mod tests;

//! What came of the quotes of a day, by region.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{REGION_UNKNOWN, decode, definition, region};
use crate::{
    event::{RecordedEvent, format_timestamp},
    projection::{Adds, Definition, Total, Totals, Unreadable},
    quotes::{Change, QuoteEvent, Status, stored::Premium},
};

/// The largest premium of a year that is added up, in whole units of its currency. Whatever somebody enters,
/// the sums stay numbers that every reader of JSON has exactly.
pub const PREMIUM_MAX: u64 = 1_000_000_000;
/// Stands between the day and the region of a key.
const SEPARATOR: char = '|';
/// The characters of a day.
const DAY_CHARACTERS: usize = 10;
/// The measure with the number of quotes.
const QUOTES: &str = "quotes";
/// The measure with the policies whose premium is in no sum.
const NOT_ADDED: &str = "premiumsNotAdded";
/// What the measures with sums of premiums begin with; the currency follows.
const PREMIUM: &str = "premium-";

/// A total for each day and region: the quotes that were initiated on that day, where they stand now, and the
/// premiums of those that became policies.
#[derive(Debug, Clone, Copy, Default)]
pub struct QuoteDays;

/// What has to be known of a quote for it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuoteDaysState {
    /// When it was initiated: a day in UTC.
    day: Option<String>,
    region: Option<String>,
    status: Option<Status>,
    premium: Option<Premium>,
}

impl QuoteDays {
    /// Its name.
    pub const NAME: &'static str = "quote-days";
}

impl Totals for QuoteDays {
    type Event = QuoteEvent;
    type State = QuoteDaysState;

    fn definition(&self) -> Definition {
        // There are few days and regions, and a list asks every shard.
        definition(Self::NAME, 1).sharded(4)
    }

    fn decode(&self, event: &RecordedEvent) -> Result<Option<QuoteEvent>, Unreadable> {
        decode(event)
    }

    fn evolve(
        &self,
        mut state: QuoteDaysState,
        event: &QuoteEvent,
        _: &RecordedEvent,
    ) -> QuoteDaysState {
        state.status = event.change.leads_to().or(state.status);
        match &event.change {
            Change::QuoteInitiated { .. } => {
                state.day = Some(format_timestamp(event.at).chars().take(DAY_CHARACTERS).collect());
            }
            Change::GeographicDetailsSet(geographic) => {
                state.region = Some(region(Some(geographic)));
            }
            Change::QuoteFinalized(offer) => state.premium.clone_from(&offer.premium),
            _ => {}
        }
        state
    }

    fn adds(&self, _: &str, state: &QuoteDaysState) -> Adds {
        let mut adds = Adds::default();
        // A history that was imported without its beginning belongs to no day.
        let (Some(day), Some(status)) = (&state.day, state.status) else { return adds };
        let region = state.region.as_deref().unwrap_or(REGION_UNKNOWN);
        let adding = adds.to(format!("{day}{SEPARATOR}{region}"));
        let adding = adding.count(QUOTES, 1).count(status.as_str(), 1);
        if status == Status::Approved
            && let Some(premium) = &state.premium
        {
            match per_year(premium) {
                Some(amount) => adding.sum(&format!("{PREMIUM}{}", premium.currency), amount),
                None => adding.count(NOT_ADDED, 1),
            };
        }
        adds
    }
}

/// What is paid in a year, where it can be added to others.
fn per_year(premium: &Premium) -> Option<i64> {
    let payments = match premium.period.as_str() {
        "month" => 12,
        "quarter" => 4,
        "year" => 1,
        _ => return None,
    };
    let is_currency =
        premium.currency.len() == 3 && premium.currency.bytes().all(|b| b.is_ascii_uppercase());
    let amount = premium.amount.checked_mul(payments).filter(|amount| *amount <= PREMIUM_MAX)?;
    i64::try_from(amount).ok().filter(|_| is_currency)
}

/// What came of the quotes of a day and a region.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DaySummary {
    /// The day on which the quotes were initiated, in UTC.
    pub day: String,
    /// Country and state, such as `IN-KA`; `-` for quotes of which that is not known.
    pub region: String,
    /// How many quotes there are.
    pub quotes: i64,
    /// How many of them stand where, without those that are zero.
    pub statuses: BTreeMap<&'static str, i64>,
    /// The part of them that became policies, from 0 to 1.
    pub conversion: f64,
    /// What the policies cost in a year, by currency, in whole units.
    pub premiums: BTreeMap<String, i64>,
    /// The policies whose premium is in no sum: above [`PREMIUM_MAX`] a year, or not understood.
    pub premiums_not_added: i64,
}

impl DaySummary {
    /// The summary of a total of [`QuoteDays`]; nothing for one that is none of it.
    pub fn new(key: &str, total: &Total) -> Option<Self> {
        let (day, region) = key.split_once(SEPARATOR)?;
        let shown = total.shown();
        let number = |name: &str| shown.get(name).and_then(serde_json::Value::as_i64).unwrap_or(0);
        let quotes = number(QUOTES);
        let statuses =
            Status::ALL.into_iter().map(|status| (status.as_str(), number(status.as_str())));
        let statuses: BTreeMap<_, _> = statuses.filter(|(_, count)| *count != 0).collect();
        let premiums = shown
            .keys()
            .filter_map(|name| Some((name.strip_prefix(PREMIUM)?.to_owned(), number(name))));
        Some(Self {
            day: day.to_owned(),
            region: region.to_owned(),
            quotes,
            statuses,
            conversion: ratio(number(Status::Approved.as_str()), quotes),
            premiums: premiums.collect(),
            premiums_not_added: number(NOT_ADDED),
        })
    }
}

/// A part of a whole, with four digits.
fn ratio(part: i64, whole: i64) -> f64 {
    let ten_thousandths = part.saturating_mul(10_000).checked_div(whole).unwrap_or(0);
    i32::try_from(ten_thousandths).map_or(0.0, |number| f64::from(number) / 10_000.0)
}

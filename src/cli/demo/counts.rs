//! The read models against counts of what was made up.

use std::collections::BTreeMap;

use serde::Serialize;

use super::log::Expected;
use crate::{
    cli::CliError,
    projection::{
        List, Measure, ReadModels, TotalsList,
        generic::{StreamSummary, TypeTotals},
    },
    quotes::projections::{QuoteDays, QuoteDetails},
};

/// The views of a page.
const PAGE: u32 = 1000;

/// Something that was counted twice: from what was made up, and by a read model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Count {
    pub(super) what: String,
    pub(super) expected: u64,
    pub(super) found: u64,
}

/// Counts the same in the read models as in what was made up.
pub(super) async fn counts(
    read_models: &ReadModels,
    expected: &Expected,
) -> Result<Vec<Count>, CliError> {
    let mut counts = Vec::new();
    let found = views(read_models, StreamSummary::NAME, List::new()).await?;
    counts.push(Count { what: "quotes".to_owned(), expected: expected.streams, found });
    let mut types = event_types(read_models).await?;
    for (name, expected) in &expected.types {
        let found = types.remove(name).unwrap_or_default();
        counts.push(Count { what: format!("events {name}"), expected: *expected, found });
    }
    let extra = types.into_iter().map(|(name, found)| Count {
        what: format!("events {name}"),
        expected: 0,
        found,
    });
    counts.extend(extra);
    for (name, expected) in &expected.last_types {
        let list = List::new().filter("lastType", name.as_str());
        let found = views(read_models, StreamSummary::NAME, list).await?;
        counts.push(Count { what: format!("quotes ending in {name}"), expected: *expected, found });
    }
    let days = statuses_of_days(read_models).await?;
    for (status, expected) in &expected.statuses {
        let list = List::new().filter(QuoteDetails::STATUS, status.as_str());
        let found = views(read_models, QuoteDetails::NAME, list).await?;
        counts.push(Count { what: format!("quotes {status}"), expected: *expected, found });
        let found = days.get(status).copied().unwrap_or_default();
        let what = format!("quotes {status}, by day");
        counts.push(Count { what, expected: *expected, found });
    }
    Ok(counts)
}

/// How many views a list has.
async fn views(read_models: &ReadModels, name: &str, list: List) -> Result<u64, CliError> {
    let list = list.limit(PAGE);
    let mut page = read_models.list(name, &list).await?;
    let mut count: u64 = 0;
    loop {
        count = count.saturating_add(u64::try_from(page.items.len()).unwrap_or(u64::MAX));
        let Some(next) = page.next else { return Ok(count) };
        page = read_models.list(name, &list.clone().after(next)).await?;
    }
}

/// The quotes by their status, added up over all days and regions.
async fn statuses_of_days(read_models: &ReadModels) -> Result<BTreeMap<String, u64>, CliError> {
    let mut statuses: BTreeMap<String, u64> = BTreeMap::new();
    let list = TotalsList::new().limit(PAGE);
    let mut page = read_models.totals(QuoteDays::NAME, &list).await?;
    loop {
        for (name, measure) in page.items.iter().flat_map(|(_, total)| &total.measures) {
            let count = statuses.entry(name.clone()).or_default();
            *count = count.saturating_add(number(measure));
        }
        let Some(next) = page.next else { return Ok(statuses) };
        page = read_models.totals(QuoteDays::NAME, &list.clone().after(next)).await?;
    }
}

fn number(measure: &Measure) -> u64 {
    match measure {
        Measure::Count(number) => u64::try_from(*number).unwrap_or_default(),
        _ => 0,
    }
}

/// The events by their type.
async fn event_types(read_models: &ReadModels) -> Result<BTreeMap<String, u64>, CliError> {
    let page = read_models.totals(TypeTotals::NAME, &TotalsList::new().limit(PAGE)).await?;
    let count = |total: &crate::projection::Total| total.measures.get("events").map_or(0, number);
    Ok(page.items.into_iter().map(|(key, total)| (key, count(&total))).collect())
}

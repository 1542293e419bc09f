//! Every view against a fold of the quote, however the events are delivered, and the edges of each view.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    aggregate::Aggregate as _,
    event::{NewEvent, format_timestamp},
    projection::{
        Document, Kind, Projection, ProjectionHandler, Totals as _, ViewKey, Views as _,
        memory::{MemoryHistory, MemoryViews, Weather},
    },
    quotes::{
        ActionKind, Change, HistoryEntry, Quote, Status,
        examples::{at, change, event, events, recorded, recorded_in},
        quote::properties::histories,
        stored::{Offer, Premium},
    },
};

/// The events of a stream as the store gives them back.
fn stored(stream: &str, events: &[QuoteEvent]) -> Vec<RecordedEvent> {
    let place = |(n, event): (u64, &QuoteEvent)| recorded_in(stream, &event.encode().unwrap(), n);
    (1..).zip(events).map(place).collect()
}

fn fold(events: &[QuoteEvent]) -> Quote {
    events.iter().fold(Quote::initial(), Quote::evolve)
}

/// What a projection makes of streams: each is delivered once from its middle on, where what is missing is read,
/// and once more as a whole, in parts.
async fn made(
    projection: Projection,
    streams: &BTreeMap<String, Vec<RecordedEvent>>,
) -> Vec<Document> {
    let (views, history) = (MemoryViews::new(Weather::fine(1)), MemoryHistory::default());
    for events in streams.values() {
        history.store(events.clone());
    }
    let handler = || {
        let (views, history) = (Arc::new(views.clone()), Arc::new(history.clone()));
        ProjectionHandler::new(projection.clone(), 1, views, history)
    };
    let (one, other) = (handler(), handler());
    for (stream, events) in streams {
        one.apply(stream, events[events.len() / 2..].to_vec()).await.unwrap();
    }
    for (stream, events) in streams {
        for part in events.chunks(3) {
            other.apply(stream, part.to_vec()).await.unwrap();
        }
    }
    assert_eq!(other.applied().events, 0, "an event counts twice");
    views.peek()
}

/// Documents of a kind, by stream.
fn of_kind(documents: &[Document], kind: Kind) -> BTreeMap<String, &Document> {
    let found = documents.iter().filter(|document| document.kind == kind);
    found.map(|document| (document.stream.clone().unwrap(), document)).collect()
}

/// All totals, merged by what is shown of them.
fn totals(documents: &[Document]) -> BTreeMap<String, BTreeMap<String, i64>> {
    let mut all: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    for document in documents.iter().filter(|document| document.kind == Kind::Total) {
        let of_key = all.entry(document.key.clone().unwrap()).or_default();
        for (name, value) in document.total.as_ref().unwrap().shown() {
            *of_key.entry(name).or_default() += value.as_i64().unwrap();
        }
    }
    all.retain(|_, measures| !measures.is_empty());
    all
}

/// What the days should have, counted over folded quotes.
fn counted<'a>(quotes: impl Iterator<Item = &'a Quote>) -> BTreeMap<String, BTreeMap<String, i64>> {
    let mut all: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    for quote in quotes {
        let day = format_timestamp(quote.initiated.as_ref().unwrap().at)[..10].to_owned();
        let region = quote.geographic.as_ref().map_or("-", |_| "IN-KA");
        let measures = all.entry(format!("{day}|{region}")).or_default();
        *measures.entry("quotes".to_owned()).or_default() += 1;
        *measures.entry(quote.status().as_str().to_owned()).or_default() += 1;
        let premium = quote.offer.as_ref().and_then(|offer| offer.premium.as_ref());
        if let Some(premium) = premium.filter(|_| quote.status() == Status::Approved) {
            *measures.entry("premium-INR".to_owned()).or_default() +=
                i64::try_from(premium.amount).unwrap();
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn views_are_what_a_fold_of_the_events_is(
        histories in proptest::collection::vec(histories(), 1..8)
    ) {
        let histories: BTreeMap<String, Vec<QuoteEvent>> = histories
            .into_iter()
            .enumerate()
            .filter(|(_, events)| !events.is_empty())
            .map(|(n, events)| (format!("q-{n}"), events))
            .collect();
        let streams: BTreeMap<String, Vec<RecordedEvent>> = histories
            .iter()
            .map(|(stream, events)| (stream.clone(), stored(stream, events)))
            .collect();
        let quotes: BTreeMap<&String, Quote> =
            histories.iter().map(|(stream, events)| (stream, fold(events))).collect();
        let run = async |projection| made(projection, &streams).await;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();

        let details = runtime.block_on(run(Projection::views(QuoteDetails).unwrap()));
        let details = of_kind(&details, Kind::View);
        prop_assert_eq!(details.len(), histories.len());
        for (stream, document) in details {
            let events = &histories[&stream];
            let view: QuoteDetailsView = serde_json::from_value(document.value()).unwrap();
            prop_assert_eq!(&view.quote, &quotes[&stream]);
            prop_assert_eq!(document.last_sequence_number, u64::try_from(events.len()).ok());
            let row = QuoteRow::new(stream.as_str(), 1, view).unwrap();
            let row = serde_json::to_value(row).unwrap();
            for field in ["status", "region", "changedAt", "initiatedAt"] {
                let text = format!("3{}\u{1}", row[field].as_str().unwrap());
                prop_assert!(document.sort[field].starts_with(&text), "{}: {}", field, text);
            }
        }

        let trail = runtime.block_on(run(Projection::views(QuoteHistory).unwrap()));
        for (stream, document) in of_kind(&trail, Kind::View) {
            let view: QuoteHistoryView = serde_json::from_value(document.value()).unwrap();
            let events = &histories[&stream];
            prop_assert_eq!((view.omitted, view.entries.len()), (0, events.len()));
            for (place, (entry, event)) in view.entries.iter().zip(events).enumerate() {
                let (before, behind) = (fold(&events[..place]), fold(&events[..=place]));
                let number = u64::try_from(place).unwrap() + 1;
                prop_assert_eq!(entry, &HistoryEntry::new(number, event, before.status()));
                prop_assert_eq!(entry.to_status, behind.status());
            }
        }

        let days = runtime.block_on(run(Projection::totals(QuoteDays).unwrap()));
        prop_assert_eq!(totals(&days), counted(quotes.values()));
    }
}

/// The totals to which a quote with these events adds, with what.
fn adds(events: &[QuoteEvent]) -> Value {
    let state = events.iter().fold(QuoteDaysState::default(), |state, event| {
        QuoteDays.evolve(state, event, &recorded(&event.encode().unwrap(), 1))
    });
    serde_json::to_value(QuoteDays.adds("q-1", &state)).unwrap()
}

#[test]
fn a_quote_moves_from_one_day_of_a_region_to_another() {
    use ActionKind::{Approve, Finalize, Initiate, Save, SetContact, SetFamily, SetGeographic};
    let steps = [Initiate, SetContact, Save, SetGeographic, SetFamily, Finalize, Approve];
    let unknown = adds(&events(&steps[..3]));
    let expected = json!({"2026-11-20|-": {"quotes": {"count": 1}, "saved": {"count": 1}}});
    assert_eq!(unknown, expected);
    let approved = adds(&events(&steps));
    let expected = json!({"2026-11-20|IN-KA": {
        "quotes": {"count": 1}, "approved": {"count": 1}, "premium-INR": {"sum": 32_400},
    }});
    assert_eq!(approved, expected);
    // Without its beginning it belongs to no day.
    assert_eq!(adds(&events(&steps[1..])), json!({}));
}

#[test]
fn premiums_are_added_where_they_can_be() {
    let premium = |amount, currency: &str, period: &str| {
        let (currency, period) = (currency.to_owned(), period.to_owned());
        let premium = Some(Premium { amount, currency, period });
        let offer = Change::QuoteFinalized(Offer { sum_insured: None, premium });
        let begin = event(0, change(ActionKind::Initiate));
        let adds = adds(&[begin, event(1, offer), event(2, change(ActionKind::Approve))]);
        let mut measures = adds["2026-11-20|-"].as_object().unwrap().clone();
        measures.retain(|name, _| name.starts_with("premium"));
        Value::Object(measures)
    };
    assert_eq!(premium(100, "INR", "month"), json!({"premium-INR": {"sum": 1200}}));
    assert_eq!(premium(100, "EUR", "quarter"), json!({"premium-EUR": {"sum": 400}}));
    let largest = json!({"premium-USD": {"sum": PREMIUM_MAX}});
    assert_eq!(premium(PREMIUM_MAX, "USD", "year"), largest);
    let not_added = json!({"premiumsNotAdded": {"count": 1}});
    for (amount, currency, period) in [
        (PREMIUM_MAX + 1, "USD", "year"),
        (PREMIUM_MAX, "USD", "month"),
        ((1 << 53) - 1, "USD", "month"),
        (1, "usd", "year"),
        (1, "", "year"),
        (1, "USD", "week"),
    ] {
        assert_eq!(premium(amount, currency, period), not_added, "{amount} {currency} {period}");
    }
}

#[test]
fn the_summary_of_a_day_word_for_word() {
    let measure = |count: i64| json!({"count": count});
    let total: crate::projection::Total = serde_json::from_value(json!({
        "streams": 3,
        "measures": {
            "quotes": measure(3), "approved": measure(1), "saved": measure(2),
            "premium-INR": {"sum": 9500}, "premiumsNotAdded": measure(1),
        },
    }))
    .unwrap();
    let summary = DaySummary::new("2026-11-20|IN-KA", &total).unwrap();
    let expected = json!({
        "day": "2026-11-20", "region": "IN-KA", "quotes": 3,
        "statuses": {"approved": 1, "saved": 2},
        "conversion": 0.3333, "premiums": {"INR": 9500}, "premiumsNotAdded": 1,
    });
    assert_eq!(serde_json::to_value(summary).unwrap(), expected);
    assert_eq!(DaySummary::new("no day", &total), None);
}

#[test]
fn regions_fit_into_keys_whatever_was_imported() {
    let of = |country: &str, state: Option<&str>| {
        region(Some(&Geographic {
            country: country.to_owned(),
            state: state.map(str::to_owned),
            city: "City".to_owned(),
            zip_code: None,
        }))
    };
    assert_eq!(of("IN", Some("KA")), "IN-KA");
    assert_eq!((of("SG", None), of("SG", Some(""))), ("SG".to_owned(), "SG".to_owned()));
    assert_eq!((of("", None), region(None)), ("-".to_owned(), "-".to_owned()));
    assert_eq!(of("I\nN", Some("\u{7f}")), "I?N-?");
    let long = of("IN", Some(&"\u{e9}".repeat(1000)));
    assert_eq!(long.chars().count(), REGION_CHARACTERS_MAX);
    // The longest state that a command takes is whole.
    assert_eq!(of("IN", Some(&"a".repeat(100))).len(), 103);
}

#[test]
fn a_long_history_keeps_its_end() {
    let saved = event(0, Change::QuoteSaved { page: None });
    let first = event(0, change(ActionKind::Initiate));
    let stored = saved.encode().unwrap();
    let view = QuoteHistory.change(&ViewKey::Stream, None, &first, &recorded(&stored, 1));
    let view = (2..=u64::try_from(HISTORY_ENTRIES_MAX).unwrap() + 2).fold(view, |view, number| {
        QuoteHistory.change(&ViewKey::Stream, view, &saved, &recorded(&stored, number))
    });
    let view = view.unwrap();
    assert_eq!((view.omitted, view.entries.len()), (2, HISTORY_ENTRIES_MAX));
    assert_eq!(view.entries[0].sequence_number, 3);
    assert_eq!(view.entries[0].from_status, Status::Saved);
}

#[tokio::test]
async fn what_is_no_event_of_a_quote_parks_its_stream_with_the_reason() {
    let views = [Projection::views(QuoteDetails), Projection::views(QuoteHistory)];
    for projection in views.into_iter().chain([Projection::totals(QuoteDays)]) {
        let handler = ProjectionHandler::new(
            projection.unwrap(),
            1,
            Arc::new(MemoryViews::new(Weather::fine(1))),
            Arc::new(MemoryHistory::default()),
        );
        let damaged = NewEvent::new("QuoteSaved", "not an object").unwrap();
        let fault = handler.apply("q-1", vec![recorded(&damaged, 1)]).await.unwrap_err();
        let told = format!("{fault:?}");
        assert!(told.contains("event 1") && told.contains("QuoteSaved"), "{told}");
        assert!(!told.contains("not an object"), "{told}");
        // Events of other types are none of its business.
        let other = NewEvent::new("LoanGranted", json!({})).unwrap();
        handler.apply("loan-1", vec![recorded_in("loan-1", &other, 1)]).await.unwrap();
    }
}

#[test]
fn a_row_begins_with_what_is_there() {
    let kinds = [ActionKind::SetContact, ActionKind::Save];
    let quote = fold(&events(&kinds));
    let region = region(None);
    let row = QuoteRow::new("q-1", 2, QuoteDetailsView { region, quote }).unwrap();
    assert_eq!((row.initiated_at, row.changed_at), (at(1), at(1)));
    let (quote, region) = (Quote::initial(), String::new());
    assert_eq!(QuoteRow::new("q-1", 0, QuoteDetailsView { region, quote }), None);
    // Nobody's name or address gets into a list, a log or a message.
    let quote = fold(&events(&[ActionKind::Initiate, ActionKind::SetContact]));
    let view = QuoteDetailsView { region: "-".to_owned(), quote };
    assert!(!format!("{view:?}").contains("Rao"));
    let row = serde_json::to_string(&QuoteRow::new("q-1", 2, view).unwrap()).unwrap();
    assert!(!row.contains("Rao"), "{row}");
}

//! What readers see, word for word: other programs read it.

use serde_json::json;

use super::*;
use crate::{
    aggregate::{
        Aggregate,
        kit::{given, given_nothing, read_stored},
    },
    quotes::examples::{at, change, event, events},
};

use ActionKind::{
    Approve, Expire, Finalize, Initiate, Reject, Save, SetContact, SetFamily, SetGeographic,
    Withdraw,
};

fn quote(kinds: &[ActionKind]) -> Quote {
    given::<Quote>(events(kinds)).state().clone()
}

#[test]
fn the_view_of_a_whole_quote() {
    let all = [Initiate, SetGeographic, SetContact, SetFamily, Save, Finalize, Withdraw];
    let view = QuoteView::new("q-1", 7, &quote(&all)).unwrap();
    let expected = json!({
        "quoteId": "q-1",
        "version": 7,
        "status": "withdrawn",
        "geographic": {
            "country": "IN", "state": "KA", "city": "Bengaluru", "zipCode": "560001",
        },
        "contact": {
            "firstName": "Asha", "lastName": "Rao", "email": "asha.rao@example.com",
            "phone": "+910000012345",
        },
        "family": {"dependants": 3, "children": 2, "childAges": [4, 9]},
        "offer": {
            "sumInsured": 1_800_000,
            "premium": {"amount": 32_400, "currency": "INR", "period": "year"},
        },
        "reason": "too expensive",
        "hasUnsavedChanges": false,
        "missing": [],
        "initiatedAt": "2026-11-20T10:00:00.123456Z",
        "initiatedBy": "customer",
        "changedAt": "2026-11-20T16:00:00.123456Z",
        "changedBy": "customer",
    });
    assert_eq!(serde_json::to_value(&view).unwrap(), expected);
    let text = format!("{view:?}");
    assert!(text.contains("q-1") && !text.contains("Asha"), "{text}");
}

#[test]
fn the_view_of_a_new_quote() {
    let view = QuoteView::new("q-1", 1, &quote(&[Initiate])).unwrap();
    let expected = json!({
        "quoteId": "q-1",
        "version": 1,
        "status": "initiated",
        "hasUnsavedChanges": false,
        "missing": ["geographic", "contact", "family"],
        "initiatedAt": "2026-11-20T10:00:00.123456Z",
        "initiatedBy": "customer",
        "changedAt": "2026-11-20T10:00:00.123456Z",
        "changedBy": "customer",
    });
    assert_eq!(serde_json::to_value(view).unwrap(), expected);
}

#[test]
fn there_is_no_view_of_nothing() {
    assert_eq!(QuoteView::new("q-1", 0, &Quote::initial()), None);
    assert_eq!(StatusView::new("q-1", 0, &Quote::initial(), at(0)), None);
    assert_eq!(given_nothing::<Quote>().state(), &Quote::initial());
}

#[test]
fn the_status_says_what_can_be_done() {
    let complete = [Initiate, SetGeographic, SetContact, SetFamily];
    let finalized = [&complete[..], &[Finalize]].concat();
    let approved = [&finalized[..], &[Approve]].concat();
    let edits = [SetGeographic, SetContact, SetFamily, Save];
    for (kinds, hour, actions) in [
        (&[Initiate][..], 1, [&edits[..], &[Withdraw]].concat()),
        (&[Initiate], 24 * 14, [&edits[..], &[Withdraw, Expire]].concat()),
        (&complete, 4, [&edits[..], &[Finalize, Withdraw]].concat()),
        (&finalized, 5, vec![Approve, Reject, Withdraw]),
        (&finalized, 24 * 30, vec![Approve, Reject, Withdraw, Expire]),
        (&approved, 24 * 30, vec![]),
    ] {
        let view = StatusView::new("q-1", 1, &quote(kinds), at(hour)).unwrap();
        assert_eq!(view.actions, actions, "{kinds:?} at hour {hour}");
    }
}

#[test]
fn the_status_word_for_word() {
    let view = StatusView::new("q-1", 2, &quote(&[Initiate, SetContact]), at(1)).unwrap();
    let expected = json!({
        "quoteId": "q-1",
        "version": 2,
        "status": "initiated",
        "missing": ["geographic", "family"],
        "actions": ["geographic", "contact", "family", "save", "withdraw"],
    });
    assert_eq!(serde_json::to_value(view).unwrap(), expected);
}

#[test]
fn the_history_shows_what_the_program_knows_today() {
    let save = event(3, change(Save));
    let entry = HistoryEntry::new(2, &save, Status::Initiated);
    assert_eq!(entry.data, None);
    let entry = entry.with_data(&save).unwrap();
    let expected = json!({
        "sequenceNumber": 2,
        "type": "QuoteSaved",
        "by": "customer",
        "at": "2026-11-20T13:00:00.123456Z",
        "fromStatus": "initiated",
        "toStatus": "saved",
        "data": {},
    });
    assert_eq!(serde_json::to_value(entry).unwrap(), expected);
    let old = json!({"adults": 2, "children": 1, "childAges": [4]});
    let old: QuoteEvent = read_stored("FamilyDetailsSet", 1, old).unwrap().unwrap();
    let entry = HistoryEntry::new(3, &old, Status::Saved).with_data(&old).unwrap();
    assert_eq!((entry.from_status, entry.to_status), (Status::Saved, Status::Saved));
    assert_eq!(entry.data, Some(json!({"dependants": 2, "children": 1, "childAges": [4]})));
    assert!(!format!("{entry:?}").contains("dependants"));
}

#[test]
fn names_are_the_same_everywhere() {
    for kind in ActionKind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
    for status in Status::ALL {
        assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
    }
    for section in [Section::Geographic, Section::Contact, Section::Family] {
        assert_eq!(serde_json::to_value(section).unwrap(), section.as_str());
    }
}

//! The rules, one by one and for every status with every action.

use super::*;
use crate::{
    aggregate::kit::{Given, given, given_nothing},
    quotes::{
        TRANSITIONS,
        examples::{action, change, command, event, events, family, owned},
        values::ShortName,
    },
};

use ActionKind::{
    Approve, Expire, Finalize, Initiate, Reject, Save, SetContact, SetFamily, SetGeographic,
    Withdraw,
};

/// Longer than a quote lives, in hours.
const LATER: i64 = 24 * 15;

fn after(kinds: &[ActionKind]) -> Given<Quote> {
    given(events(kinds))
}

/// A history with all sections that ends in a status.
fn history(status: Status) -> Vec<ActionKind> {
    let complete = [Initiate, SetGeographic, SetContact, SetFamily];
    let end: &[ActionKind] = match status {
        Status::Absent => return Vec::new(),
        Status::Initiated => &[],
        Status::Saved => &[Save],
        Status::Finalized => &[Finalize],
        Status::Approved => &[Save, Finalize, Approve],
        Status::Rejected => &[Finalize, Reject],
        Status::Withdrawn => &[Withdraw],
        Status::Expired => &[Save, Expire],
    };
    [&complete, end].concat()
}

#[test]
fn every_status_with_every_action() {
    for status in Status::ALL {
        for kind in ActionKind::ALL {
            let before = after(&history(status));
            assert_eq!(before.state().status(), status);
            let command = command(LATER, action(kind));
            let decision = before.clone().when(&command).decision();
            let reached = decision.clone().map(|events| before.and(events).state().status());
            let expected = match (status, kind) {
                (Status::Absent, Initiate) => Ok(Status::Initiated),
                (Status::Absent, _) => Err("not-initiated"),
                (_, Initiate) => Err("already-initiated"),
                (Status::Approved | Status::Rejected | Status::Withdrawn | Status::Expired, _) => {
                    Err("already-decided")
                }
                (_, Withdraw) => Ok(Status::Withdrawn),
                (_, Expire) => Ok(Status::Expired),
                (Status::Finalized, Approve) => Ok(Status::Approved),
                (Status::Finalized, Reject) => Ok(Status::Rejected),
                (Status::Finalized, Finalize) => Err("already-finalized"),
                (Status::Finalized, _) => Err("finalized-cannot-be-edited"),
                (_, Approve | Reject) => Err("not-finalized"),
                (_, Save) => Ok(Status::Saved),
                (_, Finalize) => Ok(Status::Finalized),
                (same, _) => Ok(same),
            };
            let actual = reached.as_ref().copied().map_err(QuoteRejection::rule);
            assert_eq!(actual, expected, "{status} {kind}");
            assert_eq!(actual.ok(), status.after(kind), "the table differs: {status} {kind}");
        }
    }
}

#[test]
fn the_table_has_no_transition_twice_and_none_from_a_final_status() {
    for (index, (from, by, to)) in TRANSITIONS.iter().enumerate() {
        assert!(!from.is_final(), "{from} {by} {to}");
        let rest = &TRANSITIONS[index + 1..];
        assert!(!rest.iter().any(|(status, kind, _)| (status, kind) == (from, by)), "{from} {by}");
    }
}

#[test]
fn every_action_leads_to_its_event_once() {
    for (before, kind) in [
        (&[][..], Initiate),
        (&[Initiate], SetGeographic),
        (&[Initiate], SetContact),
        (&[Initiate, Save], SetFamily),
        (&[Initiate], Save),
        (&[Initiate, SetFamily, SetContact, SetGeographic], Finalize),
        (&[Initiate, SetFamily, SetContact, SetGeographic, Finalize], Approve),
        (&[Initiate, SetFamily, SetContact, SetGeographic, Finalize], Reject),
        (&[Initiate], Withdraw),
        (&[Initiate, Save], Expire),
    ] {
        after(before)
            .when(&command(LATER, action(kind)))
            .then([event(LATER, change(kind))])
            .and_again_then_nothing_new();
    }
}

#[test]
fn what_a_command_says_is_in_its_event() {
    let product = Some(ShortName::new("health-basic").unwrap());
    let channel = Some(ShortName::new("web").unwrap());
    let quote = given_nothing::<Quote>()
        .when(&command(0, Action::Initiate { product, channel }))
        .then([event(
            0,
            Change::QuoteInitiated { product: owned("health-basic"), channel: owned("web") },
        )])
        .going_on();
    assert_eq!(quote.state().product, owned("health-basic"));
    let page = Some(ShortName::new("summary").unwrap());
    let _then = quote
        .when(&command(1, Action::Save { page }))
        .then([event(1, Change::QuoteSaved { page: owned("summary") })]);
}

#[test]
fn details_are_set_in_any_order_and_repeatedly() {
    let orders = [
        [SetGeographic, SetContact, SetFamily],
        [SetGeographic, SetFamily, SetContact],
        [SetContact, SetGeographic, SetFamily],
        [SetContact, SetFamily, SetGeographic],
        [SetFamily, SetGeographic, SetContact],
        [SetFamily, SetContact, SetGeographic],
    ];
    for order in orders {
        let mut quote = after(&[Initiate]);
        for kind in order {
            quote = quote.when(&command(5, action(kind))).then([event(5, change(kind))]).going_on();
        }
        assert_eq!(quote.state().missing(), []);
        // The same again changes nothing, something else does.
        for kind in order {
            let _then = quote.clone().when(&command(6, action(kind))).then_nothing();
        }
        let mut other = family();
        other.dependants = Some(4);
        let other = Action::SetFamily(other.try_into().unwrap());
        let decided = quote.when(&command(6, other)).decision().unwrap();
        let [QuoteEvent { change: Change::FamilyDetailsSet(family), .. }] = decided.as_slice()
        else {
            panic!("other events: {decided:?}")
        };
        assert_eq!(family.dependants, 4);
    }
}

#[test]
fn finalizing_names_what_is_missing() {
    let sections = [
        (SetGeographic, Section::Geographic),
        (SetContact, Section::Contact),
        (SetFamily, Section::Family),
    ];
    // Every subset of the sections, after a save and without one.
    for subset in 0..8_u8 {
        for save in [&[][..], &[Save]] {
            let is_set = |place: usize| subset & (1 << place) != 0;
            let places = || sections.iter().enumerate();
            let set = places().filter(|(place, _)| is_set(*place)).map(|(_, (kind, _))| *kind);
            let kinds: Vec<ActionKind> =
                [Initiate].into_iter().chain(set).chain(save.iter().copied()).collect();
            let missing: Vec<Section> = places()
                .filter(|(place, _)| !is_set(*place))
                .map(|(_, (_, section))| *section)
                .collect();
            let quote = after(&kinds);
            assert_eq!(quote.state().missing(), missing);
            let finalize = command(9, action(Finalize));
            if missing.is_empty() {
                let _then = quote.when(&finalize).then([event(9, change(Finalize))]);
            } else {
                quote.when(&finalize).then_rejected(&QuoteRejection::DetailsMissing { missing });
            }
        }
    }
}

#[test]
fn a_save_without_changes_does_nothing() {
    let save = |hour| command(hour, action(Save));
    let quote = after(&[Initiate, SetContact]);
    assert!(quote.state().has_unsaved_changes());
    let saved =
        quote.when(&save(2)).then([event(2, change(Save))]).and_again_then_nothing_new().going_on();
    assert!(!saved.state().has_unsaved_changes());
    let edited = saved.and([event(3, change(SetFamily))]);
    assert_eq!(edited.state().status(), Status::Saved);
    assert!(edited.state().has_unsaved_changes());
    let again = edited.when(&save(4)).then([event(4, change(Save))]).going_on();
    assert!(!again.state().has_unsaved_changes());
}

#[test]
fn an_offer_leaves_nothing_unsaved() {
    let quote = after(&[Initiate, SetGeographic, SetContact, SetFamily]);
    assert!(quote.state().has_unsaved_changes());
    let finalized = quote.and([event(5, change(Finalize))]);
    assert!(!finalized.state().has_unsaved_changes());
}

#[test]
fn a_quote_expires_when_the_days_have_passed_since_its_last_change() {
    let expire = |microsecond: i64| {
        let mut command = command(24 * 14 + 1, Action::Expire);
        command.at += jiff::SignedDuration::from_micros(microsecond);
        command
    };
    // The last change is at hour 1.
    let quote = after(&[Initiate, SetContact]);
    let left = |days_left| QuoteRejection::NotYetExpired { days_left };
    quote.clone().when(&expire(-1)).then_rejected(&left(1));
    quote.clone().when(&command(24 * 13 + 1, Action::Expire)).then_rejected(&left(1));
    quote.clone().when(&command(24 * 13, Action::Expire)).then_rejected(&left(2));
    quote.clone().when(&command(1, Action::Expire)).then_rejected(&left(14));
    // Clocks of two processes differ.
    quote.clone().when(&command(-24, Action::Expire)).then_rejected(&left(16));
    assert!(quote.clone().when(&expire(0)).decision().is_ok());
    assert!(quote.when(&expire(1)).decision().is_ok());
}

#[test]
fn what_is_finer_than_a_microsecond_is_cut() {
    let mut command = command(0, action(Initiate));
    command.at += jiff::SignedDuration::from_nanos(999);
    let _then = given_nothing::<Quote>().when(&command).then([event(0, change(Initiate))]);
}

#[test]
fn a_history_that_breaks_the_rules_is_folded() {
    // As an import can bring it: no beginning, and events behind the end.
    let quote = after(&[SetFamily, Approve, SetContact]);
    assert_eq!(quote.state().status(), Status::Approved);
    assert_eq!(quote.state().missing(), [Section::Geographic]);
    let absent = after(&[SetFamily]);
    absent.when(&command(9, action(Save))).then_rejected(&QuoteRejection::NotInitiated);
}

#[test]
fn a_snapshot_comes_back_as_it_was() {
    for status in Status::ALL {
        let quote = after(&history(status)).state().clone();
        let text = serde_json::to_string(&quote).unwrap();
        assert!(serde_json::from_str::<Quote>(&text).unwrap() == quote, "{text}");
    }
}

#[test]
fn nobodys_data_is_in_debug() {
    let quote = after(&history(Status::Rejected)).state().clone();
    let commands = ActionKind::ALL.map(|kind| command(0, action(kind)));
    let text = format!("{quote:?} {commands:?}");
    for secret in ["Asha", "Rao", "example.com", "0000012345", "Bengaluru", "560001", "expensive"] {
        assert!(!text.contains(secret), "{text}");
    }
}

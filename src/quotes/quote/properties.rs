//! Random commands at random times, judged by rules that are written down a second time here.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::{
    aggregate::DomainEvent,
    quotes::{
        TRANSITIONS,
        examples::{action, at, contact, family, geographic, recorded},
        values::{PolicyNumber, Reason, ShortName},
    },
};

/// What may follow on what, told by the names of the events alone: neither the table nor the state
/// is asked. It is the judge of every history below.
pub(super) fn judge(names: &[&str]) -> Result<(), String> {
    let has = |before: &[&str], name: &str| before.contains(&name);
    for (place, name) in names.iter().enumerate() {
        let before = &names[..place];
        let is_over = before.iter().any(|one| {
            ["QuoteApproved", "QuoteRejected", "QuoteWithdrawn", "QuoteExpired"].contains(one)
        });
        let is_offered = has(before, "QuoteFinalized");
        let may = match *name {
            "QuoteInitiated" => before.is_empty(),
            _ if before.is_empty() || is_over => false,
            "GeographicDetailsSet" | "ContactDetailsSet" | "FamilyDetailsSet" => !is_offered,
            "QuoteSaved" => !is_offered && before.last() != Some(&"QuoteSaved"),
            "QuoteFinalized" => {
                !is_offered
                    && ["GeographicDetailsSet", "ContactDetailsSet", "FamilyDetailsSet"]
                        .iter()
                        .all(|section| has(before, section))
            }
            "QuoteApproved" | "QuoteRejected" => before.last() == Some(&"QuoteFinalized"),
            "QuoteWithdrawn" | "QuoteExpired" => true,
            _ => false,
        };
        if !may {
            return Err(format!("{name} behind {before:?}"));
        }
    }
    Ok(())
}

fn name() -> impl Strategy<Value = Option<ShortName>> {
    proptest::option::of("[a-z]{1,3}").prop_map(|name| Some(ShortName::new(&name?).unwrap()))
}

fn reason() -> impl Strategy<Value = Reason> {
    "[a-z\u{e0}-\u{ff}]{1,8}".prop_map(|text| Reason::new(&text).unwrap())
}

/// Every kind of action, with few different contents, so that the same comes again.
fn actions() -> impl Strategy<Value = Action> {
    prop_oneof![
        2 => (name(), name()).prop_map(|(product, channel)| Action::Initiate { product, channel }),
        3 => (0..3_u8).prop_map(|n| {
            let mut input = geographic();
            input.city = Some(format!("City {n}"));
            input.try_into().unwrap()
        }),
        3 => (0..3_u8).prop_map(|n| {
            let mut input = contact();
            input.email = Some(format!("a{n}@example.com"));
            input.try_into().unwrap()
        }),
        3 => proptest::collection::vec(0..18_u64, 0..3).prop_map(|ages| {
            let mut input = family();
            input.children = Some(u64::try_from(ages.len()).unwrap());
            input.child_ages = Some(ages);
            input.try_into().unwrap()
        }),
        2 => name().prop_map(|page| Action::Save { page }),
        3 => Just(action(ActionKind::Finalize)),
        1 => Just(Action::Finalize(crate::quotes::OfferDetails::default())),
        1 => "[A-Z]{1,4}".prop_map(|number| {
            Action::Approve { policy_number: Some(PolicyNumber::new(&number).unwrap()) }
        }),
        1 => reason().prop_map(|reason| Action::Reject { reason }),
        1 => proptest::option::of(reason()).prop_map(|reason| Action::Withdraw { reason }),
        1 => Just(Action::Expire),
    ]
}

/// The straight way to an end. Random commands alone rarely get far.
const WAY: [ActionKind; 7] = [
    ActionKind::Initiate,
    ActionKind::SetContact,
    ActionKind::SetFamily,
    ActionKind::SetGeographic,
    ActionKind::Save,
    ActionKind::Finalize,
    ActionKind::Approve,
];
/// How a quote can end instead.
const ENDS: [ActionKind; 4] =
    [ActionKind::Approve, ActionKind::Reject, ActionKind::Withdraw, ActionKind::Expire];

/// A part of the way, and then anything. Each command says how many seconds after the one before it
/// comes. A clock can go back.
fn commands() -> impl Strategy<Value = Vec<(i64, u8, Action)>> {
    let day = 24 * 3600_i64;
    let seconds = prop_oneof![4 => -60..3600_i64, 1 => 13 * day..15 * day, 1 => -20 * day..0];
    let end = proptest::sample::select(&ENDS[..]);
    let way = (0..=WAY.len(), end).prop_map(move |(length, end)| {
        let kinds = WAY[..length].iter().copied();
        let kinds = kinds.map(|kind| if kind == ActionKind::Approve { end } else { kind });
        let after = |kind| if kind == ActionKind::Expire { 14 * day } else { 60 };
        kinds.map(|kind| (after(kind), 0, action(kind))).collect::<Vec<_>>()
    });
    let rest = proptest::collection::vec((seconds, 0..3_u8, actions()), 0..30);
    (way, rest).prop_map(|(way, rest)| [way, rest].concat())
}

/// What random commands come to: histories as the domain makes them.
pub(in crate::quotes) fn histories() -> impl Strategy<Value = Vec<QuoteEvent>> {
    commands().prop_map(|commands| {
        let (mut now, mut quote, mut events) = (at(0), Quote::initial(), Vec::new());
        for (seconds, actor, action) in commands {
            now += SignedDuration::from_secs(seconds);
            let by = Actor::new(&format!("actor-{actor}")).unwrap();
            for event in quote.decide(&QuoteCommand { by, at: now, action }).unwrap_or_default() {
                quote = quote.evolve(&event);
                events.push(event);
            }
        }
        events
    })
}

/// The event as the store gives it back.
fn stored(event: &QuoteEvent, place: u64) -> QuoteEvent {
    QuoteEvent::decode(&recorded(&event.encode().unwrap(), place)).unwrap().unwrap()
}

fn fold(events: &[QuoteEvent]) -> Quote {
    events.iter().fold(Quote::initial(), Quote::evolve)
}

proptest! {
    #[test]
    fn no_commands_lead_where_nothing_may_go(commands in commands()) {
        let mut now = at(0);
        let mut quote = Quote::initial();
        let mut events: Vec<QuoteEvent> = Vec::new();
        for (seconds, actor, action) in commands {
            now += SignedDuration::from_secs(seconds);
            let by = Actor::new(&format!("actor-{actor}")).unwrap();
            let command = QuoteCommand { by, at: now, action };
            let kind = command.action.kind();
            let before = quote.clone();
            let was_over = before.status().is_final();
            // Days are counted here by the clock, and not as the rule counts them.
            let idle = events.last().map(|last| now.duration_since(last.at).as_hours());
            let decided = quote.decide(&command);
            prop_assert_eq!(decided.is_ok(), quote.permits(kind, now).is_ok());
            let Ok(decided) = decided else { continue };
            prop_assert!(!was_over, "a command is accepted behind the end");
            prop_assert!(decided.len() <= 1);
            for event in decided {
                prop_assert_eq!((&event.by, event.at), (&command.by, command.at));
                if matches!(event.change, Change::QuoteExpired { .. }) {
                    prop_assert!(idle.unwrap() >= 14 * 24);
                }
                events.push(event);
                quote = quote.evolve(&events[events.len() - 1]);
            }
            let step = (before.status(), kind, quote.status());
            prop_assert!(TRANSITIONS.contains(&step), "{:?} is not in the table", step);
            // Given again, it has nothing to do.
            if let Ok(again) = quote.decide(&command) {
                prop_assert!(again.is_empty(), "{:?} again leads to {:?}", kind, again);
            }
        }
        let names: Vec<&str> = events.iter().map(|event| event.change.name()).collect();
        if let Err(why) = judge(&names) {
            prop_assert!(false, "{}", why);
        }
        let read: Vec<QuoteEvent> = (1..).zip(&events).map(|(n, event)| stored(event, n)).collect();
        prop_assert!(read == events, "events come back differently");
        prop_assert!(fold(&read) == quote, "the events lead to another state");
        let snapshot = serde_json::to_value(&quote).unwrap();
        prop_assert!(serde_json::from_value::<Quote>(snapshot).unwrap() == quote);
    }
}

#[test]
fn the_judge_is_strict() {
    let begin = ["QuoteInitiated", "GeographicDetailsSet", "ContactDetailsSet", "FamilyDetailsSet"];
    let goes_on = |more: &[&str]| judge(&[&begin, more].concat()).is_ok();
    assert!(goes_on(&["QuoteSaved", "FamilyDetailsSet", "QuoteFinalized", "QuoteApproved"]));
    assert!(!goes_on(&["QuoteInitiated"]));
    assert!(!goes_on(&["QuoteApproved"]));
    assert!(!goes_on(&["QuoteFinalized", "FamilyDetailsSet"]));
    assert!(!goes_on(&["QuoteFinalized", "QuoteApproved", "QuoteWithdrawn"]));
    assert!(judge(&["QuoteInitiated", "QuoteFinalized"]).is_err());
    assert!(judge(&["QuoteSaved"]).is_err());
}

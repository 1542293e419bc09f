//! The course of an append, step by step.

use serde_json::json;

use super::*;
use crate::event::content_hash;

const TIME_MAX: Duration = Duration::from_secs(30);
const EARLY: Duration = Duration::from_millis(1);

fn plan(expected: ExpectedVersion, events: usize) -> Plan {
    let wanted = (0..events)
        .map(|n| Wanted {
            id: EventId::random(),
            hash: content_hash(&mut String::new(), "Tested", 1, &json!(n)),
        })
        .collect();
    Plan::new(expected, wanted, 100, TIME_MAX)
}

fn error(kind: StoreErrorKind) -> StoreError {
    StoreError::new(kind)
}

fn lost() -> BatchAnswer {
    BatchAnswer::Failed { error: error(StoreErrorKind::Unavailable), maybe_stored: true }
}

fn refused(kind: StoreErrorKind) -> BatchAnswer {
    BatchAnswer::Failed { error: error(kind), maybe_stored: false }
}

fn nothing_at(version: u64) -> ReadBack {
    ReadBack { same_ids: Vec::new(), at_place: Vec::new(), version }
}

/// Follows waits, which the tests do not sit out.
fn now(step: Step) -> Step {
    match step {
        Step::Wait(_, then) => *then,
        other => other,
    }
}

fn sends(step: &Step) -> Option<u64> {
    match step {
        Step::Send { first } => Some(*first),
        Step::Wait(_, then) => sends(then),
        _ => None,
    }
}

#[test]
fn a_definite_version_is_sent_at_once() {
    assert_eq!(sends(&plan(ExpectedVersion::NoStream, 1).start()), Some(1));
    assert_eq!(sends(&plan(ExpectedVersion::Exact(0), 1).start()), Some(1));
    assert_eq!(sends(&plan(ExpectedVersion::Exact(7), 1).start()), Some(8));
}

#[test]
fn stored_is_appended() {
    let mut plan = plan(ExpectedVersion::Exact(7), 1);
    let step = plan.batch_answered(8, BatchAnswer::Created, EARLY, 0);
    assert!(matches!(step, Step::Done(End::Appended { first: 8 })));
}

#[test]
fn an_indefinite_version_is_read_first() {
    for expected in [ExpectedVersion::Any, ExpectedVersion::StreamExists] {
        let mut plan = plan(expected, 1);
        assert!(matches!(plan.start(), Step::FindVersion));
        assert_eq!(sends(&plan.version_found(Ok(3))), Some(4));
    }
    assert_eq!(sends(&plan(ExpectedVersion::Any, 100).version_found(Ok(0))), Some(1));
}

#[test]
fn an_existing_stream_must_exist() {
    let step = plan(ExpectedVersion::StreamExists, 1).version_found(Ok(0));
    assert!(matches!(step, Step::Done(End::Conflict { actual: 0, .. })));
}

#[test]
fn a_failed_read_of_the_version_has_sent_nothing() {
    let step = plan(ExpectedVersion::Any, 1).version_found(Err(error(StoreErrorKind::Unavailable)));
    assert!(matches!(step, Step::Done(End::Failed(_))));
}

#[test]
fn a_refusal_is_read_back() {
    let mut plan = plan(ExpectedVersion::Exact(7), 1);
    let step = plan.batch_answered(8, BatchAnswer::Occupied, EARLY, 0);
    assert!(matches!(step, Step::ReadBack { first: 8, predecessor_missing: false }));
    let step = plan.batch_answered(8, BatchAnswer::PredecessorMissing, EARLY, 0);
    assert!(matches!(step, Step::ReadBack { first: 8, predecessor_missing: true }));
}

#[test]
fn what_was_certainly_not_stored_fails_at_once() {
    for kind in [
        StoreErrorKind::Throttled,
        StoreErrorKind::Denied,
        StoreErrorKind::Unavailable,
        StoreErrorKind::StreamFull,
        StoreErrorKind::TooLarge,
    ] {
        let mut plan = plan(ExpectedVersion::Exact(7), 1);
        let Step::Done(End::Failed(error)) = plan.batch_answered(8, refused(kind), EARLY, 0) else {
            panic!("{kind}")
        };
        assert_eq!(error.kind(), kind);
    }
}

#[test]
fn a_lost_answer_is_sent_again_at_the_same_place_until_it_is_settled() {
    for expected in [ExpectedVersion::Exact(7), ExpectedVersion::Any] {
        let mut plan = plan(expected, 1);
        for _ in 0..5 {
            assert_eq!(sends(&plan.batch_answered(8, lost(), EARLY, 0)), Some(8));
        }
        // Refusals that say nothing about the first batch do not settle it.
        for kind in [StoreErrorKind::Throttled, StoreErrorKind::Unavailable] {
            assert_eq!(sends(&plan.batch_answered(8, refused(kind), EARLY, 0)), Some(8));
        }
        let step = plan.batch_answered(8, BatchAnswer::Created, EARLY, 0);
        assert!(matches!(step, Step::Done(End::Appended { first: 8 })));
    }
}

#[test]
fn what_is_not_settled_in_time_is_unknown() {
    let mut plan = plan(ExpectedVersion::Exact(7), 1);
    assert_eq!(sends(&plan.batch_answered(8, lost(), EARLY, 0)), Some(8));
    let step = plan.batch_answered(8, refused(StoreErrorKind::Throttled), TIME_MAX, 0);
    assert!(matches!(step, Step::Done(End::Unknown(_))));
}

#[test]
fn a_hopeless_failure_after_a_lost_answer_is_unknown_at_once() {
    let mut plan = plan(ExpectedVersion::Exact(7), 1);
    assert_eq!(sends(&plan.batch_answered(8, lost(), EARLY, 0)), Some(8));
    let step = plan.batch_answered(8, refused(StoreErrorKind::Denied), EARLY, 0);
    assert!(matches!(step, Step::Done(End::Unknown(_))));
}

#[test]
fn a_failed_read_back_is_repeated_and_then_unknown() {
    let mut plan = plan(ExpectedVersion::Exact(7), 1);
    plan.batch_answered(8, BatchAnswer::Occupied, EARLY, 0);
    let step = plan.read_back(8, false, Err(error(StoreErrorKind::Throttled)), EARLY, 0);
    assert!(matches!(now(step), Step::ReadBack { first: 8, predecessor_missing: false }));
    let step = plan.read_back(8, false, Err(error(StoreErrorKind::Throttled)), TIME_MAX, 0);
    assert!(matches!(step, Step::Done(End::Unknown(_))));
}

#[test]
fn a_busy_service_is_asked_again_and_then_reported() {
    let mut plan = plan(ExpectedVersion::Exact(7), 1);
    let busy = || BatchAnswer::Busy(error(StoreErrorKind::Throttled));
    assert_eq!(sends(&plan.batch_answered(8, busy(), EARLY, 0)), Some(8));
    let step = plan.batch_answered(8, busy(), TIME_MAX, 0);
    assert!(matches!(step, Step::Done(End::Failed(_))));
    plan.batch_answered(8, lost(), EARLY, 0);
    let step = plan.batch_answered(8, busy(), TIME_MAX, 0);
    assert!(matches!(step, Step::Done(End::Unknown(_))));
}

#[test]
fn waits_keep_to_what_the_service_asks_for() {
    let mut plan = plan(ExpectedVersion::Exact(7), 1);
    let asked = Duration::from_secs(3);
    let answer = BatchAnswer::Failed {
        error: error(StoreErrorKind::Throttled).with_retry_after(Some(asked)),
        maybe_stored: true,
    };
    let Step::Wait(wait, _) = plan.batch_answered(8, answer, EARLY, 0) else { panic!() };
    assert_eq!(wait, asked);
}

#[test]
fn a_definite_version_that_is_lost_is_a_conflict() {
    let mut plan = plan(ExpectedVersion::Exact(7), 1);
    let step = plan.read_back(8, false, Ok(nothing_at(9)), EARLY, 0);
    assert!(matches!(step, Step::Done(End::Conflict { actual: 9, .. })));
    let step = plan.read_back(8, true, Ok(nothing_at(2)), EARLY, 0);
    assert!(matches!(step, Step::Done(End::Conflict { actual: 2, .. })));
}

#[test]
fn an_indefinite_version_moves_on_to_the_end() {
    let mut plan = plan(ExpectedVersion::Any, 1);
    plan.batch_answered(8, lost(), EARLY, 0);
    let first_loss = plan.read_back(8, false, Ok(nothing_at(9)), EARLY, 0);
    assert!(matches!(first_loss, Step::Send { first: 10 }), "no wait at first");
    let second_loss = plan.read_back(10, false, Ok(nothing_at(12)), EARLY, JITTER_ONE - 1);
    assert!(matches!(&second_loss, Step::Wait(..)));
    assert_eq!(sends(&second_loss), Some(13));
    // What was lost at the old place is settled: it will never be stored there.
    let step = plan.batch_answered(13, refused(StoreErrorKind::Throttled), EARLY, 0);
    assert!(matches!(step, Step::Done(End::Failed(_))));
}

#[test]
fn contention_is_bounded_by_tries_and_by_time() {
    let mut plan = plan(ExpectedVersion::Any, 1);
    let mut version = 8;
    for _ in 0..CONTENTION_TRIES_MAX {
        version += 1;
        assert_eq!(
            sends(&plan.read_back(version - 1, false, Ok(nothing_at(version)), EARLY, 0)),
            Some(version + 1)
        );
    }
    let step = plan.read_back(version - 1, false, Ok(nothing_at(version)), EARLY, 0);
    assert!(matches!(step, Step::Done(End::Conflict { actual, .. }) if actual == version));

    let mut plan = super::tests::plan(ExpectedVersion::Any, 1);
    let step = plan.read_back(8, false, Ok(nothing_at(9)), TIME_MAX, 0);
    assert!(matches!(step, Step::Done(End::Conflict { actual: 9, .. })));
}

#[test]
fn a_predecessor_that_appears_meanwhile_opens_the_place() {
    let mut plan = plan(ExpectedVersion::Exact(7), 1);
    let step = plan.read_back(8, true, Ok(nothing_at(7)), EARLY, 0);
    assert_eq!(sends(&step), Some(8));
    let step = plan.read_back(8, false, Ok(nothing_at(7)), EARLY, 0);
    assert!(matches!(step, Step::Done(End::Unexplained)));
}

#[test]
fn a_full_batch_fits_only_into_an_empty_stream() {
    let mut plan = plan(ExpectedVersion::Any, 100);
    let step = plan.version_found(Ok(3));
    assert!(matches!(step, Step::ReadBack { first: 4, predecessor_missing: false }));
    let step = plan.read_back(4, false, Ok(nothing_at(3)), EARLY, 0);
    assert!(matches!(step, Step::Done(End::TooMany { max: 99 })));
    let step = plan.read_back(1, false, Ok(nothing_at(3)), EARLY, 0);
    assert!(matches!(step, Step::Done(End::TooMany { max: 99 })));
}

#[test]
fn waits_double_up_to_their_bound_and_are_spread() {
    let waits: Vec<Duration> =
        (0..12).map(|tries| backoff(FAILURE_WAIT_MIN, FAILURE_WAIT_MAX, tries, 0)).collect();
    assert!(waits.is_sorted());
    assert_eq!(waits.first(), Some(&Duration::from_millis(10)));
    assert_eq!(waits.last(), Some(&Duration::from_millis(500)));
    let most = backoff(FAILURE_WAIT_MIN, FAILURE_WAIT_MAX, 40, JITTER_ONE - 1);
    assert!(most > Duration::from_millis(999) && most <= FAILURE_WAIT_MAX);
}

//! When a key set is asked for, and what is known meanwhile.

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const FLIGHT: Duration = Duration::from_secs(5);

fn keys(ids: &[&str]) -> Arc<KeySet> {
    let key = || Arc::new(DecodingKey::from_rsa_raw_components(&[1], &[3]));
    Arc::new(ids.iter().map(|id| ((*id).to_owned(), key())).collect())
}

fn before(time: Duration) -> Duration {
    time.checked_sub(SECOND).unwrap()
}

/// A state that had these keys from a request at this time.
fn known(ids: &[&str], at: Duration) -> State {
    State { known: Some((keys(ids), at)), asked: Some(at), ..State::default() }
}

fn flight(began: Duration) -> Flight {
    Flight { answer: futures::future::pending().boxed().shared(), began }
}

fn next(state: &State, kid: &str, now: Duration) -> &'static str {
    match state.next(kid, now, FLIGHT) {
        Next::Done(Ok(_)) => "key",
        Next::Done(Err(Refusal::UnknownSigningKey)) => "unknown",
        Next::Done(Err(Refusal::Unavailable { .. })) => "unavailable",
        Next::Done(Err(other)) => panic!("{other}"),
        Next::Wait(_) => "wait",
        Next::Ask => "ask",
    }
}

#[test]
fn without_a_key_set_it_is_asked_for_with_short_pauses() {
    let mut state = State::default();
    assert_eq!(next(&state, "a", Duration::ZERO), "ask");
    state.asked = Some(Duration::ZERO);
    state.has_failed = true;
    assert_eq!(next(&state, "a", before(KEY_SET_RETRY_AFTER)), "unavailable");
    assert_eq!(next(&state, "a", KEY_SET_RETRY_AFTER), "ask");
}

#[test]
fn an_unknown_key_has_it_asked_for_with_long_pauses() {
    let mut state = known(&["a"], Duration::ZERO);
    assert_eq!(next(&state, "b", before(KEY_SET_PAUSE)), "unknown");
    assert_eq!(next(&state, "b", KEY_SET_PAUSE), "ask");
    state.asked = Some(KEY_SET_PAUSE);
    state.has_failed = true;
    assert_eq!(next(&state, "b", KEY_SET_PAUSE + SECOND), "unavailable");
    assert_eq!(next(&state, "a", KEY_SET_PAUSE + SECOND), "key");
}

#[test]
fn an_old_key_set_is_asked_for_again_and_used_meanwhile() {
    let mut state = known(&["a"], Duration::ZERO);
    assert_eq!(next(&state, "a", before(KEY_SET_FRESH)), "key");
    assert_eq!(next(&state, "a", KEY_SET_FRESH), "ask");
    state.asked = Some(KEY_SET_FRESH);
    state.flight = Some(flight(KEY_SET_FRESH));
    assert_eq!(next(&state, "a", KEY_SET_FRESH + SECOND), "key");
    assert_eq!(next(&state, "b", KEY_SET_FRESH + SECOND), "wait");
    let last = before(KEY_SET_USABLE_MAX);
    (state.asked, state.flight) = (Some(before(last)), None);
    assert_eq!(next(&state, "a", last), "key");
    assert_eq!(next(&state, "a", KEY_SET_USABLE_MAX), "unavailable");
}

#[test]
fn a_request_that_nobody_carried_on_is_given_up() {
    let mut state = known(&["a"], Duration::ZERO);
    state.asked = Some(KEY_SET_FRESH);
    state.flight = Some(flight(KEY_SET_FRESH));
    assert_eq!(next(&state, "b", before(KEY_SET_FRESH + FLIGHT)), "wait");
    assert_eq!(next(&state, "b", KEY_SET_FRESH + FLIGHT), "unknown");
    assert_eq!(next(&state, "b", KEY_SET_FRESH + KEY_SET_PAUSE), "ask");
}

#[test]
fn only_the_request_that_is_on_its_way_counts() {
    let mut state = known(&["a"], Duration::ZERO);
    let (old, new) = (flight(SECOND), flight(2 * SECOND));
    state.flight = Some(new.clone());
    state.settle(&old, &None);
    assert!(!state.has_failed && state.flight.is_some());
    state.settle(&new, &Some(keys(&["b"])));
    assert!(state.flight.is_none());
    assert_eq!(next(&state, "b", 3 * SECOND), "key");
    assert_eq!(state.known.as_ref().unwrap().1, 2 * SECOND);
    state.flight = Some(old.clone());
    state.settle(&old, &None);
    assert!(state.has_failed);
    assert_eq!(next(&state, "b", 3 * SECOND), "key");
}

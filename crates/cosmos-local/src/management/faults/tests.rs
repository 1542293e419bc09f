//! Tests of the decision on faults.

use serde_json::json;

use super::*;
use crate::clock;

const BATCH: RequestFacts<'_> = RequestFacts {
    kind: "batch",
    method: "POST",
    database: "d",
    container: "c",
    partition_key: Some("[\"a\"]"),
};

fn effects(faults: &Faults, now: Instant, requests: usize) -> Vec<Effect> {
    (0..requests).map(|_| faults.decide(&BATCH, now).effect).collect()
}

fn add(faults: &Faults, fault: serde_json::Value, now: Instant) -> ActiveFault {
    faults.add(serde_json::from_value(fault).unwrap(), now).unwrap()
}

#[test]
fn a_fault_hits_after_the_skipped_ones_and_as_often_as_said() {
    let (faults, now) = (Faults::default(), clock::monotonic());
    let fault = Fault::new(FaultAction::DropAfter).on_kind("batch").after(1).times(2);
    faults.add(fault, now).unwrap();
    let read = RequestFacts { kind: "read_item", ..BATCH };
    assert_eq!(faults.decide(&read, now), Verdict::default());
    assert_eq!(
        effects(&faults, now, 4),
        [Effect::Pass, Effect::DropAfter, Effect::DropAfter, Effect::Pass]
    );
    assert!(faults.list(now).is_empty());
}

#[test]
fn every_condition_must_hold() {
    let now = clock::monotonic();
    let hits = |matches: serde_json::Value| {
        let faults = Faults::default();
        add(&faults, json!({"match": matches, "action": {"type": "drop-before"}}), now);
        faults.decide(&BATCH, now).effect == Effect::DropBefore
    };
    assert!(hits(json!({})));
    assert!(hits(json!({"kinds": ["read_item", "batch"], "method": "post", "database": "d"})));
    assert!(hits(json!({"container": "c", "partitionKey": "a"})));
    assert!(!hits(json!({"kinds": ["read_item"]})));
    assert!(!hits(json!({"method": "GET"})));
    assert!(!hits(json!({"database": "x"})));
    assert!(!hits(json!({"container": "x"})));
    assert!(!hits(json!({"partitionKey": "b"})));
    assert!(!hits(json!({"partitionKey": null, "container": "x"})));
}

#[test]
fn a_fault_ends_with_its_time() {
    let (faults, now) = (Faults::default(), clock::monotonic());
    let fault = json!({"action": {"type": "status", "status": 503, "substatus": 7}, "seconds": 2});
    add(&faults, fault, now);
    let refused = Effect::Refuse { status: 503, substatus: Some(7), retry_after: None };
    assert_eq!(effects(&faults, now, 2), [refused, refused]);
    assert_eq!(faults.list(now)[0].hits, 2);
    assert_eq!(effects(&faults, now + 2 * SECOND, 1), [Effect::Pass]);
    assert!(faults.list(now).is_empty());
}

#[test]
fn delays_add_up_and_the_first_end_wins() {
    let (faults, now) = (Faults::default(), clock::monotonic());
    for action in [
        json!({"type": "delay", "ms": 5}),
        json!({"type": "delay", "ms": 7}),
        json!({"type": "drop-before"}),
        json!({"type": "drop-after"}),
    ] {
        add(&faults, json!({"action": action, "count": 1}), now);
    }
    let first = faults.decide(&BATCH, now);
    assert_eq!(first, Verdict { delay: Duration::from_millis(12), effect: Effect::DropBefore });
    let second = faults.decide(&BATCH, now);
    assert_eq!(second, Verdict { delay: Duration::ZERO, effect: Effect::DropAfter });
    assert_eq!(faults.decide(&BATCH, now), Verdict::default());
}

#[test]
fn a_rate_lets_so_many_pass_in_each_second() {
    let (faults, now) = (Faults::default(), clock::monotonic());
    faults.add(Fault::new(FaultAction::Throttle(Throttle::per_second(2.0))), now).unwrap();
    assert_eq!(effects(&faults, now, 2), [Effect::Pass; 2]);
    let later = now + Duration::from_millis(300);
    assert_eq!(effects(&faults, later, 1), [throttled(Duration::from_millis(700))]);
    assert_eq!(effects(&faults, now + SECOND, 2), [Effect::Pass; 2]);
    assert!(matches!(effects(&faults, now + SECOND, 1)[..], [Effect::Refuse { status: 429, .. }]));
}

#[test]
fn a_rate_below_one_spans_seconds() {
    let (faults, now) = (Faults::default(), clock::monotonic());
    faults.add(Fault::new(FaultAction::Throttle(Throttle::per_second(0.5))), now).unwrap();
    let passed = |second| effects(&faults, now + SECOND * second, 1) == [Effect::Pass];
    assert_eq!([0, 1, 2, 3, 4].map(passed), [true, false, true, false, true]);
}

#[test]
fn a_ratio_is_spread_evenly() {
    let (faults, now) = (Faults::default(), clock::monotonic());
    faults.add(Fault::new(FaultAction::Throttle(Throttle::ratio(0.5))), now).unwrap();
    let refused = throttled(RETRY_AFTER_DEFAULT);
    assert_eq!(effects(&faults, now, 4), [Effect::Pass, refused, Effect::Pass, refused]);
}

#[test]
fn faults_are_listed_and_removed() {
    let (faults, now) = (Faults::default(), clock::monotonic());
    let first = faults.add(Fault::new(FaultAction::DropBefore), now).unwrap();
    let throttle =
        faults.add(Fault::new(FaultAction::Throttle(Throttle::ratio(1.0))), now).unwrap();
    assert_eq!(faults.list(now), [first.clone(), throttle]);
    faults.clear_throttles();
    assert_eq!(faults.list(now).len(), 1);
    assert!(faults.remove(first.id) && !faults.remove(first.id));
    faults.add(Fault::new(FaultAction::DropBefore), now).unwrap();
    faults.clear();
    assert_eq!(faults.decide(&BATCH, now), Verdict::default());
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (faults, now) = (Faults::default(), clock::monotonic());
    let mut refused = 0;
    for fault in [
        json!({"match": {"kinds": ["append"]}, "action": {"type": "drop-before"}}),
        json!({"match": {"partitionKey": [1]}, "action": {"type": "drop-before"}}),
        json!({"action": {"type": "status", "status": 200}}),
        json!({"action": {"type": "delay", "ms": 86_400_001}}),
        json!({"action": {"type": "throttle"}}),
        json!({"action": {"type": "throttle", "ratio": 2}}),
        json!({"action": {"type": "throttle", "ratio": 1, "requestsPerSecond": 1}}),
        json!({"action": {"type": "drop-before"}, "seconds": -1}),
    ] {
        let fault: Fault = serde_json::from_value(fault).unwrap();
        assert!(faults.add(fault.clone(), now).is_err(), "{fault:?}");
        refused += 1;
    }
    for text in [r#"{"action":{"type":"nothing"}}"#, r#"{"action":{"type":"delay"}}"#, "{}"] {
        assert!(serde_json::from_str::<Fault>(text).is_err(), "{text}");
        refused += 1;
    }
    let typo = r#"{"action":{"type":"drop-before"},"times":1}"#;
    assert!(serde_json::from_str::<Fault>(typo).is_err());
    assert_eq!(refused, 11);
}

//! What is said of a range, from its documents and what the feed has.

use super::*;
use crate::feed::documents::{Rewind, Start};

const NOW: i64 = 1_000_000;
const NOW_SECONDS: u64 = 1_000_000;

fn stored(document: Document, age: u64) -> Stored<Document> {
    Stored { document, etag: "e".to_owned(), stored_at: NOW_SECONDS - age }
}

/// A processor with one lease of `a`, whose last beat and checkpoint are so old.
fn known(beat_age: u64, lease_age: u64, change: impl FnOnce(&mut Topology, &mut Lease)) -> Known {
    let mut topology = Topology {
        start: Start::Beginning,
        made_at: 1,
        generation: 0,
        rewind: None,
        activity: Activity::Running,
        members: vec!["a-1".to_owned()],
        handler: None,
    };
    let mut lease = Lease {
        range: FeedRange::full(),
        owner: Some("a-1".to_owned()),
        epoch: 3,
        generation: 0,
        position: Position::Continuation("c".to_owned()),
        ordinal: 1,
        done_at: None,
        lag: Some(Lag { seconds: 77, transactions: 77 }),
        is_damaged: false,
    };
    change(&mut topology, &mut lease);
    let host = Host {
        instance: "a".to_owned(),
        incarnation: "a-1".to_owned(),
        beat: 1,
        wants: Vec::new(),
    };
    let documents = vec![
        stored(Document::Topology(topology), 500),
        stored(Document::Lease(lease), lease_age),
        stored(Document::Host(host), beat_age),
    ];
    Known::new(documents, NOW).unwrap()
}

fn line(known: &Known, behind: impl Into<Option<Behind>>) -> RangeLag {
    known.range(&known.leases[0], behind.into())
}

fn since(age: u64) -> Behind {
    Behind { since: Some(NOW_SECONDS - age), transactions: 4 }
}

#[test]
fn the_lag_is_that_of_the_feed_and_not_what_was_once_written() {
    let known = known(1, 1, |_, _| {});
    let found = line(&known, since(7));
    let expected = RangeLag {
        range: "-FF".to_owned(),
        owner: Some("a".to_owned()),
        epoch: 3,
        lag_seconds: Some(7),
        lag_transactions: Some(4),
        state: RangeState::Working,
    };
    assert_eq!(found, expected);
    let idle = line(&known, Behind::default());
    assert_eq!((idle.state, idle.lag_seconds), (RangeState::Idle, Some(0)));
    let unknown = line(&known, None);
    assert_eq!((unknown.state, unknown.lag_seconds), (RangeState::Working, None));
}

#[test]
fn stalled_is_told_apart_from_idle_and_from_slow() {
    for (lease_age, behind, state) in [
        (31, since(31), RangeState::Stalled),
        (31, since(30), RangeState::Working),
        (30, since(500), RangeState::Working),
        (500, Behind::default(), RangeState::Idle),
    ] {
        assert_eq!(line(&known(1, lease_age, |_, _| {}), behind).state, state, "{lease_age}");
    }
}

#[test]
fn a_range_is_unowned_when_its_worker_is_gone() {
    let gone = |known: Known| {
        let line = line(&known, since(1));
        assert_eq!((line.state, line.owner), (RangeState::Unowned, None));
    };
    gone(known(1, 1, |_, lease| lease.owner = None));
    gone(known(1, 1, |topology, _| topology.members.clear()));
    gone(known(18, 1, |_, _| {}));
    assert_eq!(line(&known(17, 1, |_, _| {}), since(1)).state, RangeState::Working);
}

#[test]
fn a_processor_that_is_paused_or_rewound_says_so() {
    let paused = known(1, 1, |topology, _| topology.activity = Activity::Paused);
    assert_eq!(line(&paused, since(99)).state, RangeState::Paused);
    let rewound = known(1, 1, |topology, _| {
        (topology.generation, topology.rewind) = (1, Some(Rewind::Beginning));
    });
    assert_eq!(rewound.position(&rewound.leases[0].document), Position::Beginning);
    let seen = known(1, 1, |topology, lease| {
        (topology.generation, topology.rewind) = (1, Some(Rewind::Beginning));
        lease.generation = 1;
    });
    let place = Position::Continuation("c".to_owned());
    assert_eq!(seen.position(&seen.leases[0].document), place);
}

#[test]
fn a_processor_that_was_never_started_is_none() {
    assert!(Known::new(Vec::new(), NOW).is_none());
}

#[test]
fn a_processor_is_as_far_behind_as_its_worst_range() {
    let known = known(1, 1, |_, _| {});
    let ranges = [since(7), since(9), Behind::default()].map(|behind| line(&known, behind));
    let mut lag = ProcessorLag {
        processor: "p".to_owned(),
        ranges: ranges.to_vec(),
        parked: 0,
        hosts: Vec::new(),
        is_whole: true,
    };
    assert_eq!((lag.seconds(), lag.transactions()), (Some(9), Some(8)));
    assert_eq!((lag.count(RangeState::Working), lag.count(RangeState::Idle)), (2, 1));
    lag.is_whole = false;
    assert_eq!((lag.seconds(), lag.transactions()), (None, None));
    lag.is_whole = true;
    lag.ranges.push(line(&known, None));
    assert_eq!((lag.seconds(), lag.transactions()), (None, None));
}

#[test]
fn a_processor_that_lacks_a_lease_is_not_whole() {
    let of = |ranges: &[(&str, &str)]| {
        let mut known = known(1, 1, |_, _| {});
        let lease = known.leases.remove(0);
        for (begin, end) in ranges {
            let mut lease = lease.clone();
            lease.document.range = FeedRange::new(*begin, *end).unwrap();
            known.leases.push(lease);
        }
        known.is_whole()
    };
    for whole in
        [&[("", "FF")][..], &[("", "55"), ("55", "FF")], &[("", "AA"), ("", "55"), ("55", "FF")]]
    {
        assert!(of(whole), "{whole:?}");
    }
    for part in [&[][..], &[("", "55")], &[("55", "FF")], &[("", "55"), ("66", "FF")]] {
        assert!(!of(part), "{part:?}");
    }
}

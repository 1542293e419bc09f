//! How far a rebuild is, from what the leases say.

use super::*;
use crate::feed::{
    FeedRange,
    documents::{Lag, Lease, Position},
};

fn watch() -> Watch {
    Watch { version: 2, begun: Instant::now(), most_left: 0 }
}

/// Leases that are so many transactions behind; nothing for one that nobody has begun.
fn overview(lags: &[Option<u64>]) -> Overview {
    let lease = |lag: &Option<u64>| Lease {
        range: FeedRange::full(),
        owner: None,
        epoch: 1,
        generation: 0,
        position: Position::Beginning,
        ordinal: 0,
        done_at: None,
        lag: lag.map(|transactions| Lag { seconds: 1, transactions }),
        is_damaged: false,
    };
    Overview { leases: lags.iter().map(lease).collect(), ..Overview::default() }
}

fn fraction(watch: &mut Watch, lags: &[Option<u64>]) -> f64 {
    watch.progress(&overview(lags), 0, false).fraction
}

#[tokio::test(start_paused = true)]
async fn the_fraction_follows_from_the_most_that_was_ever_left() {
    let mut watch = watch();
    let near = |one: f64, other: f64| assert!((one - other).abs() < 1e-9, "{one} {other}");
    near(fraction(&mut watch, &[]), 0.0);
    near(fraction(&mut watch, &[None, Some(5)]), 0.0);
    near(fraction(&mut watch, &[Some(300), Some(100)]), 0.0);
    near(fraction(&mut watch, &[Some(0), Some(100)]), 0.75);
    // More has come in than was ever left.
    near(fraction(&mut watch, &[Some(800), Some(0)]), 0.0);
    near(fraction(&mut watch, &[Some(0), Some(0)]), 1.0);
    let done = watch.progress(&overview(&[None]), 7, true);
    near(done.fraction, 1.0);
    assert_eq!((done.version, done.events, done.parked), (2, 7, 0));
}

#[tokio::test(start_paused = true)]
async fn the_time_that_is_left_follows_from_what_is_done() {
    let mut watch = watch();
    assert_eq!(watch.progress(&overview(&[Some(400)]), 0, false).left, None);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let progress = watch.progress(&overview(&[Some(100)]), 500, false);
    let left = progress.left.unwrap().as_secs_f64();
    assert!((left - 10.0 / 3.0).abs() < 0.01, "{left}");
    assert!((progress.events_per_second - 50.0).abs() < 0.1, "{progress:?}");
}

#[test]
fn large_numbers_keep_their_size() {
    for (one, other, expected) in [
        (0, 1, 0.0),
        (3, 4, 0.75),
        (1 << 40, 1 << 39, 2.0),
        ((1 << 52) - 1, 1, 4_503_599_627_370_495.0),
    ] {
        assert!((ratio(one, other) - expected).abs() < 1e-6, "{one} {other}");
    }
}

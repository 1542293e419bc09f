//! What can happen, one thing after the other and everything at once.

use std::time::Duration;

use super::{Plan, run, seeds, simulate, with_seeds, world::World};
use crate::feed::handler::Random;

#[test]
fn fine_weather() {
    with_seeds(30, |_| Plan { hosts: 2, partitions: 3, is_cooperative: true, ..Plan::default() });
}

/// The documents of hosts that died long ago are gone, and their leases are free nevertheless.
#[test]
fn a_dead_host_without_a_document_is_struck_off() {
    run(1, async {
        let mut world = World::new(1);
        let mut random = Random::new(1);
        world.prepare(Plan { hosts: 1, partitions: 2, ..Plan::default() }, &mut random);
        world.pass(Duration::from_secs(10)).await;
        world.replace_host(&mut random).await;
        world.write(&mut random);
        world.calm(&mut random).await;
        world.check_all();
    });
}

/// The same seed is the same run.
#[test]
fn a_run_can_be_repeated() {
    for seed in 0..3 {
        let runs = [(); 2].map(|()| run(seed, simulate(seed, everything)));
        assert_eq!(runs[0], runs[1]);
        assert_ne!(runs[0], 0);
    }
}

#[test]
fn hosts_come_and_go() {
    with_seeds(120, |_| Plan { hosts: 5, partitions: 4, kills: 15, stops: 15, ..Plan::default() });
}

/// Hosts join and stop, and nothing else: nothing comes twice.
#[test]
fn cooperative_moves_repeat_nothing() {
    with_seeds(100, |random| Plan {
        hosts: 5,
        partitions: 5,
        stops: 25,
        skew: true,
        handler_ms: 40 + random.next() % 2 * 360,
        stale_ms: random.next() % 2 * 2000,
        is_cooperative: true,
        ..Plan::default()
    });
}

#[test]
fn requests_and_answers_get_lost() {
    with_seeds(110, |random| Plan {
        hosts: 3,
        partitions: 3,
        lost: 5 + random.next() % 60,
        late: random.next() % 60,
        kills: 8,
        outages: 10,
        ..Plan::default()
    });
}

#[test]
fn partitions_are_split_and_merged() {
    with_seeds(120, |random| Plan {
        hosts: 3,
        partitions: 3,
        splits: 15,
        merges: 12,
        kills: 8,
        reads_parts: random.next().is_multiple_of(2),
        lost: random.next() % 20,
        ..Plan::default()
    });
}

#[test]
fn handlers_fail_and_keys_are_parked() {
    with_seeds(90, |_| Plan {
        hosts: 3,
        partitions: 2,
        failures: 100,
        poison: true,
        kills: 8,
        stops: 8,
        ..Plan::default()
    });
}

/// Slow, throttled or away for minutes: the leases while the feed works, and the reverse.
#[test]
fn a_store_is_away_for_minutes() {
    with_seeds(40, |random| Plan {
        hosts: 3,
        partitions: 3,
        troubles: 50,
        kills: 2,
        splits: 4,
        merges: 4,
        late: random.next() % 40,
        seconds: 400,
        ..Plan::default()
    });
}

/// Who is taken for dead comes back at that very moment.
#[test]
fn hosts_come_back() {
    with_seeds(80, |random| Plan {
        hosts: 3,
        partitions: 4,
        cuts: 25,
        late: random.next() % 200,
        handler_ms: if random.next().is_multiple_of(2) { 2000 } else { 40 },
        ..Plan::default()
    });
}

/// Nobody may compare clocks, and listings are as old as a session allows.
#[test]
fn clocks_are_off_and_listings_old() {
    with_seeds(90, |random| Plan {
        hosts: 4,
        partitions: 4,
        skew: true,
        stale_ms: 500 + random.next() % 9000,
        poison: true,
        cuts: random.next() % 2 * 15,
        kills: 10,
        stops: 10,
        splits: 6,
        merges: 5,
        ..Plan::default()
    });
}

/// A run lasts longer than it takes to find a host dead.
#[test]
fn handlers_are_slower_than_the_expiry() {
    with_seeds(40, |_| Plan {
        hosts: 3,
        partitions: 3,
        handler_ms: 15_000,
        kills: 6,
        stops: 6,
        outages: 4,
        ..Plan::default()
    });
}

#[test]
fn one_key_has_most_of_the_changes() {
    with_seeds(40, |_| Plan {
        hosts: 3,
        partitions: 4,
        hot: true,
        handler_ms: 200,
        kills: 8,
        stops: 8,
        splits: 4,
        ..Plan::default()
    });
}

/// Pauses, resumptions and rewinds at any moment.
#[test]
fn an_operator_pauses_and_rewinds() {
    with_seeds(80, |random| Plan {
        hosts: 3,
        partitions: 3,
        controls: 20,
        kills: 6,
        stops: 6,
        lost: random.next() % 2 * 20,
        seconds: 120,
        ..Plan::default()
    });
}

/// Keys become poison and well again, and are tried again at any moment.
#[test]
fn parked_keys_are_tried_again() {
    with_seeds(120, |random| Plan {
        hosts: 3,
        partitions: 3,
        redrives: 60,
        kills: 6,
        stops: 8,
        splits: 5,
        merges: 4,
        reads_parts: random.next().is_multiple_of(2),
        lost: random.next() % 2 * 20,
        late: random.next() % 2 * 60,
        stale_ms: random.next() % 2 * 3000,
        ..Plan::default()
    });
}

/// More leases than one commit can name.
#[test]
fn a_thousand_leases() {
    for seed in seeds(2) {
        run(seed, async {
            let (mut world, mut random) = (World::new(seed), Random::new(seed));
            world.prepare_without_hosts(Plan { partitions: 1000, ..Plan::default() });
            for _ in 0..3 {
                world.start(&mut random);
                for _ in 0..10 {
                    world.write(&mut random);
                    world.pass(Duration::from_secs(1)).await;
                }
            }
            let shares = world.shares();
            assert!(shares.values().all(|count| (333..=334).contains(count)), "{shares:?}");
            let host = world.take_host(&mut random).unwrap();
            World::kill(host);
            world.write(&mut random);
            world.pass(Duration::from_secs(20)).await;
            assert_eq!(world.shares().values().collect::<Vec<_>>(), [&500, &500]);
            world.calm(&mut random).await;
            world.check_all();
        });
    }
}

fn everything(random: &mut Random) -> Plan {
    Plan {
        hosts: 5,
        partitions: 4,
        kills: 12,
        stops: 8,
        splits: 6,
        merges: 5,
        outages: 6,
        hands: 4,
        lost: random.next() % 30,
        late: random.next() % 30,
        failures: 60,
        poison: true,
        handler_ms: if random.next().is_multiple_of(3) { 3000 } else { 40 },
        reads_parts: random.next().is_multiple_of(2),
        stale_ms: random.next() % 2 * 3000,
        skew: true,
        ..Plan::default()
    }
}

#[test]
fn everything_at_once() {
    with_seeds(140, everything);
}

//! Whole processors in a deterministic simulation: the real loops on a feed and a lease store in memory,
//! under paused time, with one seed for everything that looks random.
//!
//! `FEED_SEEDS=100000 cargo test --release --lib feed::simulation` runs more seeds, and
//! `FEED_SEED=7 cargo test --lib feed::simulation` runs one again.

mod recorder;
mod world;

use std::time::Duration;

use super::handler::Random;
use world::World;

/// The seeds of an ordinary run.
const SEEDS: u64 = 1000;
/// How long faults go on in one run, in virtual time.
const STORM: Duration = Duration::from_mins(1);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Runs a scenario with each seed; a failure says which one to repeat.
fn with_seeds(share: u64, scenario: fn(&mut Random, &mut World) -> Plan) {
    let seeds = match number("FEED_SEED") {
        Some(seed) => seed..seed.saturating_add(1),
        None => 0..number("FEED_SEEDS").unwrap_or(SEEDS).div_ceil(share),
    };
    for seed in seeds {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let run = std::panic::AssertUnwindSafe(|| {
            runtime.block_on(async {
                tokio::time::pause();
                simulate(seed, scenario).await;
            });
        });
        if let Err(panic) = std::panic::catch_unwind(run) {
            let name = std::thread::current().name().unwrap_or_default().to_owned();
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            panic!(
                "{}\nrepeat with: FEED_SEED={seed} cargo test --lib {name}",
                text.unwrap_or_default()
            );
        }
    }
}

/// What happens in a scenario.
#[derive(Debug, Clone, Copy, Default)]
struct Plan {
    hosts: u64,
    partitions: u64,
    reads_parts: bool,
    /// In thousandths of what happens at each step.
    kills: u64,
    stops: u64,
    splits: u64,
    merges: u64,
    outages: u64,
    hands: u64,
    lost: u64,
    failures: u64,
    poison: bool,
    slow: bool,
}

async fn simulate(seed: u64, scenario: fn(&mut Random, &mut World) -> Plan) {
    let mut random = Random::new(seed);
    let mut world = World::new(seed);
    let plan = scenario(&mut random, &mut world);
    world.prepare(plan, &mut random);
    let mut now = Duration::ZERO;
    while now < STORM {
        let step = Duration::from_millis(20 + random.next() % 400);
        tokio::time::sleep(step).await;
        now = now.saturating_add(step);
        world.step(&mut random);
        world.check();
    }
    world.calm(&mut random).await;
    world.check_all();
}

#[test]
fn fine_weather() {
    with_seeds(10, |_, _| Plan { hosts: 2, partitions: 3, ..Plan::default() });
}

/// The documents of hosts that died long ago are gone, and their leases are free nevertheless.
#[test]
fn a_dead_host_without_a_document_is_struck_off() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        tokio::time::pause();
        let mut world = World::new(1);
        let mut random = Random::new(1);
        world.prepare(Plan { hosts: 1, partitions: 2, ..Plan::default() }, &mut random);
        tokio::time::sleep(Duration::from_secs(10)).await;
        world.replace_host(&mut random).await;
        world.step(&mut random);
        world.calm(&mut random).await;
        world.check_all();
    });
}

#[test]
fn hosts_come_and_go() {
    with_seeds(4, |_, _| Plan { hosts: 5, partitions: 4, kills: 15, stops: 15, ..Plan::default() });
}

#[test]
fn requests_and_answers_get_lost() {
    with_seeds(5, |random, _| Plan {
        hosts: 3,
        partitions: 3,
        lost: 5 + random.next() % 60,
        kills: 8,
        outages: 10,
        ..Plan::default()
    });
}

#[test]
fn partitions_are_split_and_merged() {
    with_seeds(4, |random, _| Plan {
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
    with_seeds(5, |_, _| Plan {
        hosts: 3,
        partitions: 2,
        failures: 100,
        poison: true,
        kills: 8,
        stops: 8,
        ..Plan::default()
    });
}

#[test]
fn everything_at_once() {
    with_seeds(4, |random, _| Plan {
        hosts: 5,
        partitions: 4,
        kills: 12,
        stops: 8,
        splits: 6,
        merges: 5,
        outages: 6,
        hands: 4,
        lost: random.next() % 30,
        failures: 60,
        poison: true,
        slow: random.next().is_multiple_of(3),
        reads_parts: random.next().is_multiple_of(2),
    });
}

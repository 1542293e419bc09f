//! Whole processors in a deterministic simulation: the real loops on a feed and a lease store in memory,
//! under paused time, with one seed for everything that looks random.
//!
//! `FEED_SEEDS=100000 cargo test --release --lib feed::simulation` runs more seeds. A failure prints the
//! command that runs its seed again; `FEED_TRACE=1` and `--nocapture` print what happens in it.
//!
//! Hosts share one monotonic clock, and a transaction has the same number in all partitions: what hangs
//! on either is not found here.

mod crashes;
mod device;
mod ledger;
mod recorder;
mod scenarios;
mod storm;
mod world;

use std::{ops::Range, time::Duration};

use super::handler::Random;
use world::World;

/// The seeds of an ordinary run, of all scenarios together.
const SEEDS: u64 = 1000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// The seeds of a scenario that has so many thousandths of all.
fn seeds(share: u64) -> Range<u64> {
    match number("FEED_SEED") {
        Some(seed) => seed..seed.saturating_add(1),
        None => 0..(number("FEED_SEEDS").unwrap_or(SEEDS) * share).div_ceil(1000),
    }
}

/// Runs something under paused time, and says how to repeat it when it fails.
fn run<T>(seed: u64, work: impl Future<Output = T>) -> T {
    // Paused from the start: timers count whole milliseconds, and these must always begin at the same place.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let run = std::panic::AssertUnwindSafe(|| runtime.block_on(work));
    std::panic::catch_unwind(run).unwrap_or_else(|panic| {
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        panic!(
            "{}\nrepeat with: FEED_SEED={seed} cargo test --lib -- --exact {name}",
            text.unwrap_or_default()
        );
    })
}

/// Runs a scenario with its share of the seeds, in thousandths.
fn with_seeds(share: u64, scenario: fn(&mut Random) -> Plan) {
    for seed in seeds(share) {
        run(seed, simulate(seed, scenario));
    }
}

/// What happens in a scenario. What happens at a step is in thousandths.
#[allow(
    clippy::struct_excessive_bools,
    reason = "they are independent, and named where they are set"
)]
#[derive(Debug, Clone, Copy, Default)]
struct Plan {
    hosts: u64,
    partitions: u64,
    reads_parts: bool,
    /// Hosts that die, and that stop cleanly.
    kills: u64,
    stops: u64,
    splits: u64,
    merges: u64,
    /// A store is away for seconds; something is wrong with one for minutes.
    outages: u64,
    troubles: u64,
    /// A host is cut off from the leases until about when it counts as dead.
    cuts: u64,
    /// Leases that are deleted or spoiled by hand.
    hands: u64,
    /// Requests and answers that get lost, and commits that are carried out late.
    lost: u64,
    late: u64,
    /// Pauses, resumptions and rewinds.
    controls: u64,
    /// Parked keys that are tried again, and keys that become poison or well again.
    redrives: u64,
    /// The processor begins with what is stored after it was made.
    starts_now: bool,
    /// Runs that fail.
    failures: u64,
    poison: bool,
    /// How long a run takes at the most; 40 where it is 0.
    handler_ms: u64,
    /// How old listings are at the most.
    stale_ms: u64,
    /// Clocks of hosts are minutes off, and go at a wrong pace.
    skew: bool,
    /// One key has most of the changes.
    hot: bool,
    /// How long all of this goes on, in virtual time; a minute where it is 0.
    seconds: u64,
    /// Nothing goes wrong, so nothing may come twice.
    is_cooperative: bool,
}

impl Plan {
    fn handler_time(&self) -> Duration {
        Duration::from_millis(if self.handler_ms == 0 { 40 } else { self.handler_ms })
    }

    fn time(&self) -> Duration {
        Duration::from_secs(if self.seconds == 0 { 60 } else { self.seconds })
    }
}

/// Gives what has happened, as a number.
async fn simulate(seed: u64, scenario: fn(&mut Random) -> Plan) -> u64 {
    let mut random = Random::new(seed);
    let mut world = World::new(seed);
    let plan = scenario(&mut random);
    world.prepare(plan, &mut random);
    let mut now = Duration::ZERO;
    while now < plan.time() {
        let step = Duration::from_millis(20 + random.next() % 400);
        world.pass(step).await;
        now = now.saturating_add(step);
        world.step(&mut random);
    }
    world.calm(&mut random).await;
    world.check_all();
    world.ledger.digest
}

//! The real binary, killed (`kill -9`) at random moments under load: nothing acknowledged is lost, and
//! nothing is applied twice.
//!
//! The numbers that a test draws follow from a seed, which a failure prints; `CRASH_SEED` gives it
//! another time. What runs when remains the operating system's choice.

mod import;
mod ledger;
mod load;
mod program;
mod service;

use std::{
    hash::{BuildHasher as _, RandomState},
    io::Write as _,
    path::Path,
    time::Duration,
};

use cosmos_event_store::EventStore;

use self::{
    ledger::Ledger,
    load::{Load, put_load_on},
    program::Program,
};
use crate::fixture::options;

/// Kills under load in one test.
const ROUNDS: u64 = 6;
/// A start takes about this long; one that is cut off is cut off within.
const START: Duration = Duration::from_millis(60);

/// Numbers that look random and follow from a seed (`SplitMix64`), which is printed when the test
/// fails.
struct Luck {
    seed: u64,
    state: u64,
}

impl Luck {
    fn new() -> Self {
        let given = std::env::var("CRASH_SEED").ok();
        let seed = given.map_or_else(
            || RandomState::new().hash_one("seed") >> 32,
            |seed| seed.parse().expect("CRASH_SEED is a number"),
        );
        Self { seed, state: seed }
    }

    /// Luck of its own for a task.
    fn fork(&mut self) -> Self {
        Self { seed: self.seed, state: self.below(u64::MAX) }
    }

    /// A number from 0 to `end`, without `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    /// Part of a time.
    fn part_of(&mut self, time: Duration) -> Duration {
        time * u32::try_from(self.below(1000)).unwrap() / 1000
    }
}

impl Drop for Luck {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = writeln!(std::io::stderr(), "CRASH_SEED={} gives these numbers", self.seed);
            drop(said);
        }
    }
}

/// Starts and kills it before or just after it is ready.
async fn cut_off_a_start(folder: &Path, luck: &mut Luck) {
    let mut program = Program::endpoint(folder);
    // Nothing is waited for: this is the moment of the kill.
    tokio::time::sleep(luck.part_of(START)).await;
    program.kill();
}

async fn connect(program: &mut Program) -> EventStore {
    let endpoint = program.ready();
    EventStore::provision_and_connect(options(&endpoint)).await.unwrap().0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_under_load_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut luck = Luck::new();
    let mut ledger = Ledger::default();
    for round in 0..=ROUNDS {
        for _start in 0..luck.below(3) {
            cut_off_a_start(folder.path(), &mut luck).await;
        }
        let mut program = Program::endpoint(folder.path());
        let store = connect(&mut program).await;
        ledger.settle(&store).await;
        if round < ROUNDS {
            let load = Load::new(store, program, 5 + luck.below(60));
            ledger.add(put_load_on(load, &mut luck).await);
        }
    }
    assert!(ledger.unanswered > 0, "no kill came between a request and its answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_kill_leaves_half_made_is_made_at_the_next_start() {
    let mut luck = Luck::new();
    for _round in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::default();
        let mut program = Program::endpoint(folder.path());
        let endpoint = program.ready();
        let provisioning = EventStore::provision_and_connect(options(&endpoint));
        let provisioned = tokio::time::timeout(luck.part_of(START), Box::pin(provisioning)).await;
        program.kill();
        drop(provisioned);
        let mut program = Program::endpoint(folder.path());
        let store = connect(&mut program).await;
        ledger.add(put_load_on(Load::new(store, program, 3), &mut luck).await);
        let mut program = Program::endpoint(folder.path());
        ledger.settle(&connect(&mut program).await).await;
    }
}

//! Whether every event counts once, whatever happens: histories, owners, crashes and weather from seeds.
//!
//! Each seed delivers a history to a projection in a bad way, and compares all documents with those of a plain
//! model that folds every stream from zero. `PROJECTION_SEEDS=100000 cargo test --release --lib
//! projection::exactness` runs more seeds. A failure prints the command that runs its seed again.
//!
//! Others than these handlers write nothing here, and a read is at most one version old.

mod attacks;
mod crashes;
mod devices;
mod model;
mod processors;
mod projections;
mod storm;

pub(super) use self::projections::{Broken, Chains, Lines, Sums, event};

use std::{ops::Range, panic::AssertUnwindSafe, time::Duration};

/// The seeds of an ordinary run, of all scenarios together.
const SEEDS: u64 = 1000;
/// How long one seed may take, in virtual time: only what hangs gets there.
const TIME_MAX: Duration = Duration::from_hours(1);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// The seeds of a scenario that has so many thousandths of all.
fn seeds(share: u64) -> Range<u64> {
    match number("PROJECTION_SEED") {
        Some(seed) => seed..seed.saturating_add(1),
        None => 0..(number("PROJECTION_SEEDS").unwrap_or(SEEDS) * share).div_ceil(1000),
    }
}

/// Runs something, and says how to repeat it when it fails.
fn run<T>(seed: u64, work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let work = async { tokio::time::timeout(TIME_MAX, work).await.expect("it hangs") };
    let run = AssertUnwindSafe(|| runtime.block_on(work));
    std::panic::catch_unwind(run).unwrap_or_else(|panic| {
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        panic!(
            "{}\nrepeat with: PROJECTION_SEED={seed} cargo test --lib -- --exact {name}",
            text.unwrap_or_default()
        );
    })
}

/// Numbers that look random (`SplitMix64`).
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below another one.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// A place among so many.
    pub(super) fn place(&mut self, count: usize) -> usize {
        usize::try_from(self.below(u64::try_from(count).unwrap())).unwrap()
    }

    pub(super) fn chance(&mut self, thousandths: u64) -> bool {
        self.below(1000) < thousandths
    }
}

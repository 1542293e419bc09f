//! Numbers that look random and are always the same for a seed (`SplitMix64`).

use std::time::Duration;

/// The generator's state.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` to `high`, both of them included.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        let choices = high.saturating_sub(low).saturating_add(1);
        low.saturating_add(self.next().checked_rem(choices).unwrap_or(0))
    }

    /// Whether something happens that happens so many times out of a hundred.
    pub(super) fn percent(&mut self, chance: u64) -> bool {
        self.between(1, 100) <= chance
    }

    /// One of these; there is at least one.
    pub(super) fn pick<T: Copy, const N: usize>(&mut self, choices: &[T; N]) -> T {
        const { assert!(N > 0) };
        let last = u64::try_from(N).unwrap_or(u64::MAX).saturating_sub(1);
        let index = usize::try_from(self.between(0, last)).unwrap_or(0);
        *choices.get(index).unwrap_or(&choices[0])
    }

    /// A time between so many seconds, to the millisecond.
    pub(super) fn seconds(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low.saturating_mul(1000), high.saturating_mul(1000)))
    }
}

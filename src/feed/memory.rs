//! A feed and a lease store in memory, with faults: for simulations and tests of handlers.
//!
//! They behave like the service where that matters: several partitions that can be split and merged,
//! changes of one transaction in any order, etags, commits that are all or nothing, answers that get
//! lost, and time that passes on the way.

mod feed;
mod leases;

pub use self::{
    feed::{MemoryFeed, Written, place_lsn},
    leases::{Changed, Commit, MemoryLeases},
};

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::handler::Random;

/// The time of day at which a simulation begins, in seconds since 1970, as the service stamps it: late
/// enough that a time before it is still one.
const DAWN: u64 = 1_700_000_000;

/// What goes wrong, and how long things take. Shared by all hosts of a simulation.
#[derive(Debug, Clone)]
pub struct Weather(Arc<Mutex<Sky>>);

#[derive(Debug)]
struct Sky {
    random: Random,
    latency: Duration,
    /// In thousandths: requests that are not carried out, and answers that get lost.
    lost_requests: u64,
    lost_answers: u64,
    is_down: bool,
    is_throttled: bool,
    /// Listings may be this old.
    staleness: Duration,
}

/// What becomes of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Done,
    /// It does not arrive.
    LostRequest,
    /// It is carried out, and nobody hears of it.
    LostAnswer,
    /// It is refused at once.
    Throttled,
}

impl Weather {
    /// Fine weather: answers take up to this long, and nothing goes wrong.
    pub fn fine(seed: u64, latency: Duration) -> Self {
        Self(Arc::new(Mutex::new(Sky {
            random: Random::new(seed),
            latency,
            lost_requests: 0,
            lost_answers: 0,
            is_down: false,
            is_throttled: false,
            staleness: Duration::ZERO,
        })))
    }

    /// Lets so many of a thousand requests and answers get lost.
    pub fn lose(&self, requests: u64, answers: u64) {
        let mut sky = self.sky();
        (sky.lost_requests, sky.lost_answers) = (requests, answers);
    }

    /// Lets nothing through, or everything again.
    pub fn set_down(&self, is_down: bool) {
        self.sky().is_down = is_down;
    }

    /// Refuses everything at once, or nothing any more, as when there is no throughput left.
    pub fn set_throttled(&self, is_throttled: bool) {
        self.sky().is_throttled = is_throttled;
    }

    /// Lets each way of a request take up to this long.
    pub fn set_latency(&self, latency: Duration) {
        self.sky().latency = latency;
    }

    /// Lets listings be up to this old, but never older than what their reader has written or read.
    pub fn set_staleness(&self, staleness: Duration) {
        self.sky().staleness = staleness;
    }

    fn staleness(&self) -> Duration {
        self.sky().staleness
    }

    fn sky(&self) -> std::sync::MutexGuard<'_, Sky> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that follows from the seed.
    pub(super) fn below(&self, end: u64) -> u64 {
        self.sky().random.next() % end.max(1)
    }

    /// What becomes of a request, and how long its two ways take.
    fn fate(&self) -> (Fate, Duration, Duration) {
        let mut sky = self.sky();
        let micros = u64::try_from(sky.latency.as_micros()).unwrap_or(u64::MAX).max(1);
        let way = |random: &mut Random| Duration::from_micros(random.next() % micros);
        let (there, back) = (way(&mut sky.random), way(&mut sky.random));
        let (one, other) = (sky.random.next() % 1000, sky.random.next() % 1000);
        let fate = if sky.is_down || one < sky.lost_requests {
            Fate::LostRequest
        } else if sky.is_throttled {
            Fate::Throttled
        } else if other < sky.lost_answers {
            Fate::LostAnswer
        } else {
            Fate::Done
        };
        (fate, there, back)
    }
}

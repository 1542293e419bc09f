//! A feed and a lease store in memory, with faults: for simulations and tests of handlers.
//!
//! They behave like the service where that matters: several partitions that can be split and merged,
//! changes of one transaction in any order, etags, commits that are all or nothing, answers that get
//! lost, and time that passes on the way.

mod feed;
mod leases;

pub use self::{
    feed::{MemoryFeed, Written},
    leases::MemoryLeases,
};

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::handler::Random;

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
}

/// What becomes of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Done,
    /// It does not arrive.
    LostRequest,
    /// It is carried out, and nobody hears of it.
    LostAnswer,
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

    fn sky(&self) -> std::sync::MutexGuard<'_, Sky> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that follows from the seed.
    fn below(&self, end: u64) -> u64 {
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
        } else if other < sky.lost_answers {
            Fate::LostAnswer
        } else {
            Fate::Done
        };
        (fate, there, back)
    }
}

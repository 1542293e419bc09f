//! Deliveries in any order that a feed may have, by several owners at once, some of which die.

use std::{pin::pin, sync::Arc, task::Poll};

use tokio::task::JoinSet;

use super::{
    Random,
    model::{Documents, Which, assert_same, stored},
    projections::{Broken, random_history},
    run, seeds,
};
use crate::{
    event::RecordedEvent,
    projection::{
        ProjectionHandler,
        memory::{MemoryHistory, MemoryViews, Weather},
    },
};

/// A future that is dropped after it was polled so often; nothing when that was before its end.
pub(crate) async fn cut_after<T>(polls: u64, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        work.as_mut().poll(context).map(Some)
    })
    .await
}

/// Streams, a projection of them, and who works on it.
pub(crate) struct World {
    pub(crate) which: Which,
    pub(crate) history: Vec<Vec<RecordedEvent>>,
    pub(crate) views: MemoryViews,
    pub(crate) broken: Broken,
    events: MemoryHistory,
    pub(crate) owners: Vec<ProjectionHandler>,
    /// Up to where each stream is known to be applied.
    reached: Vec<usize>,
    /// Up to where each stream was sent.
    sent: Vec<usize>,
}

impl World {
    pub(crate) fn new(which: Which, history: Vec<Vec<RecordedEvent>>, owners: u64) -> Self {
        let events = MemoryHistory::default();
        for stream in &history {
            events.store(stream.iter().cloned());
        }
        let mut world = Self {
            which,
            reached: vec![0; history.len()],
            sent: vec![0; history.len()],
            history,
            views: MemoryViews::new(Weather::fine(0)),
            broken: Broken::default(),
            events,
            owners: Vec::new(),
        };
        for owner in 0..owners {
            let owner = world.owner(Weather::fine(owner));
            world.owners.push(owner);
        }
        world
    }

    /// Somebody who has remembered nothing yet.
    pub(crate) fn owner(&self, weather: Weather) -> ProjectionHandler {
        let views = Arc::new(self.views.in_weather(weather));
        let projection = self.which.projection(&self.broken);
        ProjectionHandler::new(projection, 1, views, Arc::new(self.events.clone()))
    }

    pub(crate) fn stored(&self) -> Documents {
        stored(&self.views.peek())
    }

    /// What must be stored when everything was delivered.
    pub(crate) fn expected(&self) -> Documents {
        self.which.replayed(&self.history)
    }

    fn name(&self, stream: usize) -> String {
        self.history[stream][0].stream().to_owned()
    }

    /// The next delivery of a stream: mostly what comes next, sometimes from before, sometimes what is not
    /// yet its turn.
    fn next_range(&mut self, stream: usize, random: &mut Random) -> (usize, usize) {
        let count = self.history[stream].len();
        let from = match random.below(8) {
            0 => 0,
            1 => random.place(count),
            2 => random.place(self.sent[stream] + 1),
            _ => self.sent[stream],
        };
        let from = from.min(count - 1);
        let end = (from + 1 + random.place(6)).min(count);
        self.sent[stream] = if random.chance(150) { random.place(count) } else { end };
        (from, end)
    }

    /// Whether a delivery brings everything before it: what is missing before events that are not taken is
    /// left to those who deliver it.
    fn fills(&self, stream: usize, from: usize, end: usize) -> bool {
        let definition = self.which.projection(&self.broken).definition().clone();
        let mut events = self.history[stream][from..end].iter();
        from <= self.reached[stream]
            || events.any(|event| definition.takes_type(event.event_type().as_str()))
    }

    /// Some deliveries at the same time. Each may be sent twice, and any may be cut off.
    async fn round(&mut self, random: &mut Random, cuts: u64) {
        let mut deliveries = JoinSet::new();
        for _ in 0..=random.below(5) {
            let stream = random.place(self.history.len());
            let owner = random.place(self.owners.len());
            let (from, end) = self.next_range(stream, random);
            let events = self.history[stream][from..end].to_vec();
            let (handler, name) = (self.owners[owner].clone(), self.name(stream));
            let is_twice = random.chance(500);
            let polls = if random.chance(cuts) { random.below(12) } else { u64::MAX };
            deliveries.spawn(async move {
                let work = async {
                    let first = handler.apply(&name, events.clone()).await;
                    if is_twice { handler.apply(&name, events).await.and(first) } else { first }
                };
                (stream, from, end, cut_after(polls, work).await)
            });
        }
        while let Some(done) = deliveries.join_next().await {
            let (stream, from, end, outcome) = done.unwrap();
            match outcome {
                Some(Ok(())) if self.fills(stream, from, end) => {
                    self.reached[stream] = self.reached[stream].max(end);
                }
                Some(Err(fault)) if fault.is_poison() => {
                    let is_broken = self.broken.has(&self.name(stream));
                    assert!(is_broken, "stream {stream} is parked: {fault}");
                }
                Some(_) | None => {}
            }
        }
    }

    /// What was not reached yet is delivered, as a feed does that is at rest.
    pub(crate) async fn settle(&mut self, random: &mut Random) {
        for stream in 0..self.history.len() {
            let mut tries = 0;
            while self.reached[stream] < self.history[stream].len() {
                let from = self.reached[stream];
                let step = 1 + random.place(10);
                let end = (from + step).min(self.history[stream].len());
                let owner = random.place(self.owners.len());
                let events = self.history[stream][from..end].to_vec();
                match self.owners[owner].apply(&self.name(stream), events).await {
                    Ok(()) => self.reached[stream] = end,
                    Err(fault) => {
                        tries += 1;
                        assert!(!fault.is_poison() && tries < 100, "{stream}: {fault}");
                    }
                }
            }
        }
    }

    /// Everything comes again, to somebody who has remembered nothing.
    pub(crate) async fn again(&self) {
        let owner = self.owner(Weather::fine(0));
        for events in &self.history {
            owner.apply(events[0].stream(), events.clone()).await.unwrap();
        }
    }

    /// Compares everything, and once more after everything has come again.
    pub(crate) async fn check(&self, when: &str) {
        let expected = self.expected();
        assert_same(&self.stored(), &expected, when);
        self.again().await;
        assert_same(&self.stored(), &expected, "after all of it has come again");
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy)]
struct Plan {
    owners: u64,
    rounds: u64,
    is_rough: bool,
    /// In thousandths.
    cuts: u64,
    restarts: u64,
    breaks: u64,
}

async fn storm(seed: u64, plan: Plan) {
    let random = &mut Random::new(seed);
    let which = Which::ALL[usize::try_from(seed % 4).unwrap()];
    let mut world = World::new(which, random_history(random, 24), 0);
    let weather = |random: &mut Random| {
        let seed = random.next();
        if plan.is_rough { Weather::rough(seed) } else { Weather::fine(seed) }
    };
    for _ in 0..plan.owners {
        world.owners.push(world.owner(weather(random)));
    }
    for _ in 0..plan.rounds {
        world.round(random, plan.cuts).await;
        for place in 0..world.owners.len() {
            if random.chance(plan.restarts) {
                world.owners[place] = world.owner(weather(random));
            }
        }
        let (breaks, mends) = (random.chance(plan.breaks), random.chance(plan.breaks));
        if breaks {
            let stream = random.place(world.history.len());
            let number = 1 + random.below(u64::try_from(world.history[stream].len()).unwrap());
            world.broken.spoil(&world.name(stream), number);
        } else if mends {
            world.broken.mend();
        }
    }
    world.broken.mend();
    world.settle(random).await;
    world.check(&format!("{which:?}")).await;
}

fn with_seeds(share: u64, plan: Plan) {
    for seed in seeds(share) {
        run(seed, storm(seed, plan));
    }
}

const FINE: Plan = Plan { owners: 1, rounds: 10, is_rough: false, cuts: 0, restarts: 0, breaks: 0 };

#[test]
fn every_event_counts_once_however_it_is_delivered() {
    with_seeds(100, FINE);
}

#[test]
fn owners_overlap_in_bad_weather() {
    with_seeds(400, Plan { owners: 3, rounds: 12, is_rough: true, restarts: 50, ..FINE });
}

#[test]
fn owners_die_in_the_middle() {
    with_seeds(300, Plan { owners: 2, cuts: 400, is_rough: true, restarts: 100, ..FINE });
}

#[test]
fn what_was_parked_is_applied_in_order_when_it_is_mended() {
    with_seeds(200, Plan { owners: 2, cuts: 100, is_rough: true, breaks: 300, ..FINE });
}

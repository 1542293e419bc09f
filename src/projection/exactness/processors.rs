//! End to end: processors on a feed in memory, whose hosts are killed and started again.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt as _, future::BoxFuture};

use super::{Random, model::Which, projections::random_history, run, seeds, storm::World};
use crate::{
    event::RecordedEvent,
    feed::{
        Delivery, FeedRange, Handler, HandlerFault, Processor, ProcessorOptions, RunningProcessor,
        memory::{MemoryFeed, MemoryLeases, Weather as FeedWeather},
    },
    projection::{ProjectionHandler, memory::Weather},
};

/// Gives the events that the changes stand for to the projection.
struct Applies {
    history: Arc<Vec<Vec<RecordedEvent>>>,
    projection: ProjectionHandler,
}

impl Handler for Applies {
    fn handle<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Result<(), HandlerFault>> {
        let is_it = |events: &&Vec<RecordedEvent>| events[0].stream() == delivery.key;
        let stream = self.history.iter().find(is_it).unwrap();
        let event = |order: u64| stream[usize::try_from(order - 1).unwrap()].clone();
        let events = delivery.changes.iter().map(|change| event(change.order)).collect();
        async move { self.projection.apply(&delivery.key, events).await }.boxed()
    }
}

struct Hosts {
    feed: MemoryFeed,
    leases: MemoryLeases,
    history: Arc<Vec<Vec<RecordedEvent>>>,
    running: Vec<RunningProcessor>,
    started: u64,
}

impl Hosts {
    fn start(&mut self, world: &World, random: &mut Random) {
        self.started += 1;
        let name = format!("host-{}", self.started);
        let mut options = ProcessorOptions::new(name.clone());
        options.poll_max = Duration::from_secs(2);
        let weather = Weather { turns: 0, ..Weather::rough(random.next()) };
        let projection = world.owner(weather);
        let handler = Applies { history: Arc::clone(&self.history), projection };
        let processor = Processor::new(
            Arc::new(self.feed.clone()),
            Arc::new(self.leases.client(&name)),
            Arc::new(handler),
            options,
        );
        self.running.push(processor.with_incarnation(name).start().unwrap());
    }

    fn kill_one(&mut self, random: &mut Random) {
        let place = random.place(self.running.len());
        if !self.running.is_empty() {
            self.running.swap_remove(place).kill();
        }
    }
}

async fn end_to_end(seed: u64) {
    let random = &mut Random::new(seed);
    let which = Which::ALL[usize::try_from(seed % 4).unwrap()];
    let world = World::new(which, random_history(random, 40), 0);
    let latency = Duration::from_millis(20);
    let mut hosts = Hosts {
        feed: MemoryFeed::new(FeedWeather::fine(seed, latency), vec![FeedRange::full()], false),
        leases: MemoryLeases::new(FeedWeather::fine(seed + 1, latency)),
        history: Arc::new(world.history.clone()),
        running: Vec::new(),
        started: 0,
    };
    hosts.start(&world, random);
    hosts.start(&world, random);
    let mut left: Vec<(String, u64)> = world
        .history
        .iter()
        .map(|events| (events[0].stream().to_owned(), u64::try_from(events.len()).unwrap()))
        .collect();
    while !left.is_empty() {
        let place = random.place(left.len());
        let (stream, count) = &mut left[place];
        let some = (1 + random.below(5)).min(*count);
        hosts.feed.write(stream, some);
        *count -= some;
        if *count == 0 {
            left.swap_remove(place);
        }
        tokio::time::sleep(Duration::from_millis(random.below(1500))).await;
        match random.below(12) {
            0 => hosts.kill_one(random),
            1 if hosts.running.len() < 3 => hosts.start(&world, random),
            2 => hosts.feed.split(0),
            _ => {}
        }
    }
    if hosts.running.is_empty() {
        hosts.start(&world, random);
    }
    let expected = world.expected();
    for _ in 0..300 {
        if world.stored() == expected {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    world.check(&format!("{which:?} end to end")).await;
    for host in hosts.running {
        host.kill();
    }
}

#[test]
fn processors_apply_every_event_once() {
    for seed in seeds(50) {
        run(seed, end_to_end(seed));
    }
}

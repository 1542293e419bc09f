//! What happens at each step of a storm.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::world::World;
use crate::feed::handler::Random;

/// How slow a store can be: each way of a request, in milliseconds.
const SLOW_MS: u64 = 3000;

impl World {
    /// Something happens.
    pub(super) fn step(&mut self, random: &mut Random) {
        self.write(random);
        self.hosts_come_and_go(random);
        self.partitions_change(random);
        self.short_outages(random);
        self.cuts(random);
        self.long_troubles(random);
        self.operator_acts(random);
        self.keys_are_tried_again(random);
        if random.next() % 1000 < self.plan.hands {
            self.spoil(random);
        }
    }

    fn hosts_come_and_go(&mut self, random: &mut Random) {
        let plan = self.plan;
        let mut happens = |thousandths: u64| random.next() % 1000 < thousandths;
        let (kill, stop, start) = (happens(plan.kills), happens(plan.stops), happens(60));
        if kill && let Some(host) = self.take_host(random) {
            Self::kill(host);
        }
        if stop && let Some(host) = self.take_host(random) {
            self.stop(host);
        }
        if start && u64::try_from(self.hosts.len()).unwrap() < plan.hosts {
            self.start(random);
        }
    }

    fn partitions_change(&mut self, random: &mut Random) {
        if random.next() % 1000 < self.plan.splits && self.feed.partitions() < 12 {
            self.feed.split(self.place(random.next()));
        }
        if random.next() % 1000 < self.plan.merges {
            self.feed.merge(self.place(random.next()));
        }
    }

    /// A store does not answer for seconds.
    fn short_outages(&mut self, random: &mut Random) {
        for weather in [self.leases_weather.clone(), self.feed_weather.clone()] {
            if random.next() % 1000 < self.plan.outages {
                let seconds = 1 + random.next() % 25;
                weather.set_down(true);
                self.tasks.spawn(async move {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    weather.set_down(false);
                });
            }
        }
    }

    /// A host is cut off from the leases for about as long as it takes until it counts as dead.
    fn cuts(&mut self, random: &mut Random) {
        let count = u64::try_from(self.hosts.len()).unwrap();
        if random.next() % 1000 >= self.plan.cuts || count == 0 {
            return;
        }
        let place = usize::try_from(random.next() % count).unwrap();
        let device = Arc::clone(&self.hosts[place].device);
        let time = Duration::from_millis(5000 + random.next() % 8000);
        device.cut(true, false);
        self.tasks.spawn(async move {
            tokio::time::sleep(time).await;
            device.cut(false, false);
        });
    }

    /// A store is slow, throttled or away for minutes, for all hosts or for one, while the other works.
    fn long_troubles(&mut self, random: &mut Random) {
        let now = Instant::now();
        let is_over = self.troubled.iter().flatten().all(|until| *until <= now);
        if random.next() % 1000 >= self.plan.troubles || !is_over {
            return;
        }
        let time = Duration::from_secs(60 + random.next() % 120);
        let which = usize::try_from(random.next() % 2).unwrap();
        self.troubled[which] = Some(now + time);
        let (is_leases, is_one) = (which == 0, random.next().is_multiple_of(3));
        if is_one && !self.hosts.is_empty() {
            let place = usize::try_from(random.next()).unwrap_or_default() % self.hosts.len();
            let device = Arc::clone(&self.hosts[place].device);
            device.cut(is_leases, !is_leases);
            self.tasks.spawn(async move {
                tokio::time::sleep(time).await;
                device.cut(false, false);
            });
            return;
        }
        let weather = if is_leases { &self.leases_weather } else { &self.feed_weather }.clone();
        match random.next() % 3 {
            0 => weather.set_down(true),
            1 => weather.set_throttled(true),
            _ => weather.set_latency(Duration::from_millis(SLOW_MS / (1 + random.next() % 3))),
        }
        self.tasks.spawn(async move {
            tokio::time::sleep(time).await;
            weather.set_down(false);
            weather.set_throttled(false);
            weather.set_latency(super::world::LATENCY);
        });
    }

    /// Somebody pauses, resumes or rewinds the processor.
    fn operator_acts(&mut self, random: &mut Random) {
        if random.next() % 1000 >= self.plan.controls {
            return;
        }
        let control = self.control();
        let (what, back) = (random.next() % 7, random.next() % 90);
        // A time behind what is not done would pass over it.
        let second = self.open().map_or(self.feed.second(), |open| open.stored_at);
        let time = i64::try_from(second.saturating_sub(1 + back)).unwrap();
        self.tasks.spawn(async move {
            // Whether it was heard or not, the documents say what holds.
            let told = match what {
                0 | 1 => control.pause().await,
                2 | 3 => control.resume().await,
                4 => control.rewind_to_beginning().await,
                5 => {
                    let saved = control.positions().await;
                    tokio::time::sleep(Duration::from_secs(back)).await;
                    match saved {
                        Ok(saved) => control.rewind_to(&saved).await,
                        Err(error) => Err(error),
                    }
                }
                _ => control.rewind_to_time(time).await,
            };
            tracing::debug!(?told, "the operator has acted");
        });
    }

    /// Parked keys are tried again, whether they are well or not, and some become poison or well.
    fn keys_are_tried_again(&mut self, random: &mut Random) {
        if random.next() % 1000 >= self.plan.redrives {
            return;
        }
        let key = format!("key-{}", random.next() % 3);
        {
            let poison = &mut self.recorder.record().poison;
            match random.next() % 4 {
                0 => poison.insert(key),
                1 | 2 => poison.remove(&key),
                _ => false,
            };
        }
        let control = self.control();
        let Some(key) = self.ledger.parked.keys().next().cloned() else { return };
        self.tasks.spawn(async move {
            let told = control.redrive(&key, None).await;
            tracing::debug!(?told, "a key is tried again");
        });
    }

    /// Somebody deletes or spoils a lease by hand.
    fn spoil(&self, random: &mut Random) {
        let count = u64::try_from(self.ledger.leases.len()).unwrap();
        if let Some(place) = random.next().checked_rem(count) {
            let id = self.ledger.leases.keys().nth(usize::try_from(place).unwrap());
            if random.next().is_multiple_of(2) {
                self.leases.remove(id.unwrap());
            } else {
                self.leases.spoil(id.unwrap());
            }
        }
    }
}

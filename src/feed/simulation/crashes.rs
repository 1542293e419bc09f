//! A host dies at each of its requests, before it is carried out and after.

use std::time::Duration;

use super::{Plan, device::Death, number, run, world::World};
use crate::feed::{ProcessorOptions, handler::Random};

/// Which host of the script is to die.
#[derive(Debug, Clone, Copy)]
struct Doomed {
    host: usize,
    death: Option<Death>,
}

fn start(world: &mut World, host: usize, doomed: Doomed) {
    let mut options = ProcessorOptions::new(format!("host-{host}"));
    options.poll_max = Duration::from_secs(4);
    options.list_interval = Duration::from_secs(20);
    options.attempts_max = 2;
    let death = doomed.death.filter(|_| host == doomed.host);
    world.start_with(options, (0, 0), death);
}

/// Making, taking, beats, checkpoints, parking, a second host that joins and gets its share, a split, a
/// merge, a clean stop. Gives how many requests the doomed host has made.
async fn script(reads_parts: bool, doomed: Doomed) -> u64 {
    let (mut world, mut random) = (World::new(7), Random::new(7));
    world.prepare_without_hosts(Plan {
        partitions: 2,
        reads_parts,
        poison: true,
        ..Plan::default()
    });
    start(&mut world, 0, doomed);
    let mut devices = vec![world.hosts[0].device.clone()];
    let mut is_replaced = false;
    for tick in 0..60 {
        match tick {
            4 => {
                start(&mut world, 1, doomed);
                devices.push(world.hosts[world.hosts.len() - 1].device.clone());
            }
            16 => world.feed.split(1),
            30 => world.feed.merge(0),
            46 => {
                let leaver = devices[1].clone();
                let place = world
                    .hosts
                    .iter()
                    .position(|host| std::sync::Arc::ptr_eq(&host.device, &leaver));
                if let Some(place) = place {
                    let host = world.hosts.swap_remove(place);
                    world.stop(host);
                }
            }
            _ => {}
        }
        if tick % 3 == 0 {
            world.write(&mut random);
        }
        if devices.get(doomed.host).is_some_and(|device| device.is_dead()) && !is_replaced {
            start(&mut world, 2, doomed);
            is_replaced = true;
        }
        world.pass(Duration::from_millis(500)).await;
    }
    world.calm(&mut random).await;
    world.check_all();
    devices[doomed.host].requests()
}

fn dies_everywhere(host: usize, reads_parts: bool) {
    let is_one = number("FEED_SEED");
    let mut request = is_one.unwrap_or(1);
    loop {
        let runs = [Death::Before(request), Death::After(request)]
            .map(|death| run(request, script(reads_parts, Doomed { host, death: Some(death) })));
        if is_one.is_some() || runs.iter().all(|requests| *requests < request) {
            break;
        }
        request += 1;
    }
    assert!(is_one.is_some() || request > 50, "only {request} requests");
}

#[test]
fn the_first_host_dies_at_any_request() {
    dies_everywhere(0, false);
}

#[test]
fn the_second_host_dies_at_any_request() {
    dies_everywhere(1, false);
}

#[test]
fn a_host_that_reads_parts_dies_at_any_request() {
    dies_everywhere(0, true);
}

//! Owners that die at every place at which they wait, one after another.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::{
    Random,
    model::{Which, assert_same},
    projections::random_history,
    run, seeds,
    storm::{World, cut_after},
};
use crate::projection::memory::Weather;

/// Turns are given before each request, so that there is a place to die on both sides of it.
fn with_turns(seed: u64) -> Weather {
    Weather { turns: 2, ..Weather::fine(seed) }
}

/// One delivery after another; the owner dies after so many polls of all of them, and another one begins
/// again. Gives whether it came to its end before.
async fn dies_after(world: &mut World, polls: u64, seed: u64) -> bool {
    let owner = world.owner(with_turns(seed));
    let work = async {
        for events in &world.history {
            for batch in events.chunks(4) {
                owner.apply(batch[0].stream(), batch.to_vec()).await.unwrap();
            }
        }
    };
    let is_done = cut_after(polls, work).await.is_some();
    drop(owner);
    world.owners = vec![world.owner(with_turns(seed + 1))];
    world.settle(&mut Random::new(seed)).await;
    world.check(&format!("{:?} that died after {polls} polls", world.which)).await;
    is_done
}

#[test]
fn an_owner_may_die_wherever_it_waits() {
    let mut places = 0;
    for seed in seeds(8) {
        let which = Which::ALL[usize::try_from(seed % 4).unwrap()];
        let history = random_history(&mut Random::new(seed), 10);
        let mut polls = 0;
        loop {
            let mut world = World::new(which, history.clone(), 0);
            if run(seed, dies_after(&mut world, polls, seed)) {
                break;
            }
            polls += 1;
        }
        places += usize::try_from(polls).unwrap();
    }
    assert!(places >= seeds(8).count(), "there were {places} places to die");
}

/// Deliveries of all streams at once to one owner. The first of them is dropped after so many polls: it mostly
/// has the turn, and works for the others.
async fn leader_dies_after(world: &mut World, polls: u64, seed: u64) -> bool {
    let owner = Arc::new(world.owner(with_turns(seed)));
    let mut others = JoinSet::new();
    let first = world.history[0].clone();
    for events in &world.history[1..] {
        let (owner, events) = (Arc::clone(&owner), events.clone());
        others.spawn(async move {
            for batch in events.chunks(4) {
                owner.apply(batch[0].stream(), batch.to_vec()).await.unwrap();
            }
        });
    }
    let is_done = cut_after(polls, owner.apply(first[0].stream(), first.clone())).await.is_some();
    while let Some(other) = others.join_next().await {
        other.unwrap();
    }
    // The same owner goes on, with what it remembers.
    owner.apply(first[0].stream(), first.clone()).await.unwrap();
    assert_same(&world.stored(), &world.expected(), &format!("after {polls} polls"));
    is_done
}

#[test]
fn who_has_the_turn_may_die_and_the_others_go_on() {
    for seed in seeds(12) {
        let which = Which::ALL[usize::try_from(seed % 4).unwrap()];
        let history = random_history(&mut Random::new(seed), 10);
        for polls in 0.. {
            let mut world = World::new(which, history.clone(), 0);
            if run(seed, leader_dies_after(&mut world, polls, seed)) {
                break;
            }
        }
    }
}

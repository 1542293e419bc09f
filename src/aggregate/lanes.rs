//! Lanes: commands for one stream go one after the other within a process.
//!
//! Commands that run side by side on one stream would only refuse each other: one wins, the others
//! load and decide again. In a lane each finds the state that the one before has left in the cache.
//! Between processes the expected version decides, as always.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::stream::StreamId;

/// The lanes that are in use: as many as there are commands at the moment.
#[derive(Debug, Default)]
pub(super) struct Lanes(Mutex<HashMap<StreamId, Lane>>);

#[derive(Debug, Default)]
struct Lane {
    gate: Arc<AsyncMutex<()>>,
    users: usize,
}

/// A place in a lane, for as long as it lives.
#[derive(Debug)]
pub(super) struct Place<'a> {
    _turn: OwnedMutexGuard<()>,
    _user: User<'a>,
}

/// Somebody who is in a lane or waits for it; the last one takes the lane away.
#[derive(Debug)]
struct User<'a> {
    lanes: &'a Lanes,
    stream: &'a StreamId,
}

impl Lanes {
    /// Waits for the turn; first come, first served.
    ///
    /// # Cancel safety
    ///
    /// Whoever is dropped while waiting leaves the lane.
    pub(super) async fn enter<'a>(&'a self, stream: &'a StreamId) -> Place<'a> {
        let gate = {
            let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let lane = lanes.entry(stream.clone()).or_default();
            lane.users = lane.users.saturating_add(1);
            Arc::clone(&lane.gate)
        };
        let user = User { lanes: self, stream };
        Place { _turn: gate.lock_owned().await, _user: user }
    }
}

impl Drop for User<'_> {
    fn drop(&mut self) {
        let mut lanes = self.lanes.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lanes.get_mut(self.stream) {
            lane.users = lane.users.saturating_sub(1);
            if lane.users == 0 {
                lanes.remove(self.stream);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, poll};

    use super::*;

    #[tokio::test]
    async fn one_stream_is_one_lane() {
        let lanes = Lanes::default();
        let (a, b) = (StreamId::new("a").unwrap(), StreamId::new("b").unwrap());
        let first = lanes.enter(&a).await;
        let mut second = Box::pin(lanes.enter(&a));
        assert!(poll!(&mut second).is_pending());
        let mut third = Box::pin(lanes.enter(&a));
        assert!(poll!(&mut third).is_pending());
        drop(lanes.enter(&b).now_or_never().unwrap());
        drop(second);
        drop(first);
        drop(third.await);
        assert!(lanes.0.lock().unwrap().is_empty());
    }
}

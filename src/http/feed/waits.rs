//! Waiting for something new in the feed.
//!
//! What this process appends is known at once. What others append is found by asking, less and less often.

use std::time::Duration;

use tokio::sync::watch;

use crate::{
    http::limits::{FEED_POLL_MAX, FEED_POLL_MIN},
    store::EventStore,
};

/// The waits of one reader.
#[derive(Debug)]
pub(super) struct Waits {
    appends: watch::Receiver<u64>,
    pause: Duration,
}

impl Waits {
    /// What is appended from here on ends the first wait.
    pub(super) fn new(store: &EventStore) -> Self {
        Self { appends: store.appends(), pause: FEED_POLL_MIN }
    }

    /// There was something new.
    pub(super) fn reset(&mut self) {
        self.pause = FEED_POLL_MIN;
    }

    /// Waits until it is worth asking the store.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) {
        let appended = async {
            if self.appends.changed().await.is_err() {
                // Nobody can append through this store any more; others can.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = appended => {}
            () = tokio::time::sleep(self.pause) => {
                self.pause = self.pause.saturating_mul(2).min(FEED_POLL_MAX);
            }
        }
    }
}

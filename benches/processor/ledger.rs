//! What was handled, and how often.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use cosmos_event_store::feed::{Delivery, Handler, HandlerFault};
use futures::{FutureExt as _, future::BoxFuture};

/// Notes every change of every host that it is given to.
#[derive(Default)]
pub(crate) struct Ledger {
    changes: Mutex<BTreeMap<(String, u64), u64>>,
}

impl Ledger {
    /// The different changes that were handled.
    pub(crate) fn handled(&self) -> u64 {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    /// How often a change came that had been handled.
    pub(crate) fn repeated(&self) -> u64 {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.values().map(|times| times - 1).sum()
    }
}

impl Handler for Ledger {
    fn handle<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Result<(), HandlerFault>> {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        for change in delivery.changes.iter() {
            *changes.entry((change.key.clone(), change.order)).or_default() += 1;
        }
        std::future::ready(Ok(())).boxed()
    }
}

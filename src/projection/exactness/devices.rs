//! A store that refuses what the service would, and documents that cannot be read.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use futures::{FutureExt as _, future::BoxFuture};

use crate::projection::{Found, ViewFault, ViewQuery, ViewStore, Write, memory::MemoryViews};

/// A store with limits of its own.
pub(crate) struct Picky {
    pub(crate) views: MemoryViews,
    /// The most bytes of a commit.
    pub(crate) bytes_max: usize,
    /// The id of a document that cannot be read.
    pub(crate) damaged: Mutex<Option<String>>,
    /// The next commit fails, and is not carried out.
    pub(crate) fails_once: AtomicBool,
    pub(crate) too_large: AtomicUsize,
    /// The most documents of a commit so far.
    pub(crate) largest: AtomicUsize,
}

impl Picky {
    pub(crate) fn new(views: MemoryViews, bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            views,
            bytes_max,
            damaged: Mutex::default(),
            fails_once: AtomicBool::default(),
            too_large: AtomicUsize::default(),
            largest: AtomicUsize::default(),
        })
    }
}

impl ViewStore for Picky {
    fn read<'a>(
        &'a self,
        partition: &'a str,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<Found>, ViewFault>> {
        if self.damaged.lock().unwrap().as_deref() == Some(id) {
            let fault = ViewFault::Damaged { id: id.to_owned(), reason: "torn".to_owned() };
            return async { Err(fault) }.boxed();
        }
        self.views.read(partition, id)
    }

    fn commit<'a>(
        &'a self,
        partition: &'a str,
        writes: Vec<Write>,
    ) -> BoxFuture<'a, Result<Vec<String>, ViewFault>> {
        if self.fails_once.swap(false, Ordering::Relaxed) {
            return async { Err(ViewFault::Unavailable("away".to_owned())) }.boxed();
        }
        let bytes = |write: &Write| serde_json::to_string(&write.document).unwrap().len();
        if writes.iter().map(bytes).sum::<usize>() > self.bytes_max {
            self.too_large.fetch_add(1, Ordering::Relaxed);
            return async { Err(ViewFault::TooLarge) }.boxed();
        }
        self.largest.fetch_max(writes.len(), Ordering::Relaxed);
        self.views.commit(partition, writes)
    }

    fn query<'a>(
        &'a self,
        partition: &'a str,
        query: &'a ViewQuery,
    ) -> BoxFuture<'a, Result<Vec<Found>, ViewFault>> {
        self.views.query(partition, query)
    }
}

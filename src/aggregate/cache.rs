//! The states that a repository has seen last, bounded in number.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use lru::LruCache;

use crate::{event::EventId, stream::StreamId};

/// A state, with what is known about where it stands.
#[derive(Debug)]
pub(super) struct Known<A> {
    pub(super) state: Arc<A>,
    /// The version that the state is of.
    pub(super) version: u64,
    /// The id of the last event in it; none in an empty stream.
    pub(super) last_event_id: Option<EventId>,
    /// The version of the last snapshot that this process knows of; 0 when it knows of none.
    pub(super) snapshot_version: u64,
    /// When that snapshot was taken; without one, when the first event was recorded.
    pub(super) since: Option<Timestamp>,
}

impl<A> Clone for Known<A> {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state), ..*self }
    }
}

/// States by stream; the one that was not used for longest gives way.
#[derive(Debug)]
pub(super) struct Cache<A>(Option<Mutex<LruCache<StreamId, Known<A>>>>);

impl<A> Cache<A> {
    /// A cache of so many states; 0 keeps none.
    pub(super) fn new(states_max: usize) -> Self {
        Self(NonZeroUsize::new(states_max).map(|max| Mutex::new(LruCache::new(max))))
    }

    pub(super) fn find(&self, stream: &StreamId) -> Option<Known<A>> {
        self.lock()?.get(stream).cloned()
    }

    /// Keeps a state, unless a later one is there.
    pub(super) fn keep(&self, stream: &StreamId, known: &Known<A>) {
        let Some(mut states) = self.lock() else { return };
        let later = states.get(stream).is_some_and(|cached| cached.version > known.version);
        if known.version > 0 && !later {
            states.put(stream.clone(), known.clone());
        }
    }

    /// Forgets a state that is not of its stream.
    pub(super) fn forget(&self, stream: &StreamId) {
        if let Some(mut states) = self.lock() {
            states.pop(stream);
        }
    }

    fn lock(&self) -> Option<MutexGuard<'_, LruCache<StreamId, Known<A>>>> {
        self.0.as_ref().map(|states| states.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(version: u64) -> Known<u64> {
        Known {
            state: Arc::new(version),
            version,
            last_event_id: Some(EventId::random()),
            snapshot_version: 0,
            since: None,
        }
    }

    fn stream(name: &str) -> StreamId {
        StreamId::new(name).unwrap()
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_used() {
        let cache = Cache::new(2);
        cache.keep(&stream("a"), &known(1));
        cache.keep(&stream("b"), &known(1));
        assert!(cache.find(&stream("a")).is_some());
        cache.keep(&stream("c"), &known(1));
        assert!(cache.find(&stream("a")).is_some());
        assert!(cache.find(&stream("b")).is_none());
        cache.forget(&stream("a"));
        assert!(cache.find(&stream("a")).is_none());
    }

    #[test]
    fn a_state_never_goes_backwards() {
        let cache = Cache::new(2);
        cache.keep(&stream("a"), &known(3));
        cache.keep(&stream("a"), &known(2));
        assert_eq!(cache.find(&stream("a")).unwrap().version, 3);
        cache.keep(&stream("a"), &known(4));
        assert_eq!(cache.find(&stream("a")).unwrap().version, 4);
    }

    #[test]
    fn empty_streams_and_empty_caches_keep_nothing() {
        let cache = Cache::new(2);
        cache.keep(&stream("a"), &known(0));
        assert!(cache.find(&stream("a")).is_none());
        let none = Cache::new(0);
        none.keep(&stream("a"), &known(1));
        assert!(none.find(&stream("a")).is_none());
    }
}

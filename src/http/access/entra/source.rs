//! The key set of the tenant: fetched, kept, and fetched again.
//!
//! - At most one request for it is on its way; whoever needs its answer waits for the same one. There is no
//!   task: those who wait carry it on, and when all of them go away, the next one does.
//! - Anybody can name a key that there is not. So a new request begins only after a pause, and meanwhile the
//!   answer is what is known.
//! - A key set that cannot be had, or is none, changes nothing of what is kept.

mod fetch;

use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use jsonwebtoken::DecodingKey;

use self::fetch::Fetch;
use super::{EntraOptions, key_set::KeySet};
use crate::{
    clock::Clock,
    http::{
        access::{error::AccessError, refusal::Refusal},
        limits::{KEY_SET_FRESH, KEY_SET_PAUSE, KEY_SET_RETRY_AFTER, KEY_SET_USABLE_MAX},
    },
};

/// Where keys come from.
#[derive(Debug)]
pub(super) struct KeySource {
    fetch: Fetch,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

/// A key, or why there is none.
type Found = Result<Arc<DecodingKey>, Refusal>;
/// What a request for the key set gave; nothing when it could not be had.
type Fetched = Option<Arc<KeySet>>;

#[derive(Debug, Default)]
struct State {
    /// The newest key set, and when it was asked for.
    known: Option<(Arc<KeySet>, Duration)>,
    /// When a key set was last asked for.
    asked: Option<Duration>,
    /// The request for the key set that is on its way.
    flight: Option<Flight>,
    /// Whether the last request for it gave nothing.
    has_failed: bool,
}

#[derive(Debug, Clone)]
struct Flight {
    answer: Shared<BoxFuture<'static, Fetched>>,
    began: Duration,
}

/// What comes next for a key.
enum Next {
    Done(Found),
    /// There is a request to wait for.
    Wait(Flight),
    /// A request is to begin.
    Ask,
}

impl State {
    fn next(&self, kid: &str, now: Duration, flight_time_max: Duration) -> Next {
        let age = |at: Duration| now.saturating_sub(at);
        let known = self.known.as_ref().filter(|(_, at)| age(*at) < KEY_SET_USABLE_MAX);
        let key = known.and_then(|(keys, _)| keys.get(kid)).cloned();
        if known.is_some_and(|(_, at)| age(*at) < KEY_SET_FRESH)
            && let Some(key) = key
        {
            return Next::Done(Ok(key));
        }
        // One that nobody has carried on for so long has come to nothing.
        let flight = self.flight.as_ref().filter(|it| age(it.began) < flight_time_max);
        let pause = if known.is_some() { KEY_SET_PAUSE } else { KEY_SET_RETRY_AFTER };
        let is_paused = self.asked.is_some_and(|at| age(at) < pause);
        if flight.is_none() && !is_paused {
            return Next::Ask;
        }
        match (key, flight) {
            (Some(key), _) => Next::Done(Ok(key)),
            (None, Some(flight)) => Next::Wait(flight.clone()),
            (None, None) => Next::Done(Err(self.unknown(known.is_some()))),
        }
    }

    /// Why there is no key, when nobody is to be asked.
    fn unknown(&self, is_known: bool) -> Refusal {
        // The newest key set may have the key, and nobody knows.
        if self.has_failed || !is_known {
            Refusal::Unavailable { retry_after: KEY_SET_RETRY_AFTER }
        } else {
            Refusal::UnknownSigningKey
        }
    }

    /// Notes what a request gave, if nobody else has.
    fn settle(&mut self, flight: &Flight, fetched: &Fetched) {
        let is_it = |other: &Flight| other.answer.ptr_eq(&flight.answer);
        if !self.flight.as_ref().is_some_and(is_it) {
            return;
        }
        self.flight = None;
        self.has_failed = fetched.is_none();
        if let Some(keys) = fetched {
            self.known = Some((Arc::clone(keys), flight.began));
        }
    }
}

impl KeySource {
    pub(super) fn new(options: &EntraOptions) -> Result<Self, AccessError> {
        let fetch = Fetch::new(options)?;
        Ok(Self { fetch, clock: Arc::clone(&options.clock), state: Mutex::default() })
    }

    /// The key with this id.
    ///
    /// # Cancel safety
    ///
    /// A request that has begun is carried on by the next one who needs it.
    pub(super) async fn key(&self, kid: &str) -> Found {
        let flight = match self.begin(kid) {
            ControlFlow::Break(found) => return found,
            ControlFlow::Continue(flight) => flight,
        };
        let fetched = flight.answer.clone().await;
        let mut state = self.lock();
        state.settle(&flight, &fetched);
        // What there is now is the answer: nobody asks twice.
        let known = state
            .known
            .as_ref()
            .filter(|(_, at)| self.clock.monotonic().saturating_sub(*at) < KEY_SET_USABLE_MAX);
        let key = known.and_then(|(keys, _)| keys.get(kid)).cloned();
        key.ok_or_else(|| state.unknown(known.is_some()))
    }

    /// The key, or the request to wait for, which begins here where it is time.
    fn begin(&self, kid: &str) -> ControlFlow<Found, Flight> {
        let now = self.clock.monotonic();
        let mut state = self.lock();
        match state.next(kid, now, self.fetch.time_max()) {
            Next::Done(found) => return ControlFlow::Break(found),
            Next::Wait(flight) => return ControlFlow::Continue(flight),
            Next::Ask => {}
        }
        let answer = self.fetch.clone().key_set().map(|keys| keys.map(Arc::new)).boxed().shared();
        let flight = Flight { answer, began: now };
        state.asked = Some(now);
        state.flight = Some(flight.clone());
        ControlFlow::Continue(flight)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;

//! Keys that are tried again while other things happen to them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{FutureExt as _, future::BoxFuture};

use super::{step::is_at_home, *};
use crate::feed::{
    Processor, ProcessorOptions, RunningProcessor,
    handler::{Handler, HandlerFault},
    memory::{MemoryFeed, MemoryLeases, Weather},
};

/// A handler that notes what it gets, and how many runs of a key there are at once.
#[derive(Default)]
struct Notes {
    state: Mutex<NotesState>,
}

#[derive(Default)]
struct NotesState {
    /// Runs from this order on fail.
    poison: Option<u64>,
    time: Duration,
    running: BTreeMap<String, u32>,
    /// The first and the last change of each run that was begun.
    begun: Vec<(String, u64, u64)>,
    handled: Vec<u64>,
    most_at_once: u32,
}

impl Notes {
    fn state(&self) -> std::sync::MutexGuard<'_, NotesState> {
        self.state.lock().unwrap()
    }

    fn set(&self, poison: Option<u64>, time: Duration) {
        let mut state = self.state();
        (state.poison, state.time) = (poison, time);
    }
}

impl Handler for Notes {
    fn handle<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Result<(), HandlerFault>> {
        async {
            let (poison, first, time) = {
                let mut state = self.state();
                let running = state.running.entry(delivery.key.clone()).or_default();
                *running += 1;
                let running = *running;
                state.most_at_once = state.most_at_once.max(running);
                let orders = || delivery.changes.iter().map(|change| change.order);
                let (first, last) = (orders().next().unwrap(), orders().next_back().unwrap());
                state.begun.push((delivery.key.clone(), first, last));
                (state.poison, first, state.time)
            };
            tokio::time::sleep(time).await;
            let mut state = self.state();
            *state.running.get_mut(&delivery.key).unwrap() -= 1;
            if poison.is_some_and(|poison| first >= poison) {
                return Err(HandlerFault::poison("no"));
            }
            state.handled.extend(delivery.changes.iter().map(|change| change.order));
            Ok(())
        }
        .boxed()
    }
}

/// A host, and a key with so many changes that is parked at the first of them.
struct Place {
    feed: MemoryFeed,
    leases: MemoryLeases,
    leases_weather: Weather,
    notes: Arc<Notes>,
    host: RunningProcessor,
}

impl Place {
    async fn with_parked(changes: u64) -> Self {
        let weather = Weather::fine(1, Duration::from_millis(5));
        let feed = MemoryFeed::new(weather, vec![FeedRange::full()], false);
        let leases_weather = Weather::fine(2, Duration::from_millis(5));
        let leases = MemoryLeases::new(leases_weather.clone());
        let notes = Arc::new(Notes::default());
        notes.set(Some(0), Duration::ZERO);
        let mut options = ProcessorOptions::new("host");
        options.run_changes_max = 2;
        let (at, stores) = (Arc::new(feed.clone()), Arc::new(leases.clone()));
        let handler = Arc::<Notes>::clone(&notes);
        let host = Processor::new(at, stores, handler, options).start().unwrap();
        (0..changes).for_each(|_| feed.write("k", 1));
        let place = Self { feed, leases, leases_weather, notes, host };
        place.until("it is parked", || !place.host.status().parked.is_empty()).await;
        place
    }

    async fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let patience = Instant::now() + Duration::from_mins(5);
        while !is_so() {
            assert!(Instant::now() < patience, "{what}: {:?}", self.notes.state().begun);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The key is tried again, its runs last three seconds, and the second one of them has begun.
    async fn with_second_run(changes: u64, meanwhile: impl AsyncFn(&Self)) -> Self {
        let place = Self::with_parked(changes).await;
        place.notes.set(None, Duration::from_secs(3));
        place.notes.state().begun.clear();
        place.host.control().redrive("k", None).await.unwrap();
        place.until("the first run", || place.notes.state().begun.len() == 1).await;
        meanwhile(&place).await;
        place.until("the second run", || place.notes.state().begun.len() == 2).await;
        place
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_to_be_tried_again_twice_is_in_one_run() {
    let again = async |place: &Place| place.host.control().redrive("k", None).await.unwrap();
    let place = Place::with_second_run(10, again).await;
    place.until("it is as any other", || place.host.status().parked.is_empty()).await;
    let state = place.notes.state();
    assert_eq!(state.most_at_once, 1, "{:?}", state.begun);
    assert!((1..=10).all(|order| state.handled.contains(&order)), "{:?}", state.handled);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_discarded_while_it_is_tried_again_is_in_one_run() {
    let discard = async |place: &Place| place.host.control().discard("k", "done").await.unwrap();
    let place = Place::with_second_run(10, discard).await;
    place.feed.write("k", 1);
    place.until("what comes", || place.notes.state().handled.contains(&11)).await;
    {
        let state = place.notes.state();
        assert_eq!(state.most_at_once, 1, "{:?}", state.begun);
        assert!(state.handled.is_sorted(), "{:?}", state.handled);
    }
    let is_parked = |found: &Stored<Document>| found.document.id() == parked_id("k");
    place.until("it is let go", || !place.leases.peek().iter().any(is_parked)).await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_fails_again_while_progress_is_stored_is_tried_once() {
    let place = Place::with_parked(10).await;
    place.notes.set(Some(3), Duration::ZERO);
    place.notes.state().begun.clear();
    place.host.control().redrive("k", None).await.unwrap();
    // Commits take much longer than runs.
    place.leases_weather.set_latency(Duration::from_secs(1));
    let parked = || {
        let mut parked = place.leases.peek().into_iter().filter_map(|found| match found.document {
            Document::Parked(parked) => Some(parked),
            _ => None,
        });
        parked.next()
    };
    let is_back = || parked().is_some_and(|parked| !parked.redrive);
    place.until("it is parked again", is_back).await;
    assert_eq!(parked().map(|parked| parked.order), Some(3));
    let runs = [("k".to_owned(), 1, 2), ("k".to_owned(), 3, 4)];
    assert_eq!(place.notes.state().begun, runs);
}

fn listing(etag: Option<&str>) -> Listing {
    let parked = Parked {
        key: "k".to_owned(),
        order: 3,
        lsn: 7,
        reason: "no".to_owned(),
        attempts: 1,
        since: 0,
        range: FeedRange::full(),
        redrive: true,
        discard: None,
    };
    let stored = |etag: &str| Stored { document: parked, etag: etag.to_owned(), stored_at: 0 };
    let keys = etag.map(|etag| ("k".to_owned(), stored(etag)));
    Listing { begun: Instant::now(), keys: Arc::new(keys.into_iter().collect()) }
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_has_an_overtaken_version_is_not_believed() {
    let mut aside = Aside::new(&FeedRange::full(), &listing(Some("1")));
    assert_eq!(aside.wished().len(), 1);
    // An operator has discarded it, which this host learns from a commit that is refused.
    aside.is_overtaken("k", "1");
    aside.keys.remove("k");
    tokio::time::advance(Duration::from_secs(1)).await;
    // The listing began later, and is older nevertheless.
    assert_eq!(aside.take(&listing(Some("1"))), Vec::<String>::new());
    assert!(!aside.passes_over("k") && aside.wished().is_empty());
    aside.take(&listing(None));
    // It was parked once more.
    aside.take(&listing(Some("2")));
    assert!(aside.passes_over("k"));
}

#[tokio::test(start_paused = true)]
async fn keys_of_other_ranges_are_not_kept() {
    let range = |begin, end| FeedRange::new(begin, end).unwrap();
    let mut all = listing(Some("1"));
    let keys = Arc::make_mut(&mut all.keys);
    keys.get_mut("k").unwrap().document.range = range("", "40");
    for (lease, is_kept) in [
        (range("", "40"), true),
        (range("20", "40"), true),
        (FeedRange::full(), true),
        (range("40", "FF"), false),
    ] {
        let mut aside = Aside::new(&lease, &all);
        assert_eq!(aside.keys.len(), usize::from(is_kept), "{lease}");
        tokio::time::advance(Duration::from_secs(1)).await;
        all.begun = Instant::now();
        aside.take(&all);
        assert_eq!(aside.keys.len(), usize::from(is_kept), "{lease}");
    }
}

#[test]
fn a_key_is_at_home_in_one_lease() {
    let range = |begin, end| FeedRange::new(begin, end).unwrap();
    let parked = range("10", "40");
    let is_home =
        |lease: &FeedRange, home: Option<FeedRange>| is_at_home(lease, &parked, home.as_ref());
    // As it was, split, and merged.
    assert_eq!(is_home(&parked, Some(range("10", "40"))), Some(true));
    assert_eq!(is_home(&range("20", "40"), Some(range("20", "40"))), Some(true));
    assert_eq!(is_home(&range("10", "20"), Some(range("20", "40"))), Some(false));
    assert_eq!(is_home(&FeedRange::full(), Some(FeedRange::full())), Some(true));
    // A part of a partition, where parts are read.
    assert_eq!(is_home(&parked, Some(FeedRange::full())), Some(true));
    assert_eq!(is_home(&range("", "10"), Some(FeedRange::full())), Some(false));
    // Split since, and merged again.
    assert_eq!(is_home(&range("10", "20"), Some(range("10", "40"))), None);
    // A document without a key.
    assert_eq!(is_home(&range("10", "20"), None), Some(true));
    assert_eq!(is_home(&range("20", "40"), None), Some(false));
}

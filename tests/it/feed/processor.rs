//! Whole processors over the wire, on a local endpoint in strict mode.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cosmos_event_store::{
    feed::{
        Control, ControlError, CosmosFeed, CosmosLeases, Delivery, FeedFields, Handler,
        HandlerFault, Metrics, Positions, Processor, ProcessorOptions, RunningProcessor,
    },
    store::EventStore,
};
use cosmos_local::{Fault, FaultAction, LocalCosmos};
use futures::future::BoxFuture;

use crate::fixture::{event, options};

/// How long a test waits for what should happen within moments.
const PATIENCE: Duration = Duration::from_mins(2);

/// What was handled: by key, the orders in the order in which they came.
#[derive(Clone, Default)]
struct Notes {
    handled: Arc<Mutex<BTreeMap<String, Vec<u64>>>>,
    poison: Arc<Mutex<Option<&'static str>>>,
    /// How often poison was refused.
    refused: Arc<AtomicU64>,
}

impl Notes {
    fn poison(&self) -> MutexGuard<'_, Option<&'static str>> {
        self.poison.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handled(&self) -> BTreeMap<String, Vec<u64>> {
        self.handled.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything that was appended came, in order, and nothing before what it follows.
    fn has(&self, streams: u64, events: u64) -> bool {
        let handled = self.handled();
        (0..streams).all(|stream| {
            let orders = handled.get(&format!("s-{stream}")).cloned().unwrap_or_default();
            let mut seen = 0;
            for order in orders {
                assert!(order <= seen + 1, "s-{stream}: {order} behind {seen}");
                seen = seen.max(order);
            }
            seen == events
        })
    }

    /// Whether nothing came twice.
    fn is_exact(&self) -> bool {
        self.handled().values().all(|orders| orders.is_sorted_by(|one, next| one < next))
    }
}

impl Handler for Notes {
    fn handle<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Result<(), HandlerFault>> {
        Box::pin(async move {
            if *self.poison() == Some(delivery.key.as_str()) {
                self.refused.fetch_add(1, Ordering::SeqCst);
                return Err(HandlerFault::poison("it never works"));
            }
            let mut handled = self.handled.lock().unwrap_or_else(PoisonError::into_inner);
            let orders = delivery.changes.iter().map(|change| change.order);
            handled.entry(delivery.key.clone()).or_default().extend(orders);
            Ok(())
        })
    }
}

struct Place {
    endpoint: LocalCosmos,
    store: EventStore,
}

impl Place {
    async fn new(partitions: u32) -> Self {
        let endpoint =
            LocalCosmos::builder().ephemeral().partitions(partitions).start().await.unwrap();
        let store = EventStore::provision_and_connect(options(endpoint.endpoint())).await;
        Self { store: store.unwrap().0, endpoint }
    }

    async fn leases(&self) -> Arc<CosmosLeases> {
        let options = options(self.endpoint.endpoint());
        Arc::new(CosmosLeases::open(&options, "leases", "test").await.unwrap())
    }

    /// Starts a host that beats often, so that tests do not wait for long.
    async fn start(&self, name: &str, notes: &Notes) -> RunningProcessor {
        let fields =
            FeedFields::new("/aggregateId", "/sequenceNumber").unwrap().with_rising_order();
        let account = options(self.endpoint.endpoint());
        let feed = CosmosFeed::open(&account, "events", fields).await.unwrap();
        let beat = Duration::from_millis(300);
        let options = ProcessorOptions::new(name)
            .with_liveness(beat, Duration::from_secs(3))
            .with_polls(Duration::from_millis(20), Duration::from_millis(100));
        let leases = self.leases().await;
        Processor::new(Arc::new(feed), leases, Arc::new(notes.clone()), options).start().unwrap()
    }

    /// Appends so many events to each of so many streams, behind `from`.
    async fn append(&self, streams: u64, from: u64, events: u64) {
        for stream in 0..streams {
            let new = (0..events).map(|number| event(from + number)).collect();
            let expected = cosmos_event_store::ExpectedVersion::Exact(from);
            self.store.append(format!("s-{stream}"), expected, new).await.unwrap();
        }
    }
}

/// Waits until it is so.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "never: {what}");
}

/// Waits until so many keys are parked, and none of them is being tried again.
async fn until_parked(host: &RunningProcessor, count: usize) {
    let waiting = async {
        loop {
            let parked = host.control().overview().await.unwrap().parked;
            if parked.len() == count && parked.iter().all(|parked| !parked.redrive) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "never {count} parked");
}

fn held(host: &RunningProcessor) -> usize {
    host.status().leases.iter().filter(|lease| lease.held.is_some()).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_handled_once_in_order_and_a_second_host_takes_its_share() {
    let place = Place::new(4).await;
    let notes = Notes::default();
    place.append(20, 0, 3).await;
    let one = place.start("one", &notes).await;
    until("all of it", || notes.has(20, 3)).await;
    let two = place.start("two", &notes).await;
    until("two each", || held(&one) == 2 && held(&two) == 2).await;
    place.append(20, 3, 2).await;
    until("the rest", || notes.has(20, 5)).await;
    // Cooperative moves and a clean stop deliver nothing again.
    one.shutdown(Duration::from_secs(20)).await.unwrap();
    until("all four", || held(&two) == 4).await;
    place.append(20, 5, 1).await;
    until("the last", || notes.has(20, 6)).await;
    assert!(notes.is_exact(), "{:?}", notes.handled());
    two.shutdown(Duration::from_secs(20)).await.unwrap();
    let overview = Control::new(place.leases().await).overview().await.unwrap();
    assert!(overview.leases.iter().all(|lease| lease.owner.is_none()));
    assert!(overview.topology.unwrap().members.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_host_held_is_taken_over() {
    let place = Place::new(3).await;
    let notes = Notes::default();
    let (one, two) = (place.start("one", &notes).await, place.start("two", &notes).await);
    until("shares", || held(&one) + held(&two) == 3 && held(&one) > 0 && held(&two) > 0).await;
    place.append(15, 0, 2).await;
    one.kill();
    place.append(15, 2, 2).await;
    until("all of it", || notes.has(15, 4)).await;
    until("all three", || held(&two) == 3).await;
    two.shutdown(Duration::from_secs(20)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_split_loses_and_repeats_nothing() {
    let place = Place::new(1).await;
    let notes = Notes::default();
    place.append(20, 0, 2).await;
    let host = place.start("one", &notes).await;
    until("the first", || notes.has(20, 2)).await;
    place.endpoint.control().split("test", "events", None, None).await.unwrap();
    place.append(20, 2, 2).await;
    until("the second", || notes.has(20, 4)).await;
    host.shutdown(Duration::from_secs(20)).await.unwrap();
    // The next start finds that the partitions are others.
    let host = place.start("two", &notes).await;
    until("two leases", || held(&host) == 2).await;
    place.append(20, 4, 2).await;
    until("the third", || notes.has(20, 6)).await;
    assert!(notes.is_exact(), "{:?}", notes.handled());
    host.shutdown(Duration::from_secs(20)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_cannot_be_handled_is_set_aside_and_let_go() {
    let place = Place::new(2).await;
    let notes = Notes::default();
    *notes.poison() = Some("s-3");
    place.append(6, 0, 2).await;
    let host = place.start("one", &notes).await;
    until("the others", || {
        let handled = notes.handled();
        handled.len() == 5 && handled.values().all(|orders| orders.len() == 2)
    })
    .await;
    until("parked", || host.status().parked.len() == 1).await;
    let parked = host.status().parked.remove(0);
    assert_eq!((parked.key.as_str(), parked.order), ("s-3", 1));
    assert_eq!((parked.reason.as_str(), parked.attempts), ("it never works", 1));
    // What comes waits as well, and the others go on.
    place.append(6, 2, 1).await;
    until("the others again", || notes.handled().values().all(|orders| orders.len() == 3)).await;
    *notes.poison() = None;
    // What was stored in the second of the call would still be handled.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    host.control().discard("s-3", "it is of no use").await.unwrap();
    // Stored behind the call, whether it was carried out or not.
    place.append(6, 3, 1).await;
    until_parked(&host, 0).await;
    until("what comes", || notes.handled().contains_key("s-3")).await;
    assert_eq!(notes.handled()["s-3"], [4]);
    let discarded = host.control().overview().await.unwrap().discarded.remove(0);
    assert_eq!((discarded.key.as_str(), discarded.order), ("s-3", 1));
    assert_eq!(
        (discarded.parked.as_str(), discarded.reason.as_str()),
        ("it never works", "it is of no use")
    );
    host.shutdown(Duration::from_secs(20)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_was_set_aside_is_tried_again_in_order() {
    let place = Place::new(2).await;
    let notes = Notes::default();
    *notes.poison() = Some("s-3");
    // More than one run of it waits.
    place.append(6, 0, 2).await;
    let hosts = [place.start("one", &notes).await, place.start("two", &notes).await];
    let [one, _] = &hosts;
    until_parked(one, 1).await;
    place.append(6, 2, 1).await;
    until("the others", || notes.handled().values().all(|orders| orders.len() == 3)).await;

    // It is still what it was, and is parked again.
    one.control().redrive("s-3", None).await.unwrap();
    until("tried again", || notes.refused.load(Ordering::SeqCst) == 2).await;
    until_parked(one, 1).await;

    *notes.poison() = None;
    let refused = one.control().redrive("s-3", Some(0)).await;
    assert_eq!(refused, Err(ControlError::BeforeParked(1)));
    one.control().redrive("s-3", None).await.unwrap();
    until("all of it", || notes.has(6, 3)).await;
    until_parked(one, 0).await;
    assert_eq!(notes.handled()["s-3"], [1, 2, 3]);
    place.append(6, 3, 2).await;
    until("what comes", || notes.has(6, 5)).await;
    assert!(notes.is_exact(), "{:?}", notes.handled());
    assert_eq!(one.control().redrive("s-3", None).await, Err(ControlError::NotParked));
    for host in hosts {
        host.shutdown(Duration::from_secs(20)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn saved_positions_are_gone_back_to_after_a_split() {
    let place = Place::new(2).await;
    let notes = Notes::default();
    place.append(20, 0, 2).await;
    let host = place.start("one", &notes).await;
    until("the first", || notes.has(20, 2)).await;
    host.shutdown(Duration::from_secs(20)).await.unwrap();
    let control = Control::new(place.leases().await);
    let saved = control.positions().await.unwrap();
    let saved = serde_json::from_str(&serde_json::to_string(&saved).unwrap()).unwrap();

    place.append(20, 2, 2).await;
    place.endpoint.control().split("test", "events", Some(0), None).await.unwrap();
    let host = place.start("two", &notes).await;
    until("the second", || notes.has(20, 4)).await;
    until("three leases", || held(&host) == 3).await;
    control.rewind_to(&saved).await.unwrap();
    let is_done = |orders: &Vec<u64>| *orders == [1, 2, 3, 4, 3, 4];
    until("the second again", || notes.handled().values().all(is_done)).await;
    let nothing = Positions { positions: Vec::new() };
    assert_eq!(control.rewind_to(&nothing).await, Err(ControlError::NoPositions));
    host.shutdown(Duration::from_secs(20)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_was_spoiled_or_deleted_is_made_anew() {
    let place = Place::new(2).await;
    let notes = Notes::default();
    place.append(20, 0, 1).await;
    let host = place.start("one", &notes).await;
    until("the first", || notes.has(20, 1)).await;
    let leases: Vec<_> = host.status().leases.into_iter().map(|lease| lease.lease).collect();
    let client = crate::sdk::client(place.endpoint.endpoint()).await;
    let container = client.database_client("test").container_client("leases", None).await.unwrap();
    let spoiled = serde_json::json!({"id": leases[0].id(), "processor": "test", "schema": 1,
        "kind": "lease", "epoch": "many"});
    container.upsert_item("test", &leases[0].id(), &spoiled, None).await.unwrap();
    container.delete_item("test", &leases[1].id(), None).await.unwrap();
    // Nothing that comes is lost.
    place.append(20, 1, 2).await;
    until("the rest", || notes.has(20, 3)).await;
    // And the epochs go on rising.
    until("two leases of later epochs", || {
        let now = host.status().leases;
        let later = now.iter().zip(&leases).filter(|(now, old)| now.lease.epoch > old.epoch);
        held(&host) == 2 && later.count() == 2
    })
    .await;
    host.shutdown(Duration::from_secs(20)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_hosts_pause_resume_and_rewind() {
    let place = Place::new(2).await;
    let notes = Notes::default();
    let (one, two) = (place.start("one", &notes).await, place.start("two", &notes).await);
    until("shares", || held(&one) == 1 && held(&two) == 1).await;
    place.append(8, 0, 2).await;
    until("all of it", || notes.has(8, 2)).await;
    let control = Control::new(place.leases().await);
    control.pause().await.unwrap();
    until("paused", || one.status().is_paused && two.status().is_paused).await;
    place.append(8, 2, 1).await;
    control.rewind_to_beginning().await.unwrap();
    control.resume().await.unwrap();
    // Everything again, from the beginning.
    until("again", || {
        notes
            .handled()
            .values()
            .all(|orders| orders.iter().filter(|order| **order == 1).count() == 2)
    })
    .await;
    until("all of it", || notes.has(8, 3)).await;
    for host in [one, two] {
        host.shutdown(Duration::from_secs(20)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throttled_leases_hold_nothing_up_for_good() {
    let place = Place::new(2).await;
    let notes = Notes::default();
    let host = place.start("one", &notes).await;
    place.append(10, 0, 1).await;
    until("the first", || notes.has(10, 1)).await;
    let busy = FaultAction::Status { status: 429, substatus: Some(3200), retry_after_ms: Some(50) };
    place.endpoint.control().inject(Fault::new(busy).on_kind("batch").times(40)).unwrap();
    // The appends of the test are batches as well, so they wait for the end of it.
    let leases = place.leases().await;
    until("used up", || place.endpoint.control().faults().is_empty()).await;
    place.append(10, 1, 2).await;
    until("the rest", || notes.has(10, 3)).await;
    host.shutdown(Duration::from_secs(20)).await.unwrap();
    let overview = Control::new(leases).overview().await.unwrap();
    assert!(overview.leases.iter().all(|lease| lease.owner.is_none()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_until_all_is_handled_has_waited_for_the_other_hosts_too() {
    let place = Place::new(3).await;
    let notes = Notes::default();
    *notes.poison() = Some("s-4");
    let (one, two) = (place.start("one", &notes).await, place.start("two", &notes).await);
    until("shares", || held(&one) + held(&two) == 3 && held(&one) > 0 && held(&two) > 0).await;
    for round in 0..5 {
        place.append(12, round, 1).await;
        one.wait_caught_up().await.unwrap();
        let handled = notes.handled();
        let last: Vec<_> = handled.values().map(|orders| orders.last().copied()).collect();
        assert_eq!(last, vec![Some(round + 1); 11], "{round}");
        // Whoever has not set it aside itself learns of it with the next list.
        until("it is known", || one.status().parked.len() == 1).await;
    }
    let metrics = [one.metrics(), two.metrics()];
    let sum = |value: fn(&Metrics) -> u64| -> u64 { metrics.iter().map(value).sum() };
    assert_eq!(sum(|metrics| metrics.handled), 55);
    assert_eq!(sum(|metrics| metrics.changes), 60);
    assert_eq!(sum(|metrics| metrics.parked), 1);
    assert_eq!(sum(|metrics| metrics.failures), 1);
    assert_eq!(sum(|metrics| metrics.lost), 0);
    assert_eq!(sum(|metrics| metrics.acquired), 3 + sum(|metrics| metrics.released));
    assert!(metrics.iter().all(|metrics| metrics.feed_charge > 0.0 && metrics.leases_charge > 0.0));
    two.kill();
    one.shutdown(Duration::from_secs(20)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_of_a_newer_version_are_not_touched() {
    let place = Place::new(1).await;
    let client = crate::sdk::client(place.endpoint.endpoint()).await;
    let container = client.database_client("test").container_client("leases", None).await.unwrap();
    let newer = serde_json::json!({"id": "topology", "processor": "test", "schema": 2,
        "kind": "topology", "something": "else"});
    container.upsert_item("test", "topology", &newer, None).await.unwrap();
    place.append(3, 0, 1).await;
    place.endpoint.control().reset_counts();
    let notes = Notes::default();
    let host = place.start("one", &notes).await;
    until("it says why", || {
        host.status().trouble.is_some_and(|trouble| trouble.contains("schema 2"))
    })
    .await;
    host.shutdown(Duration::from_secs(5)).await.unwrap();
    assert!(notes.handled().is_empty());
    let counts = place.endpoint.control().counts().kinds;
    assert!(!counts.contains_key("batch"), "{counts:?}");
}

//! The load: 32 tasks, each appending to streams of its own, one append at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cosmos_event_store::{EventStore, ExpectedVersion, NewEvent};
use serde_json::json;
use tokio::task::JoinSet;

use crate::EVENTS_PER_APPEND;

/// Tasks that append side by side.
pub(crate) const TASKS: u64 = 32;
/// Streams of each task; it goes round them.
const STREAMS: u64 = 100;

/// Appends that go on where the last call stopped.
pub(crate) struct Load {
    store: EventStore,
    tasks: Vec<Arc<Task>>,
}

struct Task {
    prefix: String,
    /// Appends done so far; from it follow the stream and its version.
    done: AtomicU64,
}

impl Load {
    pub(crate) fn new(store: EventStore, name: &str) -> Self {
        let task = |number| {
            let prefix = format!("{name}{number}");
            Arc::new(Task { prefix, done: AtomicU64::new(0) })
        };
        Self { store, tasks: (0..TASKS).map(task).collect() }
    }

    /// Appends about this many events in all; returns appends per second.
    pub(crate) async fn append_events(&self, events: u64) -> f64 {
        let each = events.div_ceil(EVENTS_PER_APPEND * TASKS);
        self.run(move |done, _| done < each).await
    }

    /// Appends for this long; returns appends per second.
    pub(crate) async fn appends_per_second(&self, time: Duration) -> f64 {
        self.run(move |_, elapsed| elapsed < time).await
    }

    /// Appends for this long, then calls `kill` while appends are under way.
    pub(crate) async fn run_until_killed(&self, time: Duration, kill: impl FnOnce()) {
        let mut tasks = JoinSet::new();
        for task in &self.tasks {
            let (store, task) = (self.store.clone(), Arc::clone(task));
            tasks.spawn(async move {
                loop {
                    Box::pin(append(&store, &task)).await;
                }
            });
        }
        tokio::time::sleep(time).await;
        kill();
        tasks.shutdown().await;
    }

    async fn run(&self, go_on: impl Fn(u64, Duration) -> bool + Copy + Send + 'static) -> f64 {
        let started = Instant::now();
        let mut tasks = JoinSet::new();
        for task in &self.tasks {
            let (store, task) = (self.store.clone(), Arc::clone(task));
            tasks.spawn(async move {
                let mut done = 0;
                while go_on(done, started.elapsed()) {
                    Box::pin(append(&store, &task)).await;
                    done += 1;
                }
                done
            });
        }
        let appends: u64 = tasks.join_all().await.into_iter().sum();
        appends as f64 / started.elapsed().as_secs_f64()
    }
}

async fn append(store: &EventStore, task: &Task) {
    let done = task.done.fetch_add(1, Ordering::Relaxed);
    let (stream, version) = (done % STREAMS, done / STREAMS * EVENTS_PER_APPEND);
    let events = (1..=EVENTS_PER_APPEND).map(|number| event(version + number)).collect();
    let stream = format!("{}-{stream}", task.prefix);
    let outcome = store.append(stream, ExpectedVersion::Exact(version), events).await.unwrap();
    assert!(!outcome.is_repeated());
    assert_eq!(outcome.receipt().round_trips, 1);
}

/// About 400 bytes of data, as an insurance quote has them.
fn event(number: u64) -> NewEvent {
    let data = json!({
        "quoteId": "0190b6a5-7d8e-7c3b-9f6e-3d0f1a2b3c4d",
        "section": "contact",
        "contact": {
            "name": "Asha Raghunathan",
            "email": "asha.raghunathan@example.com",
            "phone": "+91 80 5550 1234",
            "address": ["14 Residency Road", "Bengaluru", "Karnataka", "560001", "IN"]
        },
        "premium": {"amount": 18250.5, "currency": "INR", "frequency": "annual"},
        "revision": number,
        "remark": "captured page by page; the applicant came back to this section once"
    });
    NewEvent::new("ContactDetailsSet", data).unwrap()
}

//! The reference: one-event appends by the library.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use cosmos_event_store::{EventStore, ExpectedVersion, NewEvent};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::TASKS;

/// Contact details, as the domain stores them, and as the body of an append has them.
pub(crate) fn contact(number: u64) -> Value {
    json!({
        "firstName": "Asha",
        "lastName": "Raghunathan",
        "email": format!("asha.{number}@example.com"),
        "phone": "+918055501234"
    })
}

/// Runs `TASKS` tasks for a time; each does one thing after the other. Gives things per second.
pub(crate) async fn per_second<W>(time: Duration, work: W) -> f64
where
    W: Fn(usize) -> BoxFuture<'static, ()> + Clone + Send + 'static,
{
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let work = work.clone();
        tasks.spawn(async move {
            let mut done = 0_u64;
            while started.elapsed() < time {
                work(task).await;
                done += 1;
            }
            done
        });
    }
    let done: u64 = tasks.join_all().await.into_iter().sum();
    done as f64 / started.elapsed().as_secs_f64()
}

/// Appends to a stream per task that go on where the last round stopped. After this many events the next
/// stream begins: a quote does not have more.
pub(crate) const EVENTS_PER_STREAM: u64 = 100;

/// The stream and the version at which a task makes its append of this number.
pub(crate) fn place(name: &str, task: usize, number: u64) -> (String, u64) {
    (format!("{name}{task}-{}", number / EVENTS_PER_STREAM), number % EVENTS_PER_STREAM)
}

/// How many things each task has done.
pub(crate) fn counters() -> Arc<Vec<AtomicU64>> {
    Arc::new((0..TASKS).map(|_| AtomicU64::new(0)).collect())
}

/// Appends by the library, at a definite version.
pub(crate) struct Appends {
    store: EventStore,
    done: Arc<Vec<AtomicU64>>,
}

impl Appends {
    pub(crate) fn new(store: EventStore) -> Self {
        Self { store, done: counters() }
    }

    pub(crate) async fn per_second(&self, time: Duration) -> f64 {
        let (store, done) = (self.store.clone(), Arc::clone(&self.done));
        per_second(time, move |task| {
            let store = store.clone();
            let number = done[task].fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                let (stream, version) = place("library", task, number);
                let event = NewEvent::new("ContactDetailsSet", contact(number)).unwrap();
                let expected = ExpectedVersion::Exact(version);
                let outcome = store.append(stream, expected, vec![event]).await.unwrap();
                assert!(!outcome.is_repeated());
            })
        })
        .await
    }
}

//! Writers that append side by side until the process under them is killed.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use cosmos_event_store::{EventStore, ExpectedVersion, NewEvent};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Luck, program::Program};
use crate::fixture::events;

/// Streams with a writer of their own, which expects a version.
const OWN: u64 = 4;
/// Streams on which two writers append at the end.
const SHARED: u64 = 2;
const EVENTS_MAX: u64 = 5;

/// An append, whatever became of it.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) stream: String,
    pub(super) expected: ExpectedVersion,
    pub(super) events: Vec<NewEvent>,
    /// The number of the first event, when the append was acknowledged.
    pub(super) first: Option<u64>,
}

/// A process under load.
pub(super) struct Load {
    store: EventStore,
    program: Mutex<Program>,
    /// Acknowledgements until it is killed.
    left: AtomicU64,
    killed: CancellationToken,
}

impl Load {
    pub(super) fn new(store: EventStore, program: Program, acknowledgements: u64) -> Self {
        let (left, killed) = (AtomicU64::new(acknowledgements), CancellationToken::new());
        Self { store, program: Mutex::new(program), left, killed }
    }

    /// Counts an acknowledgement. The last one kills, while the other writers wait for theirs.
    fn acknowledge(&self) {
        let count = |left: u64| left.checked_sub(1);
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count) == Ok(1) {
            self.program.lock().unwrap().kill();
            self.killed.cancel();
        }
    }

    fn is_dying(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }

    /// Appends until the process is killed. A writer that follows the version has it in
    /// `version`; any other takes what comes.
    async fn write(
        &self,
        stream: String,
        mut version: Option<u64>,
        mut luck: Luck,
    ) -> Vec<Attempt> {
        let mut attempts = Vec::new();
        loop {
            let expected = version.map_or(ExpectedVersion::Any, ExpectedVersion::Exact);
            let events = events(1 + luck.below(EVENTS_MAX));
            let append = self.store.append(stream.as_str(), expected, events.clone());
            // An answer that came counts, even if the process is dead by now.
            let answer = tokio::select! {
                biased;
                answer = append => Some(answer),
                () = self.killed.cancelled() => None,
            };
            let first = match answer {
                Some(Ok(outcome)) => Some(outcome.receipt().first),
                Some(Err(error)) => {
                    assert!(self.is_dying(), "{error}");
                    None
                }
                None => None,
            };
            let size = events.len() as u64;
            attempts.push(Attempt { stream: stream.clone(), expected, events, first });
            let Some(first) = first else { return attempts };
            version = version.map(|_| first + size - 1);
            self.acknowledge();
        }
    }
}

/// Lets the writers append until they have killed the process; gives all that they have tried.
pub(super) async fn put_load_on(load: Load, luck: &mut Luck) -> Vec<Attempt> {
    let load = Arc::new(load);
    // Versions are read before anybody appends: a writer that is slow to start could otherwise
    // ask a process that the others have killed.
    let mut plan = Vec::new();
    for stream in (0..OWN).map(|stream| format!("own-{stream}")) {
        let version = load.store.version(stream.as_str()).await.unwrap().value;
        plan.push((stream, Some(version)));
    }
    plan.extend((0..2 * SHARED).map(|writer| (format!("shared-{}", writer % SHARED), None)));
    let mut writers = JoinSet::new();
    for (stream, version) in plan {
        let (load, luck) = (Arc::clone(&load), luck.fork());
        writers.spawn(async move { load.write(stream, version, luck).await });
    }
    writers.join_all().await.into_iter().flatten().collect()
}

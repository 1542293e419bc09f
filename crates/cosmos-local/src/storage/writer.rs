//! The one thread that writes: it takes all requests that are waiting and gives them one durable commit.

mod failure;
mod stagings;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use redb::WriteTransaction;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::apply::{Staged, Staging};
use super::container::Container;
use super::error::StorageError;
use super::flush::Flush;
use super::operation::{Operation, Outcome};
use crate::clock::{self, Clock};
use crate::key::PartitionKey;
use failure::Watch;

pub(super) use failure::Failure;
pub(super) use stagings::Stagings;

/// Most requests that share a commit: bounds how long the first of them waits for the others.
const GROUP_MAX: usize = 256;
/// Most requests that wait or are being written. A caller beyond waits for a place.
const WAITING_MAX: usize = 4096;
/// After this long without a request, index entries are moved from memory into the file.
const IDLE: Duration = Duration::from_millis(200);
/// Least index entries that a commit under load takes along.
const FLUSH_BUDGET_MIN: usize = 256;
/// Index entries per commit while idle: short, so that a request never waits long for it.
const IDLE_BUDGET: usize = 4096;
/// In relaxed durability: at most this much of acknowledged writing is lost by a crash.
const RELAXED_SYNC: Duration = Duration::from_secs(1);

/// A request to be written.
#[derive(Debug)]
pub(super) struct WriteRequest {
    pub(super) container: Arc<Container>,
    pub(super) key: PartitionKey,
    pub(super) operations: Vec<Operation>,
    pub(super) reply: oneshot::Sender<Result<Outcome, StorageError>>,
}

/// Work that has a transaction of its own.
pub(super) struct Exclusive {
    pub(super) work: Box<dyn FnOnce(&mut Writer) + Send>,
}

/// A request's place among those that wait. The request keeps it, also when its caller has gone away.
type Place = OwnedSemaphorePermit;

enum Command {
    Write(WriteRequest, Place),
    Exclusive(Exclusive),
    Close(oneshot::Sender<Result<(), StorageError>>),
    Stop,
}

/// The way to the writer.
#[derive(Clone, Debug)]
pub(super) struct WriterHandle {
    sender: Sender<Command>,
    places: Arc<Semaphore>,
    failure: Failure,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Command")
    }
}

impl WriterHandle {
    pub(super) async fn write(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<Outcome, StorageError>>) -> WriteRequest,
    ) -> Result<Outcome, StorageError> {
        let place = self.place().await?;
        let (reply, answer) = oneshot::channel();
        self.sender
            .send(Command::Write(request(reply), place))
            .map_err(|_| self.failure.closed())?;
        answer.await.map_err(|_| self.failure.closed())?
    }

    async fn place(&self) -> Result<Place, StorageError> {
        Arc::clone(&self.places).acquire_owned().await.map_err(|_| self.failure.closed())
    }

    /// Runs `work` on the writer's thread, between two commits.
    pub(super) async fn exclusive<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let place = self.place().await?;
        let (reply, answer) = oneshot::channel();
        let work = Box::new(move |writer: &mut Writer| {
            let result = writer.usable().and_then(|()| work(writer));
            drop(place);
            // A caller that has gone away has no use for the answer.
            let _gone = reply.send(result).is_err();
        });
        self.sender
            .send(Command::Exclusive(Exclusive { work }))
            .map_err(|_| self.failure.closed())?;
        answer.await.map_err(|_| self.failure.closed())?
    }

    /// Why no more writes are taken, if that is so.
    pub(super) fn failure(&self) -> &Failure {
        &self.failure
    }

    /// Ends the writer after the requests that it has, without bringing the file into its best state.
    pub(super) fn stop(&self) {
        // A writer that is gone has stopped.
        let _gone = self.sender.send(Command::Stop).is_err();
    }

    /// Places that are free.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.places.available_permits()
    }

    pub(super) async fn close(&self) -> Result<(), StorageError> {
        let (reply, answer) = oneshot::channel();
        self.sender.send(Command::Close(reply)).map_err(|_| self.failure.closed())?;
        answer.await.map_err(|_| self.failure.closed())?
    }
}

/// How often commits are made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sync {
    /// Before each acknowledgement.
    Always,
    /// About every second.
    Relaxed,
    /// Never: there is no file.
    Never,
}

/// State of the writer's thread.
#[derive(Debug)]
pub(super) struct Writer {
    file: Arc<redb::Database>,
    clock: Clock,
    sync: Sync,
    freeze_at: usize,
    last_sync: Instant,
    unsynced: bool,
    /// Containers with entries in memory or on their way into the file.
    containers: BTreeMap<u32, Indexing>,
    failure: Failure,
    last_now: u32,
}

/// How far the index of one container is.
#[derive(Debug)]
pub(super) struct Indexing {
    container: Arc<Container>,
    flush: Option<Flush>,
    indexed: BTreeMap<u32, u64>,
}

/// Makes the channel; the handle is needed before the writer can run.
pub(super) fn pair() -> (WriterHandle, WriterQueue) {
    let (sender, receiver) = channel();
    let places = Arc::new(Semaphore::new(WAITING_MAX));
    (WriterHandle { sender, places, failure: Failure::default() }, WriterQueue { receiver })
}

/// The writer's end of the channel.
#[derive(Debug)]
pub(super) struct WriterQueue {
    receiver: Receiver<Command>,
}

impl WriterQueue {
    /// Serves requests until it is closed.
    pub(super) fn serve(self, mut writer: Writer) {
        let _watch = Watch(writer.failure.clone());
        let mut carried = None;
        let mut more = false;
        loop {
            let command = match carried.take() {
                Some(command) => command,
                None => {
                    match self.receiver.recv_timeout(if more { Duration::ZERO } else { IDLE }) {
                        Ok(command) => command,
                        Err(RecvTimeoutError::Timeout) => {
                            more = writer.idle();
                            continue;
                        }
                        Err(RecvTimeoutError::Disconnected) => return,
                    }
                }
            };
            more = false;
            match command {
                Command::Write(first, place) => {
                    let mut group = vec![(first, place)];
                    while group.len() < GROUP_MAX {
                        match self.receiver.try_recv() {
                            Ok(Command::Write(request, place)) => group.push((request, place)),
                            Ok(other) => {
                                carried = Some(other);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                    writer.write_group(group);
                }
                Command::Exclusive(Exclusive { work }) => work(&mut writer),
                Command::Stop => return,
                Command::Close(reply) => {
                    let result = writer.flush_all();
                    // Dropping the file is part of the close.
                    drop(writer);
                    let _gone = reply.send(result).is_err();
                    return;
                }
            }
        }
    }
}

impl Writer {
    pub(super) fn new(
        file: Arc<redb::Database>,
        clock: Clock,
        sync: Sync,
        freeze_at: usize,
        failure: Failure,
    ) -> Self {
        Self {
            file,
            clock,
            sync,
            freeze_at,
            last_sync: clock::monotonic(),
            unsynced: false,
            containers: BTreeMap::new(),
            failure,
            last_now: 0,
        }
    }

    /// Tells the writer of a container and how far its index is.
    pub(super) fn adopt(&mut self, container: Arc<Container>, indexed: BTreeMap<u32, u64>) {
        let number = container.numbers().container;
        self.containers.insert(number, Indexing { container, flush: None, indexed });
    }

    /// Forgets a container that is deleted.
    pub(super) fn forget(&mut self, container: u32) {
        self.containers.remove(&container);
    }

    /// Refuses a container that was deleted after its handle was looked up.
    pub(super) fn check_present(&self, container: &Container) -> Result<(), StorageError> {
        let is_present = self.containers.contains_key(&container.numbers().container);
        if is_present { Ok(()) } else { Err(StorageError::NotFound) }
    }

    /// Unix seconds that never go back, so that `_ts` rises with the LSN.
    pub(super) fn now(&mut self) -> u32 {
        let now = u32::try_from(self.clock.unix_seconds()).unwrap_or(u32::MAX);
        self.last_now = self.last_now.max(now);
        self.last_now
    }

    fn usable(&self) -> Result<(), StorageError> {
        match self.failure.reason() {
            None => Ok(()),
            Some(_) => Err(self.failure.closed()),
        }
    }

    /// Runs `work` in a transaction and commits it.
    pub(super) fn transaction<T>(
        &mut self,
        work: impl FnOnce(&WriteTransaction) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let (transaction, sync) = self.begin()?;
        let result = work(&transaction)?;
        self.commit(transaction, sync)?;
        Ok(result)
    }

    /// Begins a transaction; says whether its commit makes it, and all before it, durable.
    fn begin(&self) -> Result<(WriteTransaction, bool), StorageError> {
        let mut transaction = self.file.begin_write()?;
        let sync = match self.sync {
            Sync::Always => true,
            Sync::Relaxed => self.is_sync_due(),
            Sync::Never => false,
        };
        if sync {
            // Saves the allocator's state with each commit, so that an open after a crash is quick.
            transaction.set_quick_repair(true);
        } else {
            transaction.set_durability(redb::Durability::None)?;
        }
        Ok((transaction, sync))
    }

    fn is_sync_due(&self) -> bool {
        clock::monotonic().duration_since(self.last_sync) >= RELAXED_SYNC
    }

    /// After a failed commit nobody knows what is in the file until it is opened again.
    fn commit(&mut self, transaction: WriteTransaction, sync: bool) -> Result<(), StorageError> {
        transaction.commit().map_err(|error| {
            let reason = format!("a commit failed: {error}; restart the endpoint");
            self.failure.note(reason.clone());
            StorageError::Unavailable(reason)
        })?;
        self.unsynced = !sync;
        if sync {
            self.last_sync = clock::monotonic();
        }
        Ok(())
    }

    fn write_group(&mut self, group: Vec<(WriteRequest, Place)>) {
        let mut replies: Vec<Reply> = Vec::with_capacity(group.len());
        let now = self.now();
        let result = self.usable().and_then(|()| {
            self.group_commit(|stagings| {
                for (request, place) in group {
                    let WriteRequest { container, key, operations, reply } = request;
                    let outcome = stagings
                        .of(&container)
                        .and_then(|staging| staging.execute(&key, operations, now));
                    replies.push((reply, outcome, place));
                }
                Ok(())
            })
        });
        for (reply, outcome, _place) in replies {
            let answer = match &result {
                Ok(()) => outcome,
                Err(error) => Err(StorageError::Unavailable(error.to_string())),
            };
            // A caller that has gone away finds its write when it looks.
            let _gone = reply.send(answer).is_err();
        }
    }

    /// Lets `fill` write, commits, and then makes what was written visible. Takes some index entries of
    /// the containers concerned along.
    pub(super) fn group_commit<T>(
        &mut self,
        fill: impl FnOnce(&mut Stagings<'_, '_>) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let (transaction, sync) = self.begin()?;
        let (result, mut open) = {
            let (known, open) = (&self.containers, BTreeMap::new());
            let mut stagings = Stagings { transaction: &transaction, known, open };
            (fill(&mut stagings)?, stagings.open)
        };
        let mut written = false;
        let mut flushed = Vec::new();
        for (number, staging) in &mut open {
            written |= staging.rows > 0 || !staging.changes.is_empty();
            if let Some(flush) = self.containers.get_mut(number).and_then(|c| c.flush.as_mut()) {
                // Faster than entries arrive, so that the layer is gone before the next one is full.
                let least = FLUSH_BUDGET_MIN.min(self.freeze_at / 4 + 1);
                let load = staging.changes.len() + staging.dead.len();
                let budget = load + load / 4 + least;
                let budget = if staging.rows == 0 { IDLE_BUDGET } else { budget };
                if flush.advance(&transaction, staging, budget)? {
                    flushed.push(*number);
                }
                written = true;
            }
        }
        let staged: Vec<Staged> = open.into_values().map(Staging::close).collect();
        if !written {
            drop(staged);
            transaction.abort()?;
            // Requests that write nothing can keep the writer from ever being idle.
            if self.sync == Sync::Relaxed && self.unsynced && self.is_sync_due() {
                self.sync_now();
            }
            return Ok(result);
        }
        self.commit(transaction, sync)?;
        for staged in staged {
            staged.publish();
        }
        self.after_commit(&flushed);
        Ok(result)
    }

    fn after_commit(&mut self, flushed: &[u32]) {
        for number in flushed {
            if let Some(indexing) = self.containers.get_mut(number)
                && let Some(flush) = indexing.flush.take()
            {
                indexing.indexed = flush.finish(&indexing.container);
            }
        }
        for indexing in self.containers.values_mut().filter(|indexing| indexing.flush.is_none()) {
            indexing.flush = Flush::begin(&indexing.container, self.freeze_at, &indexing.indexed);
        }
    }

    /// Moves one slice of index entries into the file; true when there is more to do.
    fn idle(&mut self) -> bool {
        if self.usable().is_err() {
            return false;
        }
        match self.flush_slice() {
            Ok(true) => true,
            Ok(false) => {
                if self.unsynced && self.sync == Sync::Relaxed {
                    self.sync_now();
                }
                false
            }
            Err(error) => {
                tracing::error!(%error, "moving index entries into the file failed");
                false
            }
        }
    }

    fn flush_slice(&mut self) -> Result<bool, StorageError> {
        let mut chosen = None;
        for indexing in self.containers.values_mut() {
            if indexing.flush.is_none() {
                indexing.flush = Flush::begin(&indexing.container, 1, &indexing.indexed);
            }
            if indexing.flush.is_some() {
                chosen = Some(Arc::clone(&indexing.container));
            }
        }
        let Some(container) = chosen else { return Ok(false) };
        self.group_commit(|stagings| stagings.of(&container).map(|_| ()))?;
        Ok(true)
    }

    /// Moves all index entries into the file.
    pub(super) fn flush_all(&mut self) -> Result<(), StorageError> {
        self.usable()?;
        while self.flush_slice()? {}
        if self.unsynced && self.sync == Sync::Relaxed {
            self.sync_now();
        }
        self.usable()
    }

    fn sync_now(&mut self) {
        let result =
            self.file.begin_write().map_err(StorageError::from).and_then(|mut transaction| {
                transaction.set_quick_repair(true);
                self.commit(transaction, true)
            });
        if let Err(error) = result {
            tracing::error!(%error, "making commits durable failed");
        }
    }
}

type Reply = (oneshot::Sender<Result<Outcome, StorageError>>, Result<Outcome, StorageError>, Place);

//! One host: it beats, looks at the others, and holds its share of the leases.

mod balance;
mod beat;
mod join;
mod survey;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::watch, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    coverage::Repair,
    documents::{Activity, Document, Host, Lease, Parked, Saved, Stored, Topology},
    holding::{End, Holding, Listing, Seen, Shared, Wish},
    liveness::Observer,
    options::{STALLED_AFTER, WAITING_INTERVAL},
    store::StoreFault,
};

/// How soon a beat that failed is tried again.
const BEAT_RETRY: Duration = Duration::from_millis(500);
/// How long a lease is left alone whose range cannot be read as it is.
const MOVED_REST: Duration = Duration::from_secs(3);
/// How long a lease that cannot be read is left alone, and a processor that does other work.
const REST: Duration = Duration::from_secs(30);

/// A lease that is held by a task of this host.
struct Held {
    wish: watch::Sender<Wish>,
    parked: watch::Sender<Listing>,
    seen: watch::Receiver<Seen>,
    epoch: u64,
}

/// What is known of a processor, as one host sees it.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Status {
    /// All leases, as they were listed last.
    pub leases: Vec<LeaseStatus>,
    /// The incarnations that are alive.
    pub hosts: Vec<String>,
    /// The keys that are set aside.
    pub parked: Vec<Parked>,
    /// Whether all hosts hold still.
    pub is_paused: bool,
    /// What stands in the way, where something does.
    pub trouble: Option<String>,
}

/// A lease, as one host sees it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LeaseStatus {
    /// The lease.
    pub lease: Lease,
    /// What this host knows of it, where it holds it.
    pub held: Option<HeldStatus>,
}

/// What the holder of a lease knows of it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct HeldStatus {
    /// How far it is behind.
    pub lag: super::documents::Lag,
    /// The changes that were handled since the lease was taken.
    pub handled: u64,
    /// Whether everything that is stored is handled.
    pub is_caught_up: bool,
    /// What it does.
    pub state: LeaseState,
    /// How long the oldest thing that was read and is not durable has waited; 0 when all is durable.
    pub checkpoint_age: Duration,
    /// The hint that was the last when what this tells was asked for.
    pub(super) hint: u64,
}

/// What the holder of a lease does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LeaseState {
    /// There is nothing to do.
    Idle,
    /// There is something to do, and it is being done.
    Working,
    /// Nothing was done for [`STALLED_AFTER`](super::options::STALLED_AFTER), though there is something to
    /// do or the feed does not answer.
    Stalled,
    /// All hosts hold still.
    Paused,
}

/// The task of a host.
pub(super) struct HostTask {
    shared: Arc<Shared>,
    me: Host,
    fence: watch::Sender<Instant>,
    observer: Observer,
    /// What the observer's monotonic clock counts from.
    origin: Instant,
    topology: Option<Stored<Topology>>,
    /// The topology that the last list was of.
    listed: String,
    /// The other hosts, as they were read with the last beat.
    others: Vec<Host>,
    /// The versions of their documents.
    versions: BTreeMap<String, String>,
    alive: Vec<String>,
    leases: BTreeMap<String, Stored<Lease>>,
    parked: Listing,
    held: BTreeMap<String, Held>,
    ends: JoinSet<(String, End)>,
    resting: BTreeMap<String, Instant>,
    /// Leases that do not fit the partitions, as they were compared last: nobody takes them.
    unfit: BTreeSet<String>,
    /// Leases whose documents cannot be read, in which version and since when: whoever works on one may not
    /// know yet.
    damaged: BTreeMap<String, (String, Instant)>,
    /// Leases whose places cannot be used.
    misplaced: BTreeSet<String>,
    /// Members whose documents are gone, and since when.
    absent: BTreeMap<String, Instant>,
    /// The topology as it was listed.
    listed_topology: Option<Stored<Topology>>,
    /// Where leases go on after a rewind, as it was listed.
    saved: Option<Saved>,
    suspect: Repair,
    suspect_since: Instant,
    next_beat: Instant,
    next_list: Instant,
    next_survey: Instant,
    status: watch::Sender<Status>,
    trouble: Option<String>,
}

impl HostTask {
    pub(super) fn new(
        shared: Arc<Shared>,
        fence: watch::Sender<Instant>,
        status: watch::Sender<Status>,
    ) -> Self {
        let now = Instant::now();
        let me = Host {
            instance: shared.options.instance.clone(),
            incarnation: shared.incarnation.clone(),
            beat: 0,
            wants: Vec::new(),
        };
        Self {
            observer: Observer::new(shared.options.expiry),
            origin: now,
            topology: None,
            listed: String::new(),
            others: Vec::new(),
            versions: BTreeMap::new(),
            alive: Vec::new(),
            leases: BTreeMap::new(),
            parked: Listing { begun: now, keys: Arc::default() },
            held: BTreeMap::new(),
            ends: JoinSet::new(),
            resting: BTreeMap::new(),
            absent: BTreeMap::new(),
            unfit: BTreeSet::new(),
            damaged: BTreeMap::new(),
            misplaced: BTreeSet::new(),
            listed_topology: None,
            saved: None,
            suspect: Repair::default(),
            suspect_since: now,
            next_beat: now,
            next_list: now,
            next_survey: now,
            trouble: None,
            shared,
            me,
            fence,
            status,
        }
    }

    /// Works until it is told to stop, then gives its leases away within the time.
    pub(super) async fn run(mut self, stop: CancellationToken, drain: watch::Receiver<Duration>) {
        let mut is_news = true;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = self.ends.join_next(), if !self.ends.is_empty() => {
                    if let Ok((lease, end)) = ended {
                        self.ended(&lease, end);
                    }
                }
                () = tokio::time::sleep_until(self.next_beat) => self.beat().await,
                () = tokio::time::sleep_until(self.next_list), if self.topology.is_some() => {
                    self.list().await;
                }
                () = self.shared.look.notified() => self.look_soon(),
                () = self.shared.news.notified() => {}
                () = self.shared.compare.notified() => {
                    let soon = after(Instant::now(), WAITING_INTERVAL);
                    self.next_survey = self.next_survey.min(soon);
                }
                () = tokio::time::sleep_until(self.next_survey), if self.is_listed() => {
                    self.survey().await;
                }
                // When nothing else is to be done: much may change at the same moment.
                () = std::future::ready(()), if is_news => {
                    self.tell();
                    is_news = false;
                    continue;
                }
            }
            is_news = true;
        }
        let time = *drain.borrow();
        self.leave(time).await;
    }

    /// A lease is not held any more.
    fn ended(&mut self, lease: &str, end: End) {
        self.held.remove(lease);
        let now = Instant::now();
        self.shared.meter.count(|metrics| match end {
            End::Released | End::Split | End::Moved => {
                metrics.released = metrics.released.saturating_add(1);
            }
            _ => metrics.lost = metrics.lost.saturating_add(1),
        });
        match end {
            End::Released | End::Split | End::Lost | End::Fenced => {
                tracing::debug!(?end, "a lease is not held any more");
            }
            End::Moved => {
                // It stays as it is until it is compared with the partitions: to take it again at once
                // would only be in the way of whoever mends it.
                self.resting.insert(lease.to_owned(), after(now, MOVED_REST));
                self.next_survey = self.next_survey.min(after(now, WAITING_INTERVAL));
            }
            End::BadPlace(reason) => {
                tracing::warn!(reason, "the place of a lease cannot be used, it restarts by time");
                self.misplaced.insert(lease.to_owned());
            }
            End::Refused(reason) => {
                tracing::error!(reason, "a lease cannot be worked on");
                self.trouble = Some(reason);
                self.resting.insert(lease.to_owned(), after(now, REST));
            }
        }
        self.next_list = now;
    }

    /// The documents of the processor have to be looked at soon.
    fn look_soon(&mut self) {
        let soon = after(Instant::now(), WAITING_INTERVAL);
        self.next_list = self.next_list.min(soon);
    }

    fn note(&mut self, fault: &StoreFault) {
        let trouble = Some(fault.to_string());
        // It is tried again twice a second, and said once.
        if self.trouble != trouble {
            tracing::warn!(%fault, "the lease store did not do what was asked");
        }
        self.trouble = trouble;
    }

    fn monotonic(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.origin)
    }

    /// Whether there are leases to compare with the partitions.
    fn is_listed(&self) -> bool {
        self.topology.is_some() && !self.leases.is_empty()
    }

    fn is_paused(&self) -> bool {
        let topology = self.topology.as_ref();
        topology.is_some_and(|topology| topology.document.activity == Activity::Paused)
    }

    /// Reads all documents of the processor, and acts on them.
    async fn list(&mut self) {
        let begun = Instant::now();
        let listed = match self.shared.leases.list().await {
            Ok(listed) => listed,
            Err(fault) => {
                self.note(&fault);
                self.next_list = after(Instant::now(), BEAT_RETRY);
                return;
            }
        };
        self.next_list = after(Instant::now(), self.shared.options.list_interval);
        self.sort(begun, listed);
        self.drop_lost();
        self.tell_parked();
        self.note_damaged().await;
        self.mend().await;
        if self.is_rewinding() {
            self.look_soon();
        }
        self.balance().await;
    }

    /// Whether a lease has not been rewound yet. Who lets go of it tells nobody, and it may be this host
    /// that is to take it.
    fn is_rewinding(&self) -> bool {
        let generation = self.topology.as_ref().map_or(0, |known| known.document.generation);
        self.leases.values().any(|lease| lease.document.generation < generation)
    }

    /// Tells the holdings which keys are parked.
    fn tell_parked(&self) {
        for held in self.held.values() {
            held.parked.send_replace(self.parked.clone());
        }
    }

    /// Ends the work on leases that are not ours any more.
    fn drop_lost(&self) {
        for (id, held) in &self.held {
            let is_ours = self.leases.get(id).is_some_and(|lease| {
                lease.document.epoch == held.epoch
                    && lease.document.owner.as_ref() == Some(&self.me.incarnation)
            });
            // One that is being given away tells by itself how that ended.
            if !is_ours && matches!(*held.wish.borrow(), Wish::Work | Wish::Pause) {
                held.wish.send_replace(Wish::Stop);
            }
        }
    }

    fn sort(&mut self, begun: Instant, listed: Vec<Stored<Document>>) {
        self.leases.clear();
        let mut parked = BTreeMap::new();
        self.saved = None;
        for Stored { document, etag, stored_at } in listed {
            match document {
                Document::Topology(document) => {
                    self.listed.clone_from(&etag);
                    self.listed_topology = Some(Stored { document, etag, stored_at });
                }
                Document::Lease(document) => {
                    self.leases.insert(document.id(), Stored { document, etag, stored_at });
                }
                Document::Parked(document) => {
                    let key = document.key.clone();
                    parked.insert(key, Stored { document, etag, stored_at });
                }
                Document::Saved(document) => self.saved = Some(document),
                Document::Host(_) | Document::Discarded(_) => {}
            }
        }
        self.parked = Listing { begun, keys: Arc::new(parked) };
    }

    /// Begins to work on a lease that was acquired.
    fn hold(&mut self, lease: Stored<Lease>) {
        let wish = if self.is_paused() { Wish::Pause } else { Wish::Work };
        self.shared.meter.count(|metrics| metrics.acquired = metrics.acquired.saturating_add(1));
        let (wish, wishes) = watch::channel(wish);
        let (seen_by, seen) = watch::channel(Seen::default());
        let (parked, listing) = watch::channel(self.parked.clone());
        let epoch = lease.document.epoch;
        let id = lease.document.id();
        let holding = Holding::new(Arc::clone(&self.shared), lease, listing, wishes, seen_by);
        self.held.insert(id.clone(), Held { wish, parked, seen, epoch });
        self.ends.spawn(async move { (id, Box::pin(holding.run()).await) });
    }

    fn held_status(&self, seen: &Seen) -> HeldStatus {
        let Seen { lag, handled, is_caught_up, moved, undurable, .. } = *seen;
        let since = |at: Option<Instant>| at.map(|at| at.elapsed()).unwrap_or_default();
        let state = match () {
            () if self.is_paused() => LeaseState::Paused,
            () if since(moved) > STALLED_AFTER => LeaseState::Stalled,
            () if is_caught_up => LeaseState::Idle,
            () => LeaseState::Working,
        };
        let hint = seen.hint;
        HeldStatus { lag, handled, is_caught_up, state, checkpoint_age: since(undurable), hint }
    }

    fn tell(&self) {
        let held = |id: &str, lease: &Lease| {
            let held = self.held.get(id).filter(|held| held.epoch == lease.epoch)?;
            Some(self.held_status(&held.seen.borrow()))
        };
        let lease = |(id, lease): (&String, &Stored<Lease>)| {
            let lease = lease.document.clone();
            LeaseStatus { held: held(id, &lease), lease }
        };
        self.status.send_replace(Status {
            leases: self.leases.iter().map(lease).collect(),
            hosts: self.alive.clone(),
            parked: self.parked.keys.values().map(|parked| parked.document.clone()).collect(),
            is_paused: self.is_paused(),
            trouble: self.trouble.clone(),
        });
    }
}

fn after(now: Instant, wait: Duration) -> Instant {
    now.checked_add(wait).unwrap_or(now)
}

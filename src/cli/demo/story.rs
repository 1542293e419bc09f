//! What happens in a demonstration, step by step.

use std::{path::Path, time::Duration};

use futures::TryStreamExt as _;
use serde::Serialize;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    counts::{Count, counts},
    log::Log,
    workers::{Holders, Workers, holders, live},
};
use crate::{
    cli::{
        CliError,
        args::Format,
        output::Output,
        table::{Align, Table, counted, grouped},
        target::Account,
        worker::views,
    },
    projection::{ReadModels, RebuildOptions, Rebuilt, Verified, generic::StreamSummary},
    store::EventStore,
};

/// The time between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// How long anything may take before it is said that it does not happen.
const STEP_TIME_MAX: Duration = Duration::from_mins(1);
/// From when events are appended again until a worker is killed.
const KILL_AFTER: Duration = Duration::from_millis(200);
/// How many percent of the events are appended before a worker is killed, before the rebuild, and during it.
const BEFORE_KILL: usize = 40;
const BEFORE_REBUILD: usize = 80;
const DURING_REBUILD: usize = 98;

/// A demonstration that is to come.
#[derive(Debug)]
pub(super) struct Story<'a> {
    quotes: u32,
    seed: u64,
    account: &'a Account,
    folder: &'a Path,
    begun: Instant,
}

/// What has happened, for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ended {
    quotes: u32,
    seed: u64,
    events: usize,
    steps: Steps,
    read_models: Vec<Checked>,
    counts: Vec<Count>,
    seconds: f64,
    ok: bool,
}

/// How long things took, in seconds.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Steps {
    workers_ready: f64,
    /// All appends, while workers came and went.
    appending: f64,
    /// From the kill until the other worker had everything.
    fail_over: f64,
    rebuild: f64,
    /// From the last append until everything was in every read model.
    visible: f64,
    verifying: f64,
}

/// A read model that was compared with a replay.
#[derive(Debug, Serialize)]
struct Checked {
    projection: String,
    #[serde(flatten)]
    verified: Verified,
}

impl Ended {
    /// How many checks failed.
    pub(super) fn faults(&self) -> usize {
        let models = self.read_models.iter();
        let models = models.filter(|one| !one.verified.drift.is_none() || one.verified.behind > 0);
        let counts = self.counts.iter().filter(|count| count.expected != count.found);
        models.count().saturating_add(counts.count())
    }
}

impl<'a> Story<'a> {
    pub(super) fn new(quotes: u32, seed: u64, account: &'a Account, folder: &'a Path) -> Self {
        Self { quotes, seed, account, folder, begun: Instant::now() }
    }

    /// Lets it happen, and says what happens.
    pub(super) async fn tell(
        self,
        out: &mut Output<'_>,
        stop: &CancellationToken,
    ) -> Result<Ended, CliError> {
        let store = self.account.connect().await?;
        self.check_empty(&store).await?;
        let read_models = views::open(self.account, store.clone()).await?;
        let mut log = Log::new(self.quotes, self.seed)?;
        let expected = log.expected();
        let (mut steps, mut workers) = (Steps::default(), Workers::new(self.folder));
        self.note(out, &format!("the store is in {}", self.folder.display()))?;
        steps.workers_ready = self.start_workers(&read_models, &mut workers, out).await?;
        let appending = Instant::now();
        let count = log.append(&store, BEFORE_KILL).await?;
        self.note(out, &format!("{} appended", counted(number(count), "event")))?;
        steps.fail_over = self.fail_over(&read_models, &store, &mut workers, &mut log, out).await?;
        let rebuilt = self.rebuild(&read_models, &store, &mut log, out, stop).await?;
        steps.rebuild = rebuilt.time.as_secs_f64();
        log.append(&store, 100).await?;
        steps.appending = appending.elapsed().as_secs_f64();
        steps.visible = self.wait_visible(&read_models, out).await?;
        workers.check()?;
        let verifying = Instant::now();
        let read_models_checked = self.verify(&read_models, out).await?;
        let counts = counts(&read_models, &expected).await?;
        steps.verifying = verifying.elapsed().as_secs_f64();
        let mut ended = Ended {
            quotes: self.quotes,
            seed: self.seed,
            events: log.len(),
            steps,
            read_models: read_models_checked,
            counts,
            seconds: self.begun.elapsed().as_secs_f64(),
            ok: false,
        };
        ended.ok = ended.faults() == 0;
        print(&ended, out)?;
        Ok(ended)
    }

    async fn check_empty(&self, store: &EventStore) -> Result<(), CliError> {
        let first = store.streams().pages().try_next().await?;
        if first.is_none_or(|page| page.first_events.is_empty()) {
            return Ok(());
        }
        let folder = self.folder.display();
        Err(CliError::Usage(format!(
            "{folder} has events already: the demonstration needs an empty store"
        )))
    }

    async fn start_workers(
        &self,
        read_models: &ReadModels,
        workers: &mut Workers,
        out: &mut Output<'_>,
    ) -> Result<f64, CliError> {
        let begun = Instant::now();
        for name in ["worker-1", "worker-2"] {
            workers.start(name)?;
        }
        let names = read_models.catalog().names().count();
        let is_ready = |holders: &Holders| {
            let has_joined = |name| holders.hosts.get(name).is_some_and(|count| *count == names);
            holders.versions == names
                && holders.free == 0
                && ["worker-1", "worker-2"].into_iter().all(has_joined)
        };
        self.wait(read_models, workers, "the workers do not begin", is_ready).await?;
        let read_models = counted(number(names), "read model");
        self.note(out, &format!("worker-1 and worker-2 keep {read_models} up to date"))?;
        Ok(begun.elapsed().as_secs_f64())
    }

    /// Kills the worker that has most to do, and waits until the other one has taken over, while events are
    /// appended.
    async fn fail_over(
        &self,
        read_models: &ReadModels,
        store: &EventStore,
        workers: &mut Workers,
        log: &mut Log,
        out: &mut Output<'_>,
    ) -> Result<f64, CliError> {
        let before = holders(read_models).await?;
        let busiest = workers
            .names()
            .into_iter()
            .max_by_key(|name| before.leases.get(name).copied().unwrap_or_default());
        let victim = busiest.unwrap_or_default();
        let leases = before.leases.get(&victim).copied().unwrap_or_default();
        let is_over =
            |holders: &Holders| holders.free == 0 && !holders.leases.contains_key(&victim);
        let begun = Instant::now();
        let over = async {
            sleep(KILL_AFTER).await;
            workers.kill(&victim).await?;
            let killed = Instant::now();
            let had = counted(number(leases), "range");
            self.note(out, &format!("{victim} is killed while it works: it had {had}"))?;
            self.wait(read_models, workers, "the other worker does not take over", is_over).await?;
            Ok::<_, CliError>(killed.elapsed().as_secs_f64())
        };
        let appended = async {
            let count = log.append(store, BEFORE_REBUILD).await?;
            Ok::<_, CliError>((count, begun.elapsed().as_secs_f64()))
        };
        let (seconds, (count, appended)) = futures::try_join!(over, appended)?;
        self.note(
            out,
            &format!(
                "{} appended meanwhile, in {appended:.1} s; the other worker had all of its ranges after {seconds:.1} s",
                counted(number(count), "event")
            ),
        )?;
        workers.start("worker-3")?;
        self.note(out, "worker-3 is started")?;
        Ok(seconds)
    }

    /// Rebuilds a read model while events are appended.
    async fn rebuild(
        &self,
        read_models: &ReadModels,
        store: &EventStore,
        log: &mut Log,
        out: &mut Output<'_>,
        stop: &CancellationToken,
    ) -> Result<Rebuilt, CliError> {
        let name = StreamSummary::NAME;
        let options = RebuildOptions::new("demo");
        let rebuilding = async {
            let rebuilding = read_models.rebuild(name, &options, |_| {}, stop);
            Box::pin(rebuilding).await.map_err(CliError::from)
        };
        let (rebuilt, count) = futures::try_join!(rebuilding, log.append(store, DURING_REBUILD))?;
        let differ = rebuilt.drift.as_ref().map_or(0, |drift| drift.different);
        let (version, seconds) = (rebuilt.version, rebuilt.time.as_secs_f64());
        self.note(
            out,
            &format!(
                "{name} version {version} was built beside the live one in {seconds:.1} s, while {} came in; {} \
                 from it; it is live now",
                counted(number(count), "event"),
                counted(differ, "difference"),
            ),
        )?;
        Ok(rebuilt)
    }

    /// Waits until everything is in every read model.
    async fn wait_visible(
        &self,
        read_models: &ReadModels,
        out: &mut Output<'_>,
    ) -> Result<f64, CliError> {
        let appended = Instant::now();
        for (name, version) in live(read_models).await? {
            if !read_models.has_caught_up(&name, version.number, STEP_TIME_MAX).await? {
                return Err(CliError::Demo(format!("{name} does not catch up")));
            }
        }
        let seconds = appended.elapsed().as_secs_f64();
        self.note(
            out,
            &format!("everything is in every read model {seconds:.1} s after the last append"),
        )?;
        Ok(seconds)
    }

    async fn verify(
        &self,
        read_models: &ReadModels,
        out: &mut Output<'_>,
    ) -> Result<Vec<Checked>, CliError> {
        let mut checked = Vec::new();
        for name in live(read_models).await?.into_keys() {
            let verified = Box::pin(read_models.verify(&name, None, |_| {})).await?;
            checked.push(Checked { projection: name, verified });
        }
        self.note(out, "every read model is compared with a replay of all events")?;
        Ok(checked)
    }

    async fn wait(
        &self,
        read_models: &ReadModels,
        workers: &mut Workers,
        what: &str,
        is_so: impl Fn(&Holders) -> bool + Send,
    ) -> Result<(), CliError> {
        let begun = Instant::now();
        while !is_so(&holders(read_models).await?) {
            workers.check()?;
            if begun.elapsed() >= STEP_TIME_MAX {
                return Err(CliError::Demo(what.to_owned()));
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Says what has happened, and when.
    fn note(&self, out: &mut Output<'_>, text: &str) -> Result<(), CliError> {
        if out.format() == Format::Json {
            return Ok(());
        }
        out.line(&format!("{:>6.1} s  {text}", self.begun.elapsed().as_secs_f64()))?;
        out.flush()
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn print(ended: &Ended, out: &mut Output<'_>) -> Result<(), CliError> {
    if out.format() == Format::Json {
        return Ok(());
    }
    out.line("")?;
    let (left, right) = (Align::Left, Align::Right);
    let rows: Vec<_> = ended
        .read_models
        .iter()
        .map(|one| {
            let Verified { version, streams, events, behind, drift, .. } = &one.verified;
            [
                one.projection.clone(),
                format!("version {version}"),
                counted(*streams, "stream"),
                counted(*events, "event"),
                format!("{} behind", grouped(*behind)),
                counted(drift.different, "difference"),
            ]
        })
        .collect();
    let mut table = Table::new([left, left, right, right, right, right]);
    table.write(out.writer(), &rows).map_err(CliError::Output)?;
    out.line("")?;
    let rows: Vec<_> = ended
        .counts
        .iter()
        .map(|count| {
            let verdict = if count.expected == count.found { "as made up" } else { "DIFFERENT" };
            [count.what.clone(), grouped(count.expected), grouped(count.found), verdict.to_owned()]
        })
        .collect();
    let mut table = Table::new([left, right, right, left]);
    table.write(out.writer(), &rows).map_err(CliError::Output)?;
    out.line("")?;
    let verdict = match ended.faults() {
        0 => "nothing is lost, nothing counted twice".to_owned(),
        faults => format!("{faults} of the checks failed"),
    };
    let events = counted(number(ended.events), "event");
    out.line(&format!("{events}, {:.1} s: {verdict}", ended.seconds))
}

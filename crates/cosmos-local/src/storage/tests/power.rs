//! Power failures at every stage of writing: whatever of the unsynced writes has reached the disk, what
//! was acknowledged is there, and each transaction is there whole or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::channel;

use proptest::prelude::*;
use serde_json::json;
use tokio::task::JoinSet;

use super::super::*;
use super::disk::{Disk, Luck};
use super::plain::{self, Model, document};
use super::{create, definition, key};

/// Logical partitions.
const KEYS: u8 = 4;
/// Items in each of them, at most.
const IDS: u8 = 6;
/// A start that is not cut off.
const NEVER: u64 = u64::MAX;

/// What one transaction does, in one logical partition.
#[derive(Debug, Clone)]
enum Change {
    Create(Vec<(u8, u8)>),
    Put(Vec<(u8, u8)>),
    Delete(Vec<u8>),
}

#[derive(Debug, Clone)]
enum Step {
    /// Transactions that wait together and so share a commit.
    Together(BTreeMap<u8, Change>),
    Split,
    Merge,
    Close,
}

/// From a start to the next power failure.
#[derive(Debug, Clone)]
struct Life {
    freeze_at: usize,
    /// Writes and syncs before the power fails.
    operations: u64,
    /// What of the unsynced writes is there afterwards.
    luck: u64,
    steps: Vec<Step>,
}

fn life() -> impl Strategy<Value = Life> {
    let item = || (0..IDS, any::<u8>());
    let change = prop_oneof![
        3 => prop::collection::vec(item(), 1..4).prop_map(Change::Create),
        3 => prop::collection::vec(item(), 1..4).prop_map(Change::Put),
        2 => prop::collection::vec(0..IDS, 1..3).prop_map(Change::Delete),
    ];
    let step = prop_oneof![
        12 => prop::collection::btree_map(0..KEYS, change, 1..4).prop_map(Step::Together),
        1 => Just(Step::Split),
        1 => Just(Step::Merge),
        1 => Just(Step::Close),
    ];
    let operations = prop_oneof![1 => 0..30_u64, 4 => 0..800_u64];
    let steps = prop::collection::vec(step, 1..40);
    (1..30_usize, operations, any::<u64>(), steps).prop_map(
        |(freeze_at, operations, luck, steps)| Life { freeze_at, operations, luck, steps },
    )
}

/// The items after a transaction; nothing when it must fail.
fn after(model: &Model, pk: u8, change: &Change) -> Option<Model> {
    let mut next = model.clone();
    let all = match change {
        Change::Create(items) => items.iter().all(|(id, n)| next.insert((pk, *id), *n).is_none()),
        Change::Put(items) => {
            next.extend(items.iter().map(|(id, n)| ((pk, *id), *n)));
            true
        }
        Change::Delete(ids) => ids.iter().all(|id| next.remove(&(pk, *id)).is_some()),
    };
    all.then_some(next)
}

fn operations(container: &Container, pk: u8, change: &Change) -> Vec<Operation> {
    match change {
        Change::Create(items) => {
            items.iter().map(|(id, n)| create(container, document(pk, *id, *n))).collect()
        }
        Change::Put(items) => {
            let item = |(id, n): &(u8, u8)| container.prepare(document(pk, *id, *n)).unwrap();
            items.iter().map(|one| Operation::Upsert(item(one), Condition::None)).collect()
        }
        Change::Delete(ids) => {
            ids.iter().map(|id| Operation::Delete(id.to_string(), Condition::None)).collect()
        }
    }
}

/// A data folder through its power failures, and what must be in it.
struct World {
    folder: PathBuf,
    durability: Durability,
    /// Whether the container was acknowledged.
    is_made: bool,
    model: Model,
    /// Logical partitions with a transaction that nobody has answered, as they are if it happened.
    unsure: BTreeMap<u8, Model>,
    lsn: u64,
}

impl World {
    fn start(&self, freeze_at: usize, operations: u64) -> (Result<Engine, OpenError>, Disk) {
        let mut disk = None;
        let mut options = EngineOptions::new(Some(self.folder.clone()));
        (options.freeze_at, options.durability) = (freeze_at, self.durability);
        let engine = Engine::open_with(&options, |file| {
            Ok(disk.insert(Disk::new(file, operations)?).clone())
        });
        (engine, disk.unwrap())
    }

    /// One life, and what the disk is like after it.
    async fn live(&mut self, life: &Life) {
        let (engine, disk) = self.start(life.freeze_at, life.operations);
        match engine {
            Ok(engine) => {
                if let Some(container) = self.container(&engine, &disk).await {
                    self.settle(&container);
                    for step in &life.steps {
                        if self.step(&engine, &container, step, &disk).await.is_none() {
                            break;
                        }
                    }
                }
                disk.cut();
            }
            Err(error) => assert!(disk.is_off(), "{error}"),
        }
        self.restore(&disk, life.luck);
    }

    fn restore(&self, disk: &Disk, luck: u64) {
        fs::write(self.folder.join("cosmos-local.redb"), disk.image(&mut Luck(luck))).unwrap();
    }

    /// The container, made if need be; nothing when the power failed before it was there.
    async fn container(&mut self, engine: &Engine, disk: &Disk) -> Option<Arc<Container>> {
        if let Some(container) = engine.container("d", "c") {
            self.is_made = true;
            return Some(container);
        }
        let may_be_lost = self.durability == Durability::Relaxed;
        assert!(!self.is_made || may_be_lost, "the container is lost");
        if engine.database("d").is_none()
            && let Err(error) = engine.create_database("d", None).await
        {
            assert!(disk.is_off(), "{error}");
            return None;
        }
        match engine.create_container("d", definition(&json!({})), None, 1).await {
            Ok(container) => {
                self.is_made = true;
                Some(container)
            }
            Err(error) => {
                assert!(disk.is_off(), "{error}");
                None
            }
        }
    }

    /// Looks which of the unanswered transactions have happened, each whole, and checks everything.
    fn settle(&mut self, container: &Arc<Container>) {
        let found: Model = (0..KEYS)
            .flat_map(|pk| (0..IDS).map(move |id| (pk, id)))
            .filter_map(|(pk, id)| {
                let item = container.read(&key(&pk.to_string()), &id.to_string()).unwrap()?;
                let full = item.document().unwrap()["full"].as_u64().unwrap();
                Some(((pk, id), u8::try_from(full).unwrap()))
            })
            .collect();
        let own = |model: &Model, pk: u8| -> Model {
            let items = model.iter().filter(|((owner, _), _)| *owner == pk);
            items.map(|(at, n)| (*at, *n)).collect()
        };
        for (pk, after) in std::mem::take(&mut self.unsure) {
            if own(&found, pk) == own(&after, pk) {
                self.model.retain(|(owner, _), _| *owner != pk);
                self.model.extend(own(&after, pk));
            }
        }
        if self.durability == Durability::Relaxed {
            (self.model, self.lsn) = (found, 0);
        }
        plain::check(container, &self.model);
        let partitions = container.partitions();
        let lsn = partitions.partitions.iter().map(|one| container.lsn(one.id)).max().unwrap();
        assert!(lsn >= self.lsn, "LSNs never go down: {lsn} after {}", self.lsn);
    }

    /// Nothing once the power has failed.
    async fn step(
        &mut self,
        engine: &Engine,
        container: &Arc<Container>,
        step: &Step,
        disk: &Disk,
    ) -> Option<()> {
        let topology = container.partitions();
        let done = match (step, topology.partitions.as_slice()) {
            (Step::Together(changes), _) => {
                return self.together(engine, container, changes, disk).await;
            }
            (Step::Split, [first, rest @ ..]) if rest.len() < 4 => {
                engine.split("d", "c", first.id, None).await
            }
            (Step::Merge, [left, right, ..]) => engine.merge("d", "c", left.id, right.id).await,
            (Step::Close, _) => {
                let closed = engine.close().await;
                assert!(closed.is_ok() || disk.is_off(), "{closed:?}");
                return None;
            }
            _ => Ok(()),
        };
        match done {
            Ok(()) => Some(()),
            Err(error) => {
                assert!(disk.is_off(), "{error}");
                None
            }
        }
    }

    async fn together(
        &mut self,
        engine: &Engine,
        container: &Arc<Container>,
        changes: &BTreeMap<u8, Change>,
        disk: &Disk,
    ) -> Option<()> {
        // The writer is kept busy until all of them wait for it.
        let (all_wait, waiting) = channel::<()>();
        let writer = engine.shared.host.writer.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let kept = writer.exclusive(move |_| Ok(waiting.recv().is_err())).await;
            (None, kept.map(|_| None))
        });
        for (pk, change) in changes {
            let (container, pk) = (Arc::clone(container), *pk);
            let operations = operations(&container, pk, change);
            tasks.spawn(async move {
                let outcome = container.execute(key(&pk.to_string()), operations).await;
                (Some(pk), outcome.map(Some))
            });
        }
        tasks.spawn(async move {
            drop(all_wait);
            (None, Ok(None))
        });
        let before = self.model.clone();
        for (pk, result) in tasks.join_all().await {
            let Some(pk) = pk else { continue };
            let after = after(&before, pk, &changes[&pk]);
            match (result, after) {
                (Ok(Some(Outcome::Committed { lsn, .. })), Some(after)) => {
                    self.model.retain(|(owner, _), _| *owner != pk);
                    self.model.extend(after.into_iter().filter(|((owner, _), _)| *owner == pk));
                    self.lsn = self.lsn.max(lsn);
                }
                (Ok(Some(Outcome::Failed { .. })), None) => {}
                (Err(error), after) => {
                    assert!(disk.is_off(), "{error}");
                    self.unsure.extend(after.map(|after| (pk, after)));
                }
                (result, after) => panic!("{result:?} where the model has {after:?}"),
            }
        }
        (!disk.is_off()).then_some(())
    }
}

async fn history(durability: Durability, lives: Vec<Life>) {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World {
        folder: folder.path().to_owned(),
        durability,
        is_made: false,
        model: Model::new(),
        unsure: BTreeMap::new(),
        lsn: 0,
    };
    for life in lives {
        world.live(&life).await;
    }
    let last = Life { freeze_at: 10, operations: NEVER, luck: 0, steps: Vec::new() };
    world.live(&last).await;
    world.live(&last).await;
}

fn run(durability: Durability, lives: Vec<Life>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(history(durability, lives));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn a_power_failure_loses_nothing_that_was_acknowledged(
        lives in prop::collection::vec(life(), 1..5),
    ) {
        run(Durability::Durable, lives);
    }

    #[test]
    fn with_relaxed_durability_a_power_failure_leaves_the_folder_intact(
        lives in prop::collection::vec(life(), 1..5),
    ) {
        run(Durability::Relaxed, lives);
    }
}

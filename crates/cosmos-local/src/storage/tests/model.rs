//! Random histories against a model, with crashes at every stage of moving the index into the file.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::*;
use super::{container, create, definition, feed, key, open};
use crate::key::EpkRange;

/// Seconds that a mortal item lives; far more than a test takes.
const LIFE: u64 = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Content {
    n: u8,
    mortal: bool,
}

#[derive(Debug, Clone)]
enum Step {
    Create(u8, u8, Content),
    Upsert(u8, u8, Content),
    /// With the entity tag that is stored, or another.
    Replace(u8, u8, Content, bool),
    Delete(u8, u8),
    Batch(u8, Vec<(u8, Content)>),
    /// Upserts that wait at the same time, most of which share a commit.
    Together(Vec<(u8, u8, Content)>),
    Split(u8),
    Merge(u8),
    /// All items that can have expired have.
    Expire,
    Sweep,
    /// Replaces the definition; the indexes are built anew.
    Reindex(bool),
    /// Drops the engine as it is; what was acknowledged is in the file.
    Crash,
    Close,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let content =
        || (any::<u8>(), prop::bool::weighted(0.3)).prop_map(|(n, mortal)| Content { n, mortal });
    let at = || (0..4_u8, 0..6_u8);
    let step = prop_oneof![
        6 => (at(), content()).prop_map(|((pk, id), content)| Step::Create(pk, id, content)),
        6 => (at(), content()).prop_map(|((pk, id), content)| Step::Upsert(pk, id, content)),
        3 => (at(), content(), any::<bool>())
            .prop_map(|((pk, id), content, stale)| Step::Replace(pk, id, content, stale)),
        4 => at().prop_map(|(pk, id)| Step::Delete(pk, id)),
        3 => (0..4_u8, prop::collection::vec((0..6_u8, content()), 1..5))
            .prop_map(|(pk, items)| Step::Batch(pk, items)),
        2 => prop::collection::vec((0..4_u8, 0..6_u8, content()), 1..8).prop_map(Step::Together),
        1 => any::<u8>().prop_map(Step::Split),
        1 => any::<u8>().prop_map(Step::Merge),
        1 => Just(Step::Expire),
        1 => Just(Step::Sweep),
        1 => any::<bool>().prop_map(Step::Reindex),
        2 => Just(Step::Crash),
        1 => Just(Step::Close),
    ];
    prop::collection::vec(step, 1..70)
}

type Items = BTreeMap<(u8, u8), Content>;

/// What must be true of the container.
#[derive(Debug, Default)]
struct Model {
    items: Items,
    etags: BTreeSet<String>,
    lsns: BTreeMap<u32, u64>,
    ahead: u64,
}

fn unique(content: Content) -> u8 {
    content.n % 16
}

/// The items after a write; `None` when another item has the unique value.
fn with(items: &Items, at: (u8, u8), content: Content) -> Option<Items> {
    let taken = items.iter().any(|(other, held)| {
        other.0 == at.0 && other.1 != at.1 && unique(*held) == unique(content)
    });
    let mut next = items.clone();
    next.insert(at, content);
    (!taken).then_some(next)
}

fn document(pk: u8, id: u8, content: Content) -> Value {
    let Content { n, mortal } = content;
    let ttl = if mortal { json!(LIFE) } else { json!(-1) };
    json!({"id": id.to_string(), "pk": pk.to_string(), "n": n % 8, "u": n % 16, "full": n, "ttl": ttl})
}

fn policy(wildcard: bool) -> Value {
    let paths = if wildcard { json!([{"path": "/*"}]) } else { json!([{"path": "/n/?"}]) };
    let excluded = if wildcard { json!([]) } else { json!([{"path": "/*"}]) };
    json!({
        "defaultTtl": -1,
        "indexingPolicy": {"includedPaths": paths, "excludedPaths": excluded}
    })
}

impl Model {
    fn settle(&mut self, outcome: Outcome, after: Option<Items>) {
        match (outcome, after) {
            (Outcome::Committed { results, .. }, Some(after)) => {
                self.items = after;
                for result in results {
                    if let OpResult::Created(item) | OpResult::Replaced(item) = result {
                        assert!(self.etags.insert(item.etag()), "{} comes twice", item.etag());
                    }
                }
            }
            (Outcome::Failed { .. }, None) => {}
            (outcome, after) => panic!("{outcome:?} where the model has {after:?}"),
        }
    }

    async fn execute(
        &mut self,
        container: &Arc<Container>,
        pk: u8,
        operations: Vec<Operation>,
        after: Option<Items>,
    ) {
        let outcome = container.execute(key(&pk.to_string()), operations).await.unwrap();
        self.settle(outcome, after);
    }

    async fn write(&mut self, container: &Arc<Container>, step: &Step) {
        let prepare = |pk, id, content| container.prepare(document(pk, id, content)).unwrap();
        match step {
            Step::Create(pk, id, content) => {
                let at = (*pk, *id);
                let free = !self.items.contains_key(&at);
                let after = with(&self.items, at, *content).filter(|_| free);
                let operation = Operation::Create(prepare(*pk, *id, *content));
                self.execute(container, *pk, vec![operation], after).await;
            }
            Step::Upsert(pk, id, content) => {
                let after = with(&self.items, (*pk, *id), *content);
                let operation = Operation::Upsert(prepare(*pk, *id, *content), Condition::None);
                self.execute(container, *pk, vec![operation], after).await;
            }
            Step::Replace(pk, id, content, stale) => {
                let found = container.read(&key(&pk.to_string()), &id.to_string()).unwrap();
                let etag = found.filter(|_| !stale).map_or("other".to_owned(), |item| item.etag());
                let may = !stale && self.items.contains_key(&(*pk, *id));
                let after = with(&self.items, (*pk, *id), *content).filter(|_| may);
                let item = prepare(*pk, *id, *content);
                let operation = Operation::Replace(item, Condition::IfMatch(etag));
                self.execute(container, *pk, vec![operation], after).await;
            }
            Step::Delete(pk, id) => {
                let mut next = self.items.clone();
                let after = next.remove(&(*pk, *id)).map(|_| next);
                let operation = Operation::Delete(id.to_string(), Condition::None);
                self.execute(container, *pk, vec![operation], after).await;
            }
            Step::Batch(pk, items) => {
                let mut next = Some(self.items.clone());
                let mut operations = Vec::new();
                for (id, content) in items {
                    next = next
                        .filter(|next| !next.contains_key(&(*pk, *id)))
                        .and_then(|next| with(&next, (*pk, *id), *content));
                    operations.push(create(container, document(*pk, *id, *content)));
                }
                self.execute(container, *pk, operations, next).await;
            }
            Step::Together(items) => {
                let waiting: Vec<_> = items
                    .iter()
                    .map(|(pk, id, content)| {
                        let item = prepare(*pk, *id, *content);
                        let (container, pk) = (Arc::clone(container), key(&pk.to_string()));
                        let operations = vec![Operation::Upsert(item, Condition::None)];
                        tokio::spawn(async move { container.execute(pk, operations).await })
                    })
                    .collect();
                for (write, (pk, id, content)) in waiting.into_iter().zip(items) {
                    let after = with(&self.items, (*pk, *id), *content);
                    self.settle(write.await.unwrap().unwrap(), after);
                }
            }
            _ => {}
        }
    }

    async fn step(&mut self, engine: &Engine, container: &Arc<Container>, step: &Step) {
        let topology = container.partitions();
        let partitions = topology.partitions.as_slice();
        match step {
            Step::Split(which) if partitions.len() < 5 => {
                let id = partitions[usize::from(*which) % partitions.len()].id;
                engine.split("d", "c", id, None).await.unwrap();
            }
            Step::Merge(which) if partitions.len() > 1 => {
                let left = usize::from(*which) % (partitions.len() - 1);
                engine.merge("d", "c", partitions[left].id, partitions[left + 1].id).await.unwrap();
            }
            Step::Expire => {
                engine.clock().advance(2 * LIFE);
                self.ahead += 2 * LIFE;
                self.items.retain(|_, content| !content.mortal);
            }
            Step::Sweep => {
                engine.sweep().await.unwrap();
                assert_eq!(engine.sweep().await.unwrap(), 0, "a sweep leaves nothing for another");
            }
            Step::Reindex(wildcard) => {
                engine.replace_container("d", definition(&policy(*wildcard))).await.unwrap();
            }
            write => self.write(container, write).await,
        }
        self.check_lsns(container);
    }

    fn check_lsns(&mut self, container: &Container) {
        let mut lsns = BTreeMap::new();
        for partition in &container.partitions().partitions {
            let lsn = container.lsn(partition.id);
            let sources = partition.parents.iter().chain([&partition.id]);
            for known in sources.filter_map(|id| self.lsns.get(id)) {
                assert!(lsn >= *known, "LSNs never go down: {lsn} after {known}");
            }
            lsns.insert(partition.id, lsn);
        }
        self.lsns.extend(lsns);
    }

    /// Everything that can be read must agree with the model.
    fn check(&self, container: &Arc<Container>) {
        for (pk, id) in (0..4).flat_map(|pk| (0..6).map(move |id| (pk, id))) {
            let item = container.read(&key(&u8::to_string(&pk)), &u8::to_string(&id)).unwrap();
            let found = item.map(|item| content_of(&item).1);
            assert_eq!(found, self.items.get(&(pk, id)).copied(), "read {pk}/{id}");
        }
        let expected: Vec<_> = self.items.iter().map(|(at, content)| (*at, *content)).collect();
        let range = EpkRange::full();
        let by_key = walk(container, &Scan::Range { range, id: None });
        assert_eq!(sorted(by_key), expected, "walk by key");
        for path in ["n", "u"] {
            check_index(container, path, &expected);
        }
        let mut fed = Vec::new();
        for partition in &container.partitions().partitions {
            let page = feed(container, FeedScope::Partition(partition.id), 0);
            assert!(page.items.is_sorted_by_key(Item::lsn));
            fed.extend(page.items.iter().map(content_of));
        }
        assert_eq!(sorted(fed), expected, "change feed");
        for pk in 0..4 {
            let of_key: Vec<_> = expected.iter().filter(|(at, _)| at.0 == pk).copied().collect();
            let page = feed(container, FeedScope::Key(key(&u8::to_string(&pk))), 0);
            assert!(page.items.is_sorted_by_key(Item::lsn));
            assert_eq!(sorted(page.items.iter().map(content_of).collect()), of_key, "key feed");
            for descending in [false, true] {
                let (id_from, id_to) = (Bound::Unbounded, Bound::Unbounded);
                let key = key(&u8::to_string(&pk));
                let mut ids = walk(container, &Scan::Logical { key, id_from, id_to, descending });
                if descending {
                    ids.reverse();
                }
                assert_eq!(ids, of_key, "logical partition {pk}");
            }
        }
    }
}

type Found = ((u8, u8), Content);

fn check_index(container: &Arc<Container>, path: &str, expected: &[Found]) {
    let value = |content: Content| if path == "n" { content.n % 8 } else { unique(content) };
    let scan = |lower: Bound<Value>, upper: Bound<Value>, descending| Scan::Index {
        path: vec![path.to_owned()],
        lower,
        upper,
        descending,
        range: EpkRange::full(),
    };
    let equal = || Bound::Included(json!(3));
    let found = walk(container, &scan(equal(), equal(), false));
    let matching = expected.iter().filter(|(_, content)| value(*content) == 3);
    let matching: Vec<_> = matching.copied().collect();
    assert_eq!(sorted(found), matching, "equality by index {path}");
    let forwards = walk(container, &scan(Bound::Unbounded, Bound::Unbounded, false));
    assert!(forwards.is_sorted_by_key(|(_, content)| value(*content)), "order of {path}");
    let mut backwards = walk(container, &scan(Bound::Unbounded, Bound::Unbounded, true));
    backwards.reverse();
    assert_eq!(forwards, backwards, "both directions of {path}");
    assert_eq!(sorted(forwards), expected, "walk by index {path}");
}

fn content_of(item: &Item) -> Found {
    let document = item.document().unwrap();
    let number = |name: &str| document[name].as_str().unwrap().parse::<u8>().unwrap();
    let n = u8::try_from(document["full"].as_u64().unwrap()).unwrap();
    ((number("pk"), number("id")), Content { n, mortal: document["ttl"] != -1 })
}

fn sorted(mut list: Vec<Found>) -> Vec<Found> {
    list.sort_unstable();
    list
}

/// Walks in one go and, as pages do, from position to position; both must give the same.
fn walk(container: &Arc<Container>, scan: &Scan) -> Vec<Found> {
    let found = |next: Result<(Vec<u8>, Item), StorageError>| next.unwrap();
    let whole: Vec<_> = container.scan(scan.clone(), None).unwrap().map(found).collect();
    let (mut pages, mut after) = (Vec::new(), None);
    while let Some(next) = container.scan(scan.clone(), after).unwrap().next() {
        let (position, item) = next.unwrap();
        after = Some(position);
        pages.push(content_of(&item));
    }
    let whole: Vec<_> = whole.iter().map(|(_, item)| content_of(item)).collect();
    assert_eq!(whole, pages, "{scan:?}");
    whole
}

async fn history(steps: Vec<Step>, freeze_at: usize, partitions: u32) {
    let folder = tempfile::tempdir().unwrap();
    let mut engine = open(folder.path(), freeze_at);
    let mut current = container(&engine, &policy(false), partitions).await;
    let mut model = Model::default();
    for one in steps {
        if matches!(one, Step::Crash | Step::Close) {
            if matches!(one, Step::Close) {
                engine.close().await.unwrap();
            }
            drop(current);
            drop(engine);
            engine = open(folder.path(), freeze_at);
            engine.clock().advance(model.ahead);
            current = engine.container("d", "c").unwrap();
        }
        model.step(&engine, &current, &one).await;
    }
    model.check(&current);
    drop(current);
    drop(engine);
    let engine = open(folder.path(), freeze_at);
    engine.clock().advance(model.ahead);
    model.check(&engine.container("d", "c").unwrap());
}

/// Few enough for every run, unless the environment asks for more.
fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    let cases = std::env::var_os("PROPTEST_CASES").map_or(48, |_| config.cases);
    ProptestConfig { cases, ..config }
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn any_history_with_crashes_leaves_what_was_acknowledged(
        steps in steps(),
        freeze_at in 1_usize..60,
        partitions in 1_u32..3,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(history(steps, freeze_at, partitions));
    }
}

//! Random histories against a model, with crashes at every stage of moving the index into the file.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::*;
use super::{container, create, feed, key, open};
use crate::key::EpkRange;

#[derive(Debug, Clone)]
enum Step {
    Create(u8, u8, u8),
    Upsert(u8, u8, u8),
    Delete(u8, u8),
    Batch(u8, Vec<(u8, u8)>),
    Split,
    Merge,
    /// Drops the engine as it is; what was acknowledged is in the file.
    Crash,
    Close,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..4_u8, 0..6_u8, any::<u8>()).prop_map(|(pk, id, n)| Step::Create(pk, id, n)),
        6 => (0..4_u8, 0..6_u8, any::<u8>()).prop_map(|(pk, id, n)| Step::Upsert(pk, id, n)),
        4 => (0..4_u8, 0..6_u8).prop_map(|(pk, id)| Step::Delete(pk, id)),
        3 => (0..4_u8, prop::collection::vec((0..6_u8, any::<u8>()), 1..5))
            .prop_map(|(pk, items)| Step::Batch(pk, items)),
        1 => Just(Step::Split),
        1 => Just(Step::Merge),
        2 => Just(Step::Crash),
        1 => Just(Step::Close),
    ];
    prop::collection::vec(step, 1..60)
}

pub(super) type Model = BTreeMap<(u8, u8), u8>;

pub(super) fn document(pk: u8, id: u8, n: u8) -> Value {
    json!({"id": id.to_string(), "pk": pk.to_string(), "n": n % 8, "u": id, "full": n})
}

async fn execute(
    container: &Arc<Container>,
    model: &mut Model,
    pk: u8,
    operations: Vec<Operation>,
    after: Option<Model>,
) {
    let outcome = container.execute(key(&pk.to_string()), operations).await.unwrap();
    match (outcome, after) {
        (Outcome::Committed { .. }, Some(after)) => *model = after,
        (Outcome::Failed { .. }, None) => {}
        (outcome, after) => panic!("{outcome:?} where the model has {after:?}"),
    }
}

async fn step(engine: &Engine, container: &Arc<Container>, model: &mut Model, step: &Step) {
    let with = |model: &Model, at: (u8, u8), n: u8| {
        let mut next = model.clone();
        next.insert(at, n);
        next
    };
    match step {
        Step::Create(pk, id, n) => {
            let at = (*pk, *id);
            let after = (!model.contains_key(&at)).then(|| with(model, at, *n));
            let operation = create(container, document(*pk, *id, *n));
            execute(container, model, *pk, vec![operation], after).await;
        }
        Step::Upsert(pk, id, n) => {
            let after = Some(with(model, (*pk, *id), *n));
            let item = container.prepare(document(*pk, *id, *n)).unwrap();
            let operation = Operation::Upsert(item, Condition::None);
            execute(container, model, *pk, vec![operation], after).await;
        }
        Step::Delete(pk, id) => {
            let mut next = model.clone();
            let after = next.remove(&(*pk, *id)).map(|_| next);
            let operation = Operation::Delete(id.to_string(), Condition::None);
            execute(container, model, *pk, vec![operation], after).await;
        }
        Step::Batch(pk, items) => {
            let mut next = Some(model.clone());
            let mut operations = Vec::new();
            for (id, n) in items {
                let taken = next.as_mut().is_some_and(|next| next.insert((*pk, *id), *n).is_some());
                if taken {
                    next = None;
                }
                operations.push(create(container, document(*pk, *id, *n)));
            }
            execute(container, model, *pk, operations, next).await;
        }
        Step::Split => {
            let topology = container.partitions();
            let widest = topology.partitions.first().map(|partition| partition.id);
            if let (Some(id), true) = (widest, topology.partitions.len() < 5) {
                engine.split("d", "c", id, None).await.unwrap();
            }
        }
        Step::Merge => {
            if let [left, right, ..] = container.partitions().partitions.as_slice() {
                engine.merge("d", "c", left.id, right.id).await.unwrap();
            }
        }
        Step::Crash | Step::Close => {}
    }
}

/// Everything that can be read must agree with the model.
pub(super) fn check(container: &Arc<Container>, model: &Model) {
    for (pk, id) in (0..4).flat_map(|pk| (0..6).map(move |id| (pk, id))) {
        let item = container.read(&key(&u8::to_string(&pk)), &u8::to_string(&id)).unwrap();
        let full = item.map(|item| item.document().unwrap()["full"].as_u64().unwrap());
        assert_eq!(full, model.get(&(pk, id)).map(|&n| u64::from(n)), "read {pk}/{id}");
    }
    let key_of = |item: &Item| {
        let document = item.document().unwrap();
        let number = |name: &str| document[name].as_str().unwrap().parse::<u8>().unwrap();
        ((number("pk"), number("id")), u8::try_from(document["full"].as_u64().unwrap()).unwrap())
    };
    let walk = |scan| -> Vec<_> {
        container.scan(scan, None).unwrap().map(|found| key_of(&found.unwrap().1)).collect()
    };
    let sorted = |mut list: Vec<((u8, u8), u8)>| {
        list.sort_unstable();
        list
    };
    let expected: Vec<_> = model.iter().map(|(at, n)| (*at, *n)).collect();
    let range = EpkRange::full();
    assert_eq!(sorted(walk(Scan::Range { range, id: None })), expected, "walk by key");
    for (path, bound) in [("n", json!(3)), ("u", json!(2))] {
        let scan = Scan::Index {
            path: vec![path.to_owned()],
            lower: Bound::Included(bound.clone()),
            upper: Bound::Included(bound.clone()),
            descending: false,
            range,
        };
        let matching = expected.iter().filter(|((_, id), n)| match path {
            "n" => json!(n % 8) == bound,
            _ => json!(id) == bound,
        });
        let matching: Vec<_> = matching.copied().collect();
        assert_eq!(sorted(walk(scan)), matching, "walk by index {path}");
    }
    let mut fed = Vec::new();
    for partition in &container.partitions().partitions {
        fed.extend(feed(container, FeedScope::Partition(partition.id), 0).items.iter().map(key_of));
    }
    assert_eq!(sorted(fed), expected, "change feed");
}

async fn history(steps: Vec<Step>, freeze_at: usize) {
    let folder = tempfile::tempdir().unwrap();
    let mut engine = open(folder.path(), freeze_at);
    let mut current = container(&engine, &json!({}), 1).await;
    let mut model = Model::new();
    let mut highest = 0;
    for one in steps {
        step(&engine, &current, &mut model, &one).await;
        if matches!(one, Step::Crash | Step::Close) {
            if matches!(one, Step::Close) {
                engine.close().await.unwrap();
            }
            drop(current);
            drop(engine);
            engine = open(folder.path(), freeze_at);
            current = engine.container("d", "c").unwrap();
        }
        let lsn = current.partitions().partitions.iter().map(|p| current.lsn(p.id)).max().unwrap();
        assert!(lsn >= highest, "LSNs never go down: {lsn} after {highest}");
        highest = lsn;
    }
    check(&current, &model);
    drop(current);
    drop(engine);
    let engine = open(folder.path(), freeze_at);
    check(&engine.container("d", "c").unwrap(), &model);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn any_history_with_crashes_leaves_what_was_acknowledged(steps in steps(), freeze_at in 1_usize..30) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(history(steps, freeze_at));
    }
}

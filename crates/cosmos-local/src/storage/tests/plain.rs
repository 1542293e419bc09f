//! A plain model of a container, a number for each item, and the check that all ways to read agree with it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::*;
use super::{feed, key};
use crate::key::EpkRange;

/// The number of each item, by partition key and id.
pub(super) type Model = BTreeMap<(u8, u8), u8>;

/// The item with these.
pub(super) fn document(pk: u8, id: u8, n: u8) -> Value {
    json!({"id": id.to_string(), "pk": pk.to_string(), "n": n % 8, "u": id, "full": n})
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

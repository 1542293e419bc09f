//! Walks in the order of an index.

use std::ops::Bound;
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::*;
use super::{create, definition, failure, in_memory, key, run};
use crate::key::EpkRange;

fn all(path: &[&str], descending: bool) -> Scan {
    Scan::Index {
        path: path.iter().map(|&name| name.to_owned()).collect(),
        lower: Bound::Unbounded,
        upper: Bound::Unbounded,
        descending,
        range: EpkRange::full(),
    }
}

fn ids(container: &Arc<Container>, scan: Scan) -> Vec<String> {
    container.scan(scan, None).unwrap().map(|found| found.unwrap().1.id().to_owned()).collect()
}

async fn put(container: &Arc<Container>, document: Value) {
    let pk = document["pk"].as_str().unwrap().to_owned();
    let item = create(container, document);
    assert!(failure(&run(container, &pk, vec![item]).await).is_none());
}

#[tokio::test]
async fn strings_are_walked_in_the_order_of_utf_16() {
    let (_engine, container) = in_memory(&json!({"uniqueKeyPolicy": {}})).await;
    // UTF-16 puts characters outside the basic plane before U+E000.
    let in_order = ["a", "a\u{D7FF}", "a\u{1F389}", "a\u{E000}", "a\u{F900}", "a\u{FF01}", "b"];
    for (number, text) in in_order.iter().enumerate().rev() {
        put(&container, json!({"id": format!("{text}"), "pk": "a", "n": text, "u": number})).await;
    }
    assert_eq!(ids(&container, all(&["n"], false)), in_order);
    let logical = Scan::Logical {
        key: key("a"),
        id_from: Bound::Unbounded,
        id_to: Bound::Unbounded,
        descending: false,
    };
    assert_eq!(ids(&container, logical), in_order);
    for text in in_order {
        let by_id = Scan::Range { range: EpkRange::full(), id: Some(text.to_owned()) };
        assert_eq!(ids(&container, by_id), [text]);
    }
}

#[tokio::test]
async fn names_with_separators_are_not_taken_for_other_paths() {
    let policy = json!({"indexingPolicy": {"includedPaths": [
        {"path": "/*"}, {"path": "/a/b/?"}, {"path": "/a/?"}
    ]}, "uniqueKeyPolicy": {}});
    let (_engine, container) = in_memory(&policy).await;
    put(&container, json!({"id": "1", "pk": "a", "a/b": 5, "a": {"b": 3}, "a\u{0}x": 4})).await;
    put(&container, json!({"id": "2", "pk": "a", "a/b": 1, "a": {"b": 4}})).await;
    for descending in [false, true] {
        assert_eq!(ids(&container, all(&["a", "b"], descending)).len(), 2);
        assert_eq!(ids(&container, all(&["a"], descending)).len(), 2);
    }
}

#[tokio::test]
async fn a_walk_does_not_go_on_in_an_index_that_was_replaced() {
    let (engine, container) = in_memory(&json!({"uniqueKeyPolicy": {}})).await;
    for number in 0..100 {
        put(&container, json!({"id": number.to_string(), "pk": "a", "n": number})).await;
    }
    let mut walk = container.scan(all(&["n"], false), None).unwrap();
    let (position, _) = walk.next().unwrap().unwrap();
    let none = json!({"uniqueKeyPolicy": {}, "indexingPolicy": {"indexingMode": "none"}});
    engine.replace_container("d", definition(&none)).await.unwrap();
    let rest: Result<Vec<_>, _> = walk.collect();
    assert!(matches!(rest, Err(StorageError::Unavailable(_))), "rows would be missing");

    // A position of the old index means nothing to another walk.
    let range = Scan::Range { range: EpkRange::full(), id: None };
    let resumed = container.scan(range, Some(position));
    assert!(matches!(resumed, Err(StorageError::Invalid(_))));
}

#[tokio::test]
async fn a_walk_over_large_items_has_few_of_them_in_memory() {
    let (_engine, container) = in_memory(&json!({"uniqueKeyPolicy": {}})).await;
    for number in 0..20 {
        let document = json!({"id": number.to_string(), "pk": "a", "n": number, "large": "x".repeat(1_000_000)});
        put(&container, document).await;
    }
    for descending in [false, true] {
        let mut walk = container.scan(all(&["n"], descending), None).unwrap();
        let mut found = Vec::new();
        while let Some(next) = walk.next() {
            found.push(next.unwrap().1.id().parse::<u32>().unwrap());
            assert!(walk.waiting() < 6, "{} items", walk.waiting());
        }
        let mut expected: Vec<_> = (0..20).collect();
        if descending {
            expected.reverse();
        }
        assert_eq!(found, expected);
    }
}

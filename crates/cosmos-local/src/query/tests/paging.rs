//! Pages: any page size gives what one page gives, and tokens are checked.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{ALL, all_pages, candidates, page, prepare};
use crate::query::value::compare_total;
use crate::query::{Candidate, PageLimits, Prepared};

fn numbered(count: usize) -> Vec<Candidate> {
    let documents: Vec<Value> =
        (0..count).map(|n| json!({"id": n, "g": n % 3, "h": n % 5})).collect();
    candidates(&documents)
}

fn sized(max_items: usize) -> PageLimits {
    PageLimits { max_items, ..ALL }
}

fn prepared(text: &str) -> Prepared {
    prepare(text, &json!({})).unwrap()
}

#[test]
fn a_full_last_page_has_no_token() {
    let source = numbered(6);
    for text in [
        "SELECT * FROM c",
        "SELECT * FROM c ORDER BY c.g",
        "SELECT DISTINCT VALUE c.id FROM c",
        "SELECT DISTINCT VALUE c.id FROM c ORDER BY c.id",
        "SELECT c.id FROM c GROUP BY c.id",
        "SELECT TOP 6 * FROM c",
        "SELECT TOP 6 * FROM c ORDER BY c.id DESC",
    ] {
        let query = prepared(text);
        let first = page(&query, &source, None, sized(3)).unwrap();
        assert_eq!(first.items.len(), 3, "{text}");
        let second = page(&query, &source, first.continuation.as_deref(), sized(3)).unwrap();
        assert_eq!(second.items.len(), 3, "{text}");
        assert_eq!(second.continuation, None, "{text}");
        assert_eq!(page(&query, &source, None, sized(6)).unwrap().continuation, None, "{text}");
    }
}

#[test]
fn pages_end_at_the_byte_limit_with_at_least_one_item() {
    let source = numbered(5);
    let query = prepared("SELECT * FROM c");
    let limits = PageLimits { max_bytes: 1, ..ALL };
    let first = page(&query, &source, None, limits).unwrap();
    assert_eq!(first.items.len(), 1);
    assert_eq!(all_pages(&query, &source, limits).len(), 5);
}

#[test]
fn streaming_goes_on_at_a_position() {
    let source = numbered(10);
    let query = prepared("SELECT VALUE c.id FROM c WHERE c.g = 1");
    let first = page(&query, &source, None, sized(2)).unwrap();
    assert_eq!(first.items, vec![json!(1), json!(4)]);
    let resume = query.resume(first.continuation.as_deref()).unwrap();
    assert_eq!(resume.scan_after(), Some(source[4].position.as_slice()));
    // Looking ahead does not count as matched.
    assert_eq!((first.scanned, first.matched), (8, 2));
}

#[test]
fn an_ordered_source_is_streamed() {
    let mut source = numbered(9);
    source.sort_by_key(|candidate| (candidate.document["g"].as_u64(), candidate.ordinal));
    let query = prepared("SELECT VALUE c.id FROM c ORDER BY c.g");
    let ordered = PageLimits { source_is_ordered: true, ..sized(2) };
    let first = page(&query, &source, None, ordered).unwrap();
    assert_eq!(first.scanned, 3);
    assert!(query.resume(first.continuation.as_deref()).unwrap().scan_after().is_some());
    assert_eq!(all_pages(&query, &source, ordered), all_pages(&query, &source, ALL));
    // The token of a streamed page needs the order; the other way round works.
    assert!(page(&query, &source, first.continuation.as_deref(), sized(2)).is_err());
    let sorted = page(&query, &source, None, sized(2)).unwrap();
    let next = page(&query, &source, sorted.continuation.as_deref(), ordered).unwrap();
    assert_eq!(next.items, vec![json!(6), json!(1)]);
}

#[test]
fn no_source_has_the_order_of_several_items() {
    let source = numbered(9);
    let query = prepared("SELECT VALUE c.id FROM c ORDER BY c.g DESC, c.id");
    let ordered = PageLimits { source_is_ordered: true, ..sized(2) };
    assert_eq!(all_pages(&query, &source, ordered), all_pages(&query, &source, ALL));
    assert_ne!(
        all_pages(&query, &source, ALL),
        all_pages(&prepared("SELECT VALUE c.id FROM c"), &source, ALL)
    );
}

#[test]
fn sorted_pages_survive_changes_between_them() {
    let mut source = numbered(6);
    let query = prepared("SELECT VALUE c.id FROM c ORDER BY c.id DESC");
    let first = page(&query, &source, None, sized(2)).unwrap();
    assert_eq!(first.items, vec![json!(5), json!(4)]);
    // What was returned last is deleted, and a row that sorts first is added.
    source.remove(4);
    source.push(Candidate { position: vec![99], ordinal: 99, document: json!({"id": 100}) });
    let second = page(&query, &source, first.continuation.as_deref(), sized(2)).unwrap();
    assert_eq!(second.items, vec![json!(3), json!(2)]);
}

#[test]
fn distinct_never_repeats_a_value_after_a_deletion() {
    let documents: Vec<Value> = ["a", "b", "a", "c"].iter().map(|v| json!({"v": v})).collect();
    for text in
        ["SELECT DISTINCT VALUE c.v FROM c", "SELECT DISTINCT VALUE c.v FROM c ORDER BY c.v"]
    {
        let mut source = candidates(&documents);
        let query = prepared(text);
        let first = page(&query, &source, None, sized(1)).unwrap();
        assert_eq!(first.items, vec![json!("a")]);
        source.remove(0);
        let rest = page(&query, &source, first.continuation.as_deref(), ALL).unwrap();
        assert_eq!(rest.items, vec![json!("b"), json!("c")], "{text}");
    }
}

#[test]
fn many_distinct_values_and_long_keys_page_by_number() {
    let source = numbered(700);
    let query = prepared("SELECT DISTINCT VALUE c.id FROM c");
    assert_eq!(all_pages(&query, &source, sized(150)).len(), 700);
    let documents: Vec<Value> =
        (0..7).map(|n| json!({"k": format!("{}{n}", "x".repeat(9000))})).collect();
    let source = candidates(&documents);
    let query = prepared("SELECT VALUE RIGHT(c.k, 1) FROM c ORDER BY c.k DESC OFFSET 1 LIMIT 5");
    let all = all_pages(&query, &source, sized(2));
    assert_eq!(json!(all), json!(["5", "4", "3", "2", "1"]));
    let token = page(&query, &source, None, sized(2)).unwrap().continuation.unwrap();
    assert!(token.len() < 200);
}

#[test]
fn bad_tokens_are_errors() {
    let source = numbered(6);
    let query = prepared("SELECT * FROM c");
    let token = page(&query, &source, None, sized(2)).unwrap().continuation.unwrap();
    let mut truncated = token.clone();
    truncated.truncate(token.len() - 4);
    for bad in ["", "x", "!!", "bm90IGpzb24", &truncated, &format!("{token}AAAA")] {
        assert!(query.resume(Some(bad)).is_err(), "{bad}");
    }
    assert!(query.resume(Some(&"A".repeat(100_000))).is_err());
    for other in ["SELECT * FROM c ", "SELECT * FROM c WHERE true"] {
        let error = prepared(other).resume(Some(&token)).unwrap_err();
        assert!(error.message.contains("another query"), "{error}");
    }
    let with =
        |value: i32| prepare("SELECT * FROM c WHERE c.g = @g", &json!({"@g": value})).unwrap();
    let token = page(&with(1), &source, None, sized(1)).unwrap().continuation.unwrap();
    assert!(with(1).resume(Some(&token)).is_ok());
    assert!(with(2).resume(Some(&token)).is_err());
    let filter = json!({"value": [1]});
    let sorted = prepared("SELECT * FROM c ORDER BY c.g");
    let token = page(&sorted, &source, None, sized(1)).unwrap().continuation.unwrap();
    assert!(sorted.with_resume_filter(&filter).unwrap().resume(Some(&token)).is_err());
}

#[test]
fn source_errors_are_passed_on() {
    let query = prepared("SELECT * FROM c");
    let resume = query.resume(None).unwrap();
    let mut source = [Err::<Candidate, &str>("broken")].into_iter();
    let error = query.run(&resume, &mut source, ALL).unwrap_err();
    assert!(matches!(error, crate::query::RunError::Source("broken")));
}

const PAGED: &[&str] = &[
    "SELECT * FROM c",
    "SELECT VALUE c.x FROM c WHERE c.y < 3",
    "SELECT TOP 7 * FROM c",
    "SELECT VALUE c.x FROM c OFFSET 3 LIMIT 9",
    "SELECT VALUE c.n FROM c ORDER BY c.x",
    "SELECT VALUE c.n FROM c ORDER BY c.x DESC, c.y",
    "SELECT VALUE c.x FROM c ORDER BY c.y DESC",
    "SELECT TOP 8 c.n FROM c ORDER BY c.y DESC",
    "SELECT VALUE c.n FROM c ORDER BY c.x OFFSET 2 LIMIT 11",
    "SELECT DISTINCT VALUE c.x FROM c",
    "SELECT DISTINCT c.x, c.y FROM c OFFSET 1 LIMIT 6",
    "SELECT DISTINCT VALUE c.x FROM c ORDER BY c.x",
    "SELECT DISTINCT VALUE c.y FROM c ORDER BY c.x DESC OFFSET 1 LIMIT 3",
    "SELECT c.x, COUNT(1) AS n FROM c GROUP BY c.x",
    "SELECT VALUE COUNT(1) FROM c",
];

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2_i64..3).prop_map(Value::from),
        (-2.0_f64..2.0).prop_map(Value::from),
        "[ab]{0,2}".prop_map(Value::from),
        Just(json!([1])),
        Just(json!({"a": 1})),
    ]
}

proptest! {
    #[test]
    fn any_page_size_gives_the_same(
        rows in prop::collection::vec((prop::option::of(value()), prop::option::of(0..4_i64)), 0..30),
        max_items in 1..12_usize,
        text in prop::sample::select(PAGED.to_vec()),
    ) {
        let documents: Vec<Value> = rows
            .into_iter()
            .enumerate()
            .map(|(n, (x, y))| {
                let mut document = json!({"n": n});
                if let Some(x) = x {
                    document["x"] = x;
                }
                if let Some(y) = y {
                    document["y"] = json!(y);
                }
                document
            })
            .collect();
        let source = candidates(&documents);
        let query = prepared(text);
        let whole = page(&query, &source, None, ALL).unwrap();
        prop_assert_eq!(whole.continuation, None);
        prop_assert_eq!(all_pages(&query, &source, sized(max_items)), whole.items);
    }

    #[test]
    fn an_ordered_source_gives_the_same(
        values in prop::collection::vec(prop::option::of(value()), 0..30),
        max_items in 1..12_usize,
        descending in any::<bool>(),
    ) {
        let documents: Vec<Value> = (0..).zip(values).map(|(n, x)| match x {
            Some(x) => json!({"n": n, "x": x}),
            None => json!({"n": n}),
        }).collect();
        let direction = if descending { "DESC" } else { "ASC" };
        let query = prepared(&format!("SELECT VALUE c.n FROM c ORDER BY c.x {direction}"));
        let mut source = candidates(&documents);
        let sorted = page(&query, &source, None, ALL).unwrap().items;
        source.sort_by(|a, b| {
            let order = compare_total(a.document.get("x"), b.document.get("x"))
                .then(a.ordinal.cmp(&b.ordinal));
            if descending { order.reverse() } else { order }
        });
        let ordered = PageLimits { source_is_ordered: true, ..sized(max_items) };
        prop_assert_eq!(all_pages(&query, &source, ordered), sorted);
    }

    #[test]
    fn no_token_panics(token in "[A-Za-z0-9_-]{0,60}") {
        let query = prepared("SELECT * FROM c ORDER BY c.x");
        prop_assert!(query.resume(Some(&token)).is_err());
    }
}

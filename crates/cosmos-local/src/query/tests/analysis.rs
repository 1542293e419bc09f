//! Constraints: what is found, and that no range ever excludes a match.

use std::ops::Bound;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{candidates, page, prepare};
use crate::query::Constraint;
use crate::query::value::compare_total;

/// Whether a document lies in all ranges, with strings ordered as the engine does.
pub(super) fn admits(constraints: &[Constraint], document: &Value) -> bool {
    constraints.iter().all(|constraint| {
        let Some(value) = constraint.path.iter().try_fold(document, |value, name| value.get(name))
        else {
            return false;
        };
        let above = match &constraint.lower {
            Bound::Unbounded => true,
            Bound::Included(low) => compare_total(Some(value), Some(low)).is_ge(),
            Bound::Excluded(low) => compare_total(Some(value), Some(low)).is_gt(),
        };
        let below = match &constraint.upper {
            Bound::Unbounded => true,
            Bound::Included(high) => compare_total(Some(value), Some(high)).is_le(),
            Bound::Excluded(high) => compare_total(Some(value), Some(high)).is_lt(),
        };
        above && below
    })
}

fn bounds(filter: &str) -> String {
    let text = format!("SELECT * FROM c WHERE {filter}");
    let prepared = prepare(&text, &json!({"@p": 7, "@o": {}})).unwrap();
    let shown: Vec<String> = prepared
        .constraints()
        .iter()
        .map(|constraint| {
            let low = match &constraint.lower {
                Bound::Unbounded => "(".to_owned(),
                Bound::Included(value) => format!("[{value}"),
                Bound::Excluded(value) => format!("({value}"),
            };
            let high = match &constraint.upper {
                Bound::Unbounded => ")".to_owned(),
                Bound::Included(value) => format!("{value}]"),
                Bound::Excluded(value) => format!("{value})"),
            };
            format!("{}: {low} .. {high}", constraint.path.join("/"))
        })
        .collect();
    shown.join("; ")
}

#[test]
fn constraints_of_filters() {
    let cases = [
        ("c.x = 1", "x: [1 .. 1]"),
        ("1 = c['x'].y", "x/y: [1 .. 1]"),
        ("c.x = @p AND c.id = 'a'", "x: [7 .. 7]; id: [\"a\" .. \"a\"]"),
        ("c.x > 5", "x: (5 .. )"),
        ("5 > c.x", "x: ( .. 5)"),
        ("c.x >= 5 AND c.x < 9", "x: [5 .. 9)"),
        ("(c.x >= 5 AND true) AND (c.x < 9 AND c.x < 7)", "x: [5 .. 7)"),
        ("c.x BETWEEN 'a' AND 'b'", "x: [\"a\" .. \"b\"]"),
        ("c.x IN (3, 'a', 1, undefined)", "x: [1 .. \"a\"]"),
        ("c.x IN (2)", "x: [2 .. 2]"),
        ("c.x IN (1, c.y)", ""),
        ("c.x IN (1, [2])", ""),
        ("STARTSWITH(c.id, 'ab')", "id: [\"ab\" .. \"ac\")"),
        ("STARTSWITH(c.id, 'ab', true)", ""),
        ("STARTSWITH(c.id, '')", "id: [\"\" .. )"),
        ("c.id LIKE 'ab%'", "id: [\"ab\" .. \"ac\")"),
        ("c.id LIKE '%ab'", ""),
        ("c.x = null", "x: [null .. null]"),
        ("c.x = @o", ""),
        ("c.x = undefined", ""),
        ("c.x != 1", ""),
        ("NOT c.x = 1", ""),
        ("c.x = 1 OR c.y = 2", ""),
        ("c.x[0] = 1", ""),
        ("c.x = c.y", ""),
        ("LOWER(c.x) = 'a'", ""),
        ("IS_DEFINED(c.x)", ""),
        ("c.x = 1 AND c.x = 2", "x: [1 .. 1]"),
        ("c.x > 9007199254740993", "x: [9007199254740993 .. )"),
        ("c.x > 'a\u{1F600}b'", "x: [\"a\" .. )"),
        ("c.x < 'a\u{1F600}b'", ""),
        ("STARTSWITH(c.x, 'a\u{FFFF}')", "x: [\"a\" .. )"),
    ];
    for (filter, wanted) in cases {
        assert_eq!(bounds(filter), wanted, "{filter}");
    }
}

#[test]
fn order_by_paths() {
    let path = |text: &str| {
        let prepared = prepare(text, &json!({})).unwrap();
        prepared.order_by_path().map(|(path, descending)| (path.join("/"), descending))
    };
    assert_eq!(path("SELECT * FROM c ORDER BY c.a.b"), Some(("a/b".to_owned(), false)));
    assert_eq!(path("SELECT * FROM c ORDER BY c._ts DESC"), Some(("_ts".to_owned(), true)));
    assert_eq!(path("SELECT * FROM c ORDER BY c.a, c.b"), None);
    assert_eq!(path("SELECT * FROM c ORDER BY c.a[0]"), None);
    assert_eq!(path("SELECT * FROM c ORDER BY LOWER(c.a)"), None);
    assert_eq!(path("SELECT DISTINCT VALUE c.a FROM c ORDER BY c.a"), None);
    assert_eq!(path("SELECT * FROM c"), None);
}

#[test]
fn needs_of_a_plan() {
    let cases = [
        ("SELECT * FROM c WHERE c.x = 1", None),
        ("SELECT TOP 5 * FROM c", None),
        ("SELECT * FROM c ORDER BY c.x", Some("ORDER BY")),
        ("SELECT VALUE COUNT(1) FROM c", Some("an aggregate")),
        ("SELECT DISTINCT c.x FROM c", Some("DISTINCT")),
        ("SELECT * FROM c OFFSET 0 LIMIT 5", Some("OFFSET LIMIT")),
        ("SELECT c.x FROM c GROUP BY c.x", Some("GROUP BY")),
    ];
    for (text, wanted) in cases {
        let prepared = prepare(text, &json!({})).unwrap();
        assert_eq!(prepared.needs_plan_across_partitions(), wanted, "{text}");
    }
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..4).prop_map(Value::from),
        (-3.0_f64..4.0).prop_map(Value::from),
        Just(json!(9_007_199_254_740_993_u64)),
        Just(json!(9_007_199_254_740_992.0)),
        "[ab\u{E000}\u{1F600}\u{D7FF}]{0,3}".prop_map(Value::from),
    ]
}

fn conjunct() -> impl Strategy<Value = String> {
    let operator = prop::sample::select(vec!["=", "<", "<=", ">", ">=", "!="]);
    prop_oneof![
        (operator.clone(), scalar()).prop_map(|(op, v)| format!("c.x {op} {v}")),
        (operator, scalar()).prop_map(|(op, v)| format!("{v} {op} c.x")),
        (scalar(), scalar()).prop_map(|(a, b)| format!("c.x BETWEEN {a} AND {b}")),
        prop::collection::vec(scalar(), 1..4).prop_map(|list| {
            let list: Vec<String> = list.iter().map(Value::to_string).collect();
            format!("c.x IN ({})", list.join(", "))
        }),
        "[ab\u{E000}\u{1F600}\u{D7FF}]{0,2}".prop_map(|p| format!("STARTSWITH(c.x, '{p}')")),
        "[ab\u{E000}\u{1F600}\u{D7FF}]{0,2}".prop_map(|p| format!("c.x LIKE '{p}%'")),
    ]
}

/// As [`admits`], for a source that orders strings by their UTF-8 bytes.
fn admits_in_bytes(constraints: &[Constraint], value: &Value) -> bool {
    let Value::String(text) = value else { return true };
    constraints.iter().all(|constraint| {
        let above = match &constraint.lower {
            Bound::Included(Value::String(low)) => text >= low,
            Bound::Excluded(Value::String(low)) => text > low,
            _ => true,
        };
        let below = match &constraint.upper {
            Bound::Included(Value::String(high)) => text <= high,
            Bound::Excluded(Value::String(high)) => text < high,
            _ => true,
        };
        above && below
    })
}

proptest! {
    #[test]
    fn constraints_never_exclude_a_match(
        conjuncts in prop::collection::vec(conjunct(), 1..3),
        values in prop::collection::vec(scalar(), 1..20),
    ) {
        let text = format!("SELECT VALUE c.x FROM c WHERE {}", conjuncts.join(" AND "));
        let prepared = prepare(&text, &json!({})).unwrap();
        let documents: Vec<Value> = values.into_iter().map(|value| json!({"x": value})).collect();
        let matched = page(&prepared, &candidates(&documents), None, super::ALL).unwrap().items;
        for value in matched {
            prop_assert!(admits(prepared.constraints(), &json!({"x": value})), "{text} {value}");
            prop_assert!(admits_in_bytes(prepared.constraints(), &value), "{text} {value}");
        }
    }
}

//! Whole queries: SELECT forms, FROM, ORDER BY, windows, DISTINCT, aggregates, and the exact texts
//! that clients and their conformance suite send.

use serde_json::{Value, json};

use super::{ALL, candidates, page, prepare, query};

fn people() -> Vec<Value> {
    vec![
        json!({"id": "a", "age": 30, "city": "Oslo", "tags": ["x"], "_rid": "AQAAAAEAAIABAAAAAAAAAA=="}),
        json!({"id": "b", "age": 20, "city": "Bonn", "_rid": "AQAAAAEAAIACAAAAAAAAAA=="}),
        json!({"id": "c", "age": 20, "city": "Oslo", "_rid": "AQAAAAEAAIADAAAAAAAAAA=="}),
        json!({"id": "d", "city": "Rome", "_rid": "AQAAAAEAAIAEAAAAAAAAAA=="}),
        json!({"id": "e", "age": "old", "city": "Bonn", "_rid": "AQAAAAEAAIAFAAAAAAAAAA=="}),
    ]
}

fn check(cases: &[(&str, Value)]) {
    for (text, wanted) in cases {
        assert_eq!(json!(query(text, &people())), *wanted, "{text}");
    }
}

#[test]
fn select_forms() {
    let documents = people();
    assert_eq!(query("SELECT * FROM c", &documents), documents);
    assert_eq!(query("select * from docs c", &documents), documents);
    assert_eq!(query("SELECT VALUE c FROM c", &documents), documents);
    assert_eq!(
        query("SELECT * FROM root r WHERE r.id = 'a'", &documents),
        vec![documents[0].clone()]
    );
    check(&[
        ("SELECT c.id FROM c WHERE c.id = 'a'", json!([{"id": "a"}])),
        ("SELECT c['id'] FROM c WHERE c.id = 'a'", json!([{"id": "a"}])),
        (
            "SELECT c.id AS name, c.age years FROM c WHERE c.id = 'a'",
            json!([{"name": "a", "years": 30}]),
        ),
        (
            "SELECT 1, c.id, c.age + 1, c.tags[0] FROM c WHERE c.id = 'a'",
            json!([{"$1": 1, "id": "a", "$2": 31, "$3": "x"}]),
        ),
        ("SELECT c.id AS value FROM c WHERE c.id = 'a'", json!([{"value": "a"}])),
        (
            "SELECT p FROM people AS p WHERE p.id = 'd'",
            json!([{"p": {"id": "d", "city": "Rome", "_rid": "AQAAAAEAAIAEAAAAAAAAAA=="}}]),
        ),
        (
            "SELECT VALUE {n: c.id, a: [c.age]} FROM c WHERE c.id = 'd'",
            json!([{"n": "d", "a": []}]),
        ),
        ("SELECT 1 + 1", json!([{"$1": 2}])),
        ("SELECT VALUE 'x'", json!(["x"])),
        ("SELECT VALUE 1 WHERE false", json!([])),
        ("SELECT TOP 2 VALUE c.id FROM c", json!(["a", "b"])),
        ("SELECT TOP 0 VALUE c.id FROM c", json!([])),
        ("SELECT VALUE c.id FROM c OFFSET 1 LIMIT 2", json!(["b", "c"])),
        ("SELECT VALUE c.id FROM c OFFSET 8 LIMIT 5", json!([])),
        ("SELECT VALUE c.id FROM c OFFSET 3 LIMIT 0", json!([])),
        // Rows without a value do not count.
        ("SELECT TOP 4 VALUE c.age FROM c", json!([30, 20, 20, "old"])),
    ]);
}

#[test]
fn from_a_path() {
    let documents = [json!({"id": 1, "in": {"x": 5}}), json!({"id": 2}), json!({"id": 3, "in": 7})];
    for (text, wanted) in [
        ("SELECT * FROM c.in", json!([{"x": 5}, 7])),
        ("SELECT VALUE i.x FROM c['in'] i", json!([5])),
        ("SELECT i FROM c.in AS i", json!([{"i": {"x": 5}}, {"i": 7}])),
        ("SELECT VALUE x FROM c.in.x", json!([5])),
    ] {
        assert_eq!(json!(query(text, &documents)), wanted, "{text}");
    }
}

#[test]
fn order_by() {
    check(&[
        ("SELECT VALUE c.id FROM c ORDER BY c.age", json!(["d", "b", "c", "a", "e"])),
        // Ties follow the direction of the first item.
        ("SELECT VALUE c.id FROM c ORDER BY c.age DESC", json!(["e", "a", "c", "b", "d"])),
        (
            "SELECT VALUE c.id FROM c ORDER BY c.city ASC, c.age DESC",
            json!(["e", "b", "a", "c", "d"]),
        ),
        ("SELECT VALUE c.id FROM c ORDER BY c.city DESC, c.id", json!(["d", "a", "c", "b", "e"])),
        ("SELECT TOP 2 VALUE c.id FROM c ORDER BY c.id DESC", json!(["e", "d"])),
        ("SELECT VALUE c.id FROM c ORDER BY c.id OFFSET 1 LIMIT 2", json!(["b", "c"])),
        (
            "SELECT VALUE c.id FROM c WHERE c.age = 20 ORDER BY LENGTH(c.id), c._rid DESC",
            json!(["c", "b"]),
        ),
    ]);
    let mixed = [
        json!({"x": {}}),
        json!({"x": []}),
        json!({"x": "s"}),
        json!({"x": 1}),
        json!({"x": false}),
        json!({"x": null}),
        json!({}),
        json!({"x": -1.5}),
        json!({"x": true}),
    ];
    assert_eq!(
        query("SELECT c.x FROM c ORDER BY c.x", &mixed),
        vec![
            json!({}),
            json!({"x": null}),
            json!({"x": false}),
            json!({"x": true}),
            json!({"x": -1.5}),
            json!({"x": 1}),
            json!({"x": "s"}),
            json!({"x": []}),
            json!({"x": {}})
        ]
    );
}

#[test]
fn distinct() {
    check(&[
        ("SELECT DISTINCT VALUE c.city FROM c", json!(["Oslo", "Bonn", "Rome"])),
        (
            "SELECT DISTINCT c.city FROM c",
            json!([{"city": "Oslo"}, {"city": "Bonn"}, {"city": "Rome"}]),
        ),
        ("select distinct value c.city from c order by c.city", json!(["Bonn", "Oslo", "Rome"])),
        ("select distinct top 2 value c.city from c", json!(["Oslo", "Bonn"])),
        ("select distinct value c.city from c offset 1 limit 2", json!(["Bonn", "Rome"])),
        ("select distinct top 1000 value 1 from c", json!([1])),
        ("SELECT DISTINCT VALUE c.age FROM c", json!([30, 20, "old"])),
        ("SELECT DISTINCT VALUE [c.age = 20] FROM c", json!([[false], [true], []])),
    ]);
    let same = [json!({"v": {"a": 1, "b": 2}}), json!({"v": {"b": 2.0, "a": 1}})];
    assert_eq!(query("SELECT DISTINCT VALUE c.v FROM c", &same).len(), 1);
    assert_eq!(query("SELECT DISTINCT * FROM c", &people()).len(), 5);
}

#[test]
fn aggregates() {
    check(&[
        ("SELECT VALUE COUNT(1) FROM c", json!([5])),
        ("SELECT VALUE COUNT(c.age) FROM c", json!([4])),
        ("SELECT COUNT(1) FROM c", json!([{"$1": 5}])),
        ("SELECT COUNT(1) AS n, MAX(c.city) AS m FROM c", json!([{"n": 5, "m": "Rome"}])),
        ("SELECT VALUE {\"a\": COUNT(1), b: [MIN(c.id)]} FROM c", json!([{"a": 5, "b": ["a"]}])),
        ("SELECT VALUE SUM(c.age) FROM c", json!([])),
        ("SELECT SUM(c.age) AS s FROM c", json!([{}])),
        ("SELECT VALUE SUM(c.age) FROM c WHERE IS_NUMBER(c.age)", json!([70])),
        ("SELECT VALUE AVG(c.age) FROM c WHERE c.age < 100", json!([70.0 / 3.0])),
        ("SELECT VALUE AVG(c.nothing) FROM c", json!([])),
        ("SELECT VALUE SUM(c.nothing) FROM c", json!([0])),
        ("SELECT VALUE MIN(c.age) FROM c", json!([20])),
        ("SELECT VALUE MAX(c.age) FROM c", json!(["old"])),
        ("SELECT VALUE MAX(c.tags) FROM c", json!([])),
        ("SELECT VALUE COUNT(1) FROM c WHERE false", json!([0])),
        ("SELECT VALUE MIN(c.age) FROM c WHERE false", json!([])),
        ("SELECT VALUE COUNT(1) + 1 FROM c", json!([6])),
        ("SELECT VALUE SUM(c.age + 1) FROM c WHERE c.age < 25", json!([42])),
        ("SELECT VALUE COUNTIF(c.age = 20) FROM c", json!([2])),
        ("SELECT TOP 1 VALUE COUNT(1) FROM c", json!([5])),
        ("SELECT TOP 0 VALUE COUNT(1) FROM c", json!([])),
        ("select distinct top 1000 value max(c.id) from c", json!(["e"])),
    ]);
}

#[test]
fn group_by() {
    check(&[
        (
            "SELECT c.city AS city, COUNT(1) AS count FROM c GROUP BY c.city",
            json!([{"city": "Oslo", "count": 2}, {"city": "Bonn", "count": 2},
                {"city": "Rome", "count": 1}]),
        ),
        (
            "SELECT c.city, SUM(c.age) AS s FROM c WHERE IS_NUMBER(c.age) GROUP BY c.city",
            json!([{"city": "Oslo", "s": 50}, {"city": "Bonn", "s": 20}]),
        ),
        ("SELECT VALUE c.age FROM c GROUP BY c.age", json!([30, 20, "old"])),
        (
            "SELECT c.age FROM c GROUP BY c.age",
            json!([{"age": 30}, {"age": 20}, {}, {"age": "old"}]),
        ),
        (
            "SELECT UPPER(c.city) AS k, MIN(c.id) AS m FROM c GROUP BY UPPER(c.city)",
            json!([{"k": "OSLO", "m": "a"}, {"k": "BONN", "m": "b"}, {"k": "ROME", "m": "d"}]),
        ),
        (
            "SELECT c.city, c.age, COUNT(1) AS n FROM c GROUP BY c.city, c.age OFFSET 1 LIMIT 2",
            json!([{"city": "Bonn", "age": 20, "n": 1}, {"city": "Oslo", "age": 20, "n": 1}]),
        ),
        ("SELECT COUNT(1) AS n FROM c WHERE false GROUP BY c.city", json!([])),
    ]);
}

#[test]
fn rewritten_order_by_of_the_sdk() {
    let documents = people();
    // As the driver's planner writes it, with its filter placeholder replaced by `true`.
    let text = r#"SELECT VALUE {"_rid": c._rid, "orderByItems": [{"item": c.age}], "payload": c.id} from c WHERE (c.city != "Rome") AND true AND IS_DEFINED(c.id) order by c.age"#;
    assert_eq!(
        query(text, &documents),
        vec![
            json!({"_rid": documents[1]["_rid"], "orderByItems": [{"item": 20}], "payload": "b"}),
            json!({"_rid": documents[2]["_rid"], "orderByItems": [{"item": 20}], "payload": "c"}),
            json!({"_rid": documents[0]["_rid"], "orderByItems": [{"item": 30}], "payload": "a"}),
            json!({"_rid": documents[4]["_rid"], "orderByItems": [{"item": "old"}],
                "payload": "e"}),
        ]
    );
    // An undefined sort key leaves its item out.
    let text = r#"SELECT VALUE {"_rid": c._rid, "orderByItems": [{"item": c.age}, {"item": c.id}], "payload": c} FROM c WHERE true ORDER BY c.age, c.id DESC OFFSET 0 LIMIT 1"#;
    assert_eq!(
        query(text, &documents),
        vec![json!({"_rid": documents[3]["_rid"], "orderByItems": [{}, {"item": "d"}],
            "payload": documents[3]})]
    );
    // As a gateway's plan writes it.
    let text = r#"SELECT TOP 1 c._rid, [{"item": c.age}] AS orderByItems, c AS payload FROM c WHERE (true) ORDER BY c.age DESC"#;
    assert_eq!(
        query(text, &documents),
        vec![json!({"_rid": documents[4]["_rid"], "orderByItems": [{"item": "old"}],
            "payload": documents[4]})]
    );
}

#[test]
fn resume_filters() {
    let documents = people();
    let rid = |place: usize| documents[place]["_rid"].clone();
    let ascending = "SELECT VALUE c.id FROM c ORDER BY c.age";
    let descending = "SELECT VALUE c.id FROM c ORDER BY c.age DESC";
    let cases = [
        (
            ascending,
            json!({"value": [20], "rid": rid(1), "exclude": false}),
            json!(["b", "c", "a", "e"]),
        ),
        (
            ascending,
            json!({"value": [20.0], "rid": rid(2), "exclude": false}),
            json!(["c", "a", "e"]),
        ),
        (ascending, json!({"value": [20], "rid": rid(1), "exclude": true}), json!(["c", "a", "e"])),
        (ascending, json!({"value": [20], "exclude": true}), json!(["a", "e"])),
        (ascending, json!({"value": [20], "exclude": false}), json!(["b", "c", "a", "e"])),
        (ascending, json!({"value": [[]], "exclude": true}), json!(["b", "c", "a", "e"])),
        (ascending, json!({"value": [null], "exclude": true}), json!(["b", "c", "a", "e"])),
        (ascending, json!({"value": ["old"], "exclude": true}), json!([])),
        (descending, json!({"value": [20], "rid": rid(2), "exclude": true}), json!(["b", "d"])),
        (descending, json!({"value": [20], "rid": rid(1), "exclude": false}), json!(["b", "d"])),
        (descending, json!({"value": [[]], "rid": rid(3), "exclude": false}), json!(["d"])),
    ];
    for (text, filter, wanted) in cases {
        let prepared = prepare(text, &json!({})).unwrap().with_resume_filter(&filter).unwrap();
        let result = page(&prepared, &candidates(&documents), None, ALL).unwrap();
        assert_eq!(json!(result.items), wanted, "{text} {filter}");
        // Constraints never exclude what the filter admits.
        for id in wanted.as_array().unwrap() {
            let document = documents.iter().find(|document| document["id"] == *id).unwrap();
            assert!(super::analysis::admits(prepared.constraints(), document), "{text} {filter}");
        }
    }
    for (text, filter) in [
        (ascending, json!({"value": [1, 2]})),
        (ascending, json!({"value": [{"a": 1}]})),
        (ascending, json!({"value": [1], "rid": "no"})),
        (ascending, json!([])),
        ("SELECT * FROM c", json!({"value": []})),
    ] {
        let prepared = prepare(text, &json!({})).unwrap();
        assert!(prepared.with_resume_filter(&filter).is_err(), "{text} {filter}");
    }
}

#[test]
fn texts_of_the_conformance_suite() {
    let documents: Vec<Value> = (0..12)
        .map(|n| {
            json!({"id": format!("{n}"), "partitionKey": format!("partition{}", n % 4),
            "mergeOrder": n * 10, "category": format!("{}", n % 3), "amount": n})
        })
        .collect();
    let counts = [
        ("select value c.id from c", 12),
        ("select c.id, c.mergeOrder from c", 12),
        ("select value c.id from c where c.mergeOrder between 40 and 60", 3),
        ("select value c.id from c order by c.mergeOrder", 12),
        ("select distinct top 1000 value c.partitionKey from c", 4),
        ("select distinct value c.partitionKey from c order by c.partitionKey", 4),
        ("select distinct top 1000 * from c", 12),
        ("SELECT DISTINCT VALUE c.category FROM c", 3),
        ("SELECT TOP 2 VALUE c.amount FROM c ORDER BY c.amount DESC", 2),
        ("SELECT VALUE c.amount FROM c ORDER BY c.amount DESC OFFSET 0 LIMIT 2", 2),
        ("SELECT * FROM c OFFSET 8 LIMIT 5", 4),
        ("SELECT TOP 25 * FROM c", 12),
        ("SELECT * FROM c WHERE c.partitionKey = 'partition1' AND STARTSWITH(c.id, '5')", 1),
        (
            "SELECT c.category AS category, COUNT(1) AS count, SUM(c.amount) AS total \
          FROM c GROUP BY c.category",
            3,
        ),
        (
            "select distinct top 1000 c.partitionKey, count(1) as n from c group by c.partitionKey",
            4,
        ),
    ];
    for (text, wanted) in counts {
        assert_eq!(query(text, &documents).len(), wanted, "{text}");
    }
}

//! Expressions: operators, precedence, literals and the ways of `undefined`.

use serde_json::{Value, json};

use super::{prepare, query, value_over};

fn document() -> Value {
    json!({
        "id": "1", "n": 5, "f": 2.5, "s": "abc", "t": true, "z": null, "e": "",
        "a": [1, "two", {"x": 3}], "o": {"p": {"q": 7}, "b b": 1},
        "value": 1, "order": 2, "top": 3
    })
}

fn check(cases: &[(&str, Option<Value>)]) {
    let document = document();
    for (expression, wanted) in cases {
        assert_eq!(value_over(expression, &document), *wanted, "{expression}");
    }
}

#[allow(clippy::unnecessary_wraps, reason = "it stands beside `None` in the tables")]
fn some(value: impl Into<Value>) -> Option<Value> {
    Some(value.into())
}

#[test]
fn literals() {
    check(&[
        ("1", some(1)),
        ("1.5", some(1.5)),
        (".5", some(0.5)),
        ("1e3", some(1000.0)),
        ("2E-1", some(0.2)),
        ("-3", some(-3)),
        ("- -3", some(3)),
        ("9007199254740993", some(9_007_199_254_740_993_u64)),
        ("-9007199254740993", some(-9_007_199_254_740_993_i64)),
        ("'it''s'", some("it's")),
        (r#""a\"b\n\u0041\ud83d\ude00""#, some("a\"b\nA\u{1F600}")),
        (r"'\'\\\/\b\f\t\r'", some("'\\/\u{8}\u{c}\t\r")),
        ("TRUE", some(true)),
        ("False", some(false)),
        ("NULL", Some(Value::Null)),
        ("undefined", None),
        ("[1, undefined, 'x', []]", Some(json!([1, "x", []]))),
        ("{a: 1, 'b': {c: undefined}, \"d\": null}", Some(json!({"a": 1, "b": {}, "d": null}))),
        ("/* in */ 1 -- after\n", some(1)),
    ]);
}

#[test]
fn property_access() {
    check(&[
        ("c.n", some(5)),
        ("c['n']", some(5)),
        ("c.o.p.q", some(7)),
        ("c[\"o\"]['b b']", some(1)),
        ("c.a[0]", some(1)),
        ("c.a[2].x", some(3)),
        ("c.a[3]", None),
        ("c.a[-1]", None),
        ("c.a[0.5]", None),
        ("c.a['0']", None),
        ("c.o[0]", None),
        ("c.n.x", None),
        ("c.N", None),
        ("c.a[c.n - 3].x", some(3)),
        ("c['o'][c.missing]", None),
        ("c.value", some(1)),
        ("c.order", some(2)),
        ("c.top", some(3)),
        ("{x: {y: 4}}.x.y", some(4)),
        ("[1, 2][1]", some(2)),
    ]);
}

#[test]
fn arithmetic() {
    check(&[
        ("1 + 2 * 3", some(7)),
        ("(1 + 2) * 3", some(9)),
        ("10 - 4 - 3", some(3)),
        ("7 / 2", some(3.5)),
        ("6 / 2", some(3)),
        ("7 % 4", some(3)),
        ("-7 % 4", some(-3)),
        ("0.1 + 0.2", some(0.1 + 0.2)),
        ("1 / 0", None),
        ("1 % 0", None),
        ("c.n + c.missing", None),
        ("c.n + 'x'", None),
        ("'a' + 'b'", None),
        ("-c.s", None),
        ("+c.n", some(5)),
        ("+c.s", None),
        ("1e308 * 10", None),
        ("6 & 3", some(2)),
        ("6 | 3", some(7)),
        ("6 ^ 3", some(5)),
        ("~5", some(-6)),
        ("1 << 4", some(16)),
        ("-16 >> 2", some(-4)),
        ("-1 >>> 0", some(4_294_967_295_u64)),
        ("1.5 & 1", None),
        ("1 | 2 ^ 3 & 1 << 1", some(1)),
        ("'a' || 'b' || c.s", some("ababc")),
        ("'a' || 1", None),
        ("'a' || 'b' = 'ab'", some(true)),
    ]);
}

#[test]
fn comparisons() {
    check(&[
        ("1 = 1.0", some(true)),
        ("5 = c.n", some(true)),
        ("c.n != 5", some(false)),
        ("c.n <> 4", some(true)),
        ("c.n < 6", some(true)),
        ("c.n <= 5", some(true)),
        ("c.n > 5", some(false)),
        ("c.n >= 5", some(true)),
        ("'a' < 'b'", some(true)),
        ("'a' < 'B'", some(false)),
        ("false < true", some(true)),
        ("null = null", some(true)),
        ("null >= null", some(true)),
        // Across types: undefined, but for equality with null.
        ("1 = '1'", None),
        ("1 != '1'", None),
        ("1 < '1'", None),
        ("true = 1", None),
        ("null < 1", None),
        ("c.s = null", some(false)),
        ("c.s != null", some(true)),
        ("c.z != null", some(false)),
        ("c.missing = null", None),
        ("c.missing != null", None),
        ("undefined = undefined", None),
        // Arrays and objects: equality only.
        ("[1, 2] = [1, 2.0]", some(true)),
        ("[1, 2] = [2, 1]", some(false)),
        ("{a: 1, b: 2} = {b: 2, a: 1}", some(true)),
        ("{a: 1} != {a: 2}", some(true)),
        ("[1] < [2]", None),
        ("9007199254740993 > 9007199254740992", some(true)),
        ("9007199254740993 = 9007199254740992.0", some(false)),
        ("1 < 1.5", some(true)),
        // By UTF-16 code units.
        ("'\\ud83d\\ude00' < '\\uffee'", some(true)),
    ]);
}

#[test]
fn three_valued_logic() {
    check(&[
        ("true AND undefined", None),
        ("false AND undefined", some(false)),
        ("undefined AND false", some(false)),
        ("true OR undefined", some(true)),
        ("undefined OR true", some(true)),
        ("false OR undefined", None),
        ("NOT undefined", None),
        ("NOT true", some(false)),
        ("NOT c.missing = 1", None),
        ("1 AND true", None),
        ("'x' OR false", None),
        ("NOT 0", None),
        ("true AND true AND true AND c.t", some(true)),
        ("true OR false AND false", some(true)),
        ("NOT c.n = 4 AND c.t", some(true)),
        ("NOT NOT c.t", some(true)),
    ]);
}

#[test]
fn membership() {
    check(&[
        ("c.n IN (1, 5)", some(true)),
        ("c.n in (1, 2)", some(false)),
        ("c.n NOT IN (1, 2)", some(true)),
        ("c.n IN (1, 'x')", None),
        ("c.n IN ('x', 5)", some(true)),
        ("c.missing IN (1)", None),
        ("c.missing NOT IN (1)", None),
        ("c.a IN ([1, 'two', {x: 3}])", some(true)),
        ("c.n BETWEEN 1 AND 5", some(true)),
        ("c.n NOT BETWEEN 1 AND 5", some(false)),
        ("c.n BETWEEN 6 AND 9", some(false)),
        ("c.n BETWEEN 'a' AND 9", None),
        ("c.n BETWEEN 1 AND 2 + 3 AND c.t", some(true)),
        ("c.s BETWEEN 'abb' AND 'abd'", some(true)),
        ("c.missing BETWEEN 1 AND 2", None),
    ]);
}

#[test]
fn like() {
    check(&[
        ("'abc' LIKE 'abc'", some(true)),
        ("'abc' LIKE 'ABC'", some(false)),
        ("'abc' LIKE 'a%'", some(true)),
        ("'abc' LIKE '%c'", some(true)),
        ("'abc' LIKE '%b%'", some(true)),
        ("'abc' LIKE 'a_c'", some(true)),
        ("'abc' LIKE '__'", some(false)),
        ("'' LIKE '%'", some(true)),
        ("'' LIKE ''", some(true)),
        ("'a%c' LIKE 'a!%c' ESCAPE '!'", some(true)),
        ("'abc' LIKE 'a!%c' ESCAPE '!'", some(false)),
        ("'abc' NOT LIKE 'x%'", some(true)),
        ("'b' LIKE '[abc]'", some(true)),
        ("'d' LIKE '[a-c]'", some(false)),
        ("'d' LIKE '[^a-c]'", some(true)),
        ("'a[' LIKE 'a['", some(true)),
        ("c.n LIKE '5'", None),
        ("c.missing LIKE '%'", None),
        ("c.s LIKE c.s", some(true)),
        ("c.s LIKE c.s || '%'", some(true)),
        ("c.s LIKE c.n", None),
        ("c.s LIKE 'a%' ESCAPE undefined", None),
        ("'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab' LIKE '%a%a%a%a%a%a%a%c'", some(false)),
    ]);
}

#[test]
fn choices() {
    check(&[
        ("c.missing ?? 'x'", some("x")),
        ("c.z ?? 'x'", Some(Value::Null)),
        ("c.missing ?? c.gone ?? 3", some(3)),
        ("c.missing ?? undefined", None),
        ("c.t ? 1 : 2", some(1)),
        ("c.n > 9 ? 1 : c.n > 4 ? 2 : 3", some(2)),
        ("c.n ? 1 : 2", None),
        ("c.missing ? 1 : 2", None),
        ("(c.missing ?? 0) > -1 ? 'y' : 'n'", some("y")),
        ("IIF(c.t, 1, 2)", some(1)),
        ("IIF(c.n, 1, 2)", some(2)),
        ("IIF(c.missing, 1, 2)", some(2)),
    ]);
}

#[test]
fn parameters_and_case() {
    let documents = [document()];
    let cases = [
        ("select value c.n from c where c.n = @n", json!({"@n": 5.0}), json!([5])),
        ("Select Value @x From c", json!({"@x": {"deep": [1]}}), json!([{"deep": [1]}])),
        ("SELECT VALUE c[@name] FROM c", json!({"@name": "s"}), json!(["abc"])),
        ("SELECT c[@name] FROM c", json!({"@name": "s"}), json!([{"s": "abc"}])),
        ("SELECT TOP @k VALUE c.n FROM c", json!({"@k": 0}), json!([])),
        (
            "SELECT VALUE c.n FROM c OFFSET @o LIMIT @l",
            json!({"@o": 0, "@l": 1.0, "@unused": 1}),
            json!([5]),
        ),
        ("SELECT VALUE ARRAY_CONTAINS(@a, c.n) FROM c", json!({"@a": [4, 5]}), json!([true])),
    ];
    for (text, parameters, wanted) in cases {
        let prepared = prepare(text, &parameters).unwrap();
        let page =
            super::page(&prepared, &super::candidates(&documents), None, super::ALL).unwrap();
        assert_eq!(json!(page.items), wanted, "{text}");
    }
}

#[test]
fn undefined_in_results() {
    let documents = [json!({"id": "1", "x": 1}), json!({"id": "2"}), json!({"id": "3", "x": null})];
    assert_eq!(query("SELECT VALUE c.x FROM c", &documents), vec![json!(1), json!(null)]);
    assert_eq!(
        query("SELECT c.id, c.x FROM c", &documents),
        vec![json!({"id": "1", "x": 1}), json!({"id": "2"}), json!({"id": "3", "x": null})]
    );
    assert_eq!(query("SELECT c.x.y FROM c", &documents), vec![json!({}), json!({}), json!({})]);
    assert_eq!(query("SELECT VALUE c.id FROM c WHERE c.x", &documents), Vec::<Value>::new());
    assert_eq!(query("SELECT VALUE c.id FROM c WHERE NOT (c.x = 1)", &documents), vec![json!("3")]);
}

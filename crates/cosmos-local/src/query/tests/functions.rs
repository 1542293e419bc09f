//! Built-in functions: results, wrong types, and edges.

use serde_json::{Value, json};

use super::value_over;

fn check(cases: &[(&str, Option<Value>)]) {
    let document = json!({
        "s": "Hello", "n": 5, "z": null, "a": [1, 2, 3], "o": {"k": 1},
        "list": [{"id": 1, "v": "x"}, {"id": 2}]
    });
    for (expression, wanted) in cases {
        assert_eq!(value_over(expression, &document), *wanted, "{expression}");
    }
}

#[allow(clippy::unnecessary_wraps, reason = "it stands beside `None` in the tables")]
fn some(value: impl Into<Value>) -> Option<Value> {
    Some(value.into())
}

#[test]
fn strings() {
    check(&[
        ("CONCAT('a', 'b', c.s)", some("abHello")),
        ("CONCAT('a', 1)", None),
        ("CONCAT('a', c.missing)", None),
        ("CONTAINS(c.s, 'ell')", some(true)),
        ("contains(c.s, 'ELL')", some(false)),
        ("Contains(c.s, 'ELL', true)", some(true)),
        ("CONTAINS(c.s, 'ELL', c.z)", None),
        ("CONTAINS(c.n, 'x')", None),
        ("STARTSWITH(c.s, 'He')", some(true)),
        ("STARTSWITH(c.s, 'he')", some(false)),
        ("STARTSWITH(c.s, 'he', true)", some(true)),
        ("ENDSWITH(c.s, 'LO', true)", some(true)),
        ("STRINGEQUALS(c.s, 'hello')", some(false)),
        ("StringEquals(c.s, 'hello', true)", some(true)),
        ("StringEquals(null, null)", None),
        ("INDEX_OF(c.s, 'l')", some(2)),
        ("INDEX_OF(c.s, 'l', 3)", some(3)),
        ("INDEX_OF(c.s, 'z')", some(-1)),
        ("INDEX_OF('\u{e9}l', 'l')", some(1)),
        ("INDEX_OF(c.s, 'l', 99)", some(-1)),
        ("LENGTH(c.s)", some(5)),
        ("LENGTH('\u{1F600}')", some(1)),
        ("LENGTH(c.n)", None),
        ("LOWER(c.s)", some("hello")),
        ("UPPER(c.s)", some("HELLO")),
        ("LTRIM('  a ')", some("a ")),
        ("RTRIM('  a ')", some("  a")),
        ("TRIM('  a ')", some("a")),
        ("LEFT(c.s, 2)", some("He")),
        ("LEFT(c.s, 99)", some("Hello")),
        ("LEFT(c.s, -1)", None),
        ("RIGHT(c.s, 2)", some("lo")),
        ("RIGHT(c.s, 99)", some("Hello")),
        ("SUBSTRING(c.s, 1, 3)", some("ell")),
        ("SUBSTRING(c.s, 4, 9)", some("o")),
        ("SUBSTRING(c.s, 9, 1)", some("")),
        ("SUBSTRING(c.s, -1, 1)", None),
        ("REPLACE(c.s, 'l', 'L')", some("HeLLo")),
        ("REPLACE(c.s, '', 'L')", some("Hello")),
        ("REPLICATE('ab', 3)", some("ababab")),
        ("REPLICATE('ab', 0)", some("")),
        ("REPLICATE('ab', 6000)", None),
        ("REPLICATE('ab', -1)", None),
        ("REVERSE(c.s)", some("olleH")),
        ("STRINGSPLIT('a,b,,c', ',')", Some(json!(["a", "b", "", "c"]))),
        ("StringJoin(['a', 'b'], '-')", some("a-b")),
        ("StringJoin(['a', 1], '-')", None),
        ("REGEXMATCH(c.s, '^H.*o$')", some(true)),
        ("RegexMatch(c.s, 'hello')", some(false)),
        ("RegexMatch(c.s, 'hello', 'i')", some(true)),
        ("RegexMatch(c.n, '5')", None),
        ("RegexMatch('a b', 'a\\\\sb')", some(true)),
    ]);
}

#[test]
fn conversions() {
    check(&[
        ("ToString(1)", some("1")),
        ("ToString(1.5)", some("1.5")),
        ("ToString(2.0)", some("2")),
        ("ToString(9007199254740993)", some("9007199254740993")),
        ("ToString(true)", some("true")),
        ("ToString(null)", some("null")),
        ("ToString('x')", some("x")),
        ("ToString([1, 'a'])", some("[1,\"a\"]")),
        ("ToString(c.missing)", None),
        ("StringToNumber(' 1.5 ')", some(1.5)),
        ("StringToNumber('x')", None),
        ("StringToNumber('true')", None),
        ("StringToBoolean('true')", some(true)),
        ("StringToBoolean('TRUE')", None),
        ("StringToNull('null')", Some(Value::Null)),
        ("StringToArray('[1, \"a\"]')", Some(json!([1, "a"]))),
        ("StringToArray('{}')", None),
        ("StringToObject('{\"a\": 1}')", Some(json!({"a": 1}))),
    ]);
}

#[test]
fn types() {
    check(&[
        ("IS_DEFINED(c.s)", some(true)),
        ("IS_DEFINED(c.z)", some(true)),
        ("IS_DEFINED(c.missing)", some(false)),
        ("IS_NULL(c.z)", some(true)),
        ("IS_NULL(c.missing)", some(false)),
        ("IS_BOOL(true)", some(true)),
        ("IS_NUMBER(c.n)", some(true)),
        ("IS_STRING(c.s)", some(true)),
        ("IS_ARRAY(c.a)", some(true)),
        ("IS_OBJECT(c.o)", some(true)),
        ("IS_OBJECT(c.a)", some(false)),
        ("IS_PRIMITIVE(c.z)", some(true)),
        ("IS_PRIMITIVE(c.a)", some(false)),
        ("IS_INTEGER(5.0)", some(true)),
        ("IS_INTEGER(5.5)", some(false)),
        ("IS_INTEGER(1e300)", some(false)),
        ("IS_FINITE_NUMBER(1)", some(true)),
    ]);
}

#[test]
fn arrays() {
    check(&[
        ("ARRAY_CONTAINS(c.a, 2)", some(true)),
        ("ARRAY_CONTAINS(c.a, '2')", some(false)),
        ("ARRAY_CONTAINS(c.s, 'H')", None),
        ("ARRAY_CONTAINS(c.a, c.missing)", None),
        ("ARRAY_CONTAINS(c.list, {id: 1})", some(false)),
        ("ARRAY_CONTAINS(c.list, {id: 1}, true)", some(true)),
        ("ARRAY_CONTAINS(c.list, {v: 'x', id: 1})", some(true)),
        ("ARRAY_CONTAINS(c.list, {id: 3}, true)", some(false)),
        ("ARRAY_CONTAINS_ANY(c.a, 7, 3)", some(true)),
        ("ARRAY_CONTAINS_ANY(c.a, 7, 8)", some(false)),
        ("ARRAY_CONTAINS_ALL(c.a, 1, 3)", some(true)),
        ("ARRAY_CONTAINS_ALL(c.a, 1, 8)", some(false)),
        ("ARRAY_LENGTH(c.a)", some(3)),
        ("ARRAY_LENGTH(c.s)", None),
        ("ARRAY_SLICE(c.a, 1)", Some(json!([2, 3]))),
        ("ARRAY_SLICE(c.a, 0, 2)", Some(json!([1, 2]))),
        ("ARRAY_SLICE(c.a, -2, 1)", Some(json!([2]))),
        ("ARRAY_SLICE(c.a, 9)", Some(json!([]))),
        ("ARRAY_CONCAT(c.a, [4], [])", Some(json!([1, 2, 3, 4]))),
        ("ARRAY_CONCAT(c.a, 4)", None),
        ("SETINTERSECT(c.a, [3.0, 1, 1])", Some(json!([1, 3]))),
        ("SETUNION(c.a, [3, 4])", Some(json!([1, 2, 3, 4]))),
        ("ObjectToArray(c.o)", Some(json!([{"k": "k", "v": 1}]))),
        ("CHOOSE(2, 'a', 'b')", some("b")),
        ("CHOOSE(3, 'a', 'b')", None),
    ]);
}

#[test]
fn mathematics() {
    check(&[
        ("ABS(-5)", some(5)),
        ("ABS('x')", None),
        ("CEILING(1.2)", some(2)),
        ("FLOOR(-1.2)", some(-2)),
        ("ROUND(2.5)", some(3)),
        ("ROUND(-2.5)", some(-3)),
        ("TRUNC(-1.7)", some(-1)),
        ("SIGN(-3)", some(-1)),
        ("SIGN(0)", some(0)),
        ("SQRT(9)", some(3)),
        ("SQRT(-1)", None),
        ("SQUARE(3)", some(9)),
        ("POWER(2, 10)", some(1024)),
        ("EXP(0)", some(1)),
        ("LOG(1)", some(0)),
        ("LOG(0)", None),
        ("LOG10(1000)", some(3)),
        ("PI() > 3.14", some(true)),
        ("SIN(0) + COS(0)", some(1)),
        ("DEGREES(PI())", some(180)),
        ("ATN2(0, 1)", some(0)),
        ("IntDiv(7, 2)", some(3)),
        ("IntDiv(7, 0)", None),
        ("IntMod(-7, 4)", some(-3)),
        ("IntAdd(9007199254740993, 1)", some(9_007_199_254_740_994_i64)),
        ("IntAdd(1.5, 1)", None),
        ("IntMul(9223372036854775807, 2)", None),
        ("IntBitLeftShift(1, 40)", some(1_099_511_627_776_i64)),
    ]);
}

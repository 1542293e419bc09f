//! What is refused, where, and in which words; and that nothing in a text can bring the engine down.

use proptest::prelude::*;
use serde_json::json;

use super::{prepare, refusal};
use crate::query::Prepared;

#[test]
fn syntax_errors_name_their_position() {
    let cases = [
        ("", 0, "expected SELECT, found the end of the query"),
        ("SELECT", 6, "expected an expression, found the end of the query"),
        ("DELETE FROM c", 0, "expected SELECT"),
        ("SELECT * FRM c", 9, "expected the end of the query, found 'FRM'"),
        ("SELECT * FROM", 13, "expected the name of a container"),
        ("SELECT * FROM c WHERE", 21, "expected an expression"),
        ("SELECT * FROM c WHERE c.x ==  1", 27, "expected an expression, found '='"),
        ("SELECT * FROM c WHERE c.", 24, "expected a name"),
        ("SELECT * FROM c WHERE (c.x = 1", 30, "expected ')'"),
        ("SELECT * FROM c WHERE c.x = 'abc", 28, "never closed"),
        ("SELECT * FROM c /* where", 16, "never closed"),
        ("SELECT * FROM c WHERE c.x = '\\q'", 29, "escape"),
        ("SELECT * FROM c WHERE c.x = '\\ud800'", 29, "surrogate"),
        ("SELECT * FROM c WHERE c.x = 12abc", 28, "number"),
        ("SELECT * FROM c WHERE c.x = 1e999", 28, "number"),
        ("SELECT * FROM c WHERE c.x = #", 28, "unexpected character '#'"),
        ("SELECT * FROM c WHERE c.x = @", 28, "parameter needs a name"),
        ("SELECT TOP x * FROM c", 11, "whole number"),
        ("SELECT TOP 1.5 * FROM c", 11, "whole number"),
        ("SELECT TOP -1 * FROM c", 11, "whole number"),
        ("SELECT * FROM c OFFSET 1", 24, "expected LIMIT"),
        ("SELECT * FROM c ORDER c.x", 22, "expected BY"),
        ("SELECT VALUE {a: 1, a: 2} FROM c", 20, "given twice"),
        ("SELECT * FROM c;", 15, "unexpected character ';'"),
        ("SELECT * FROM c WHERE c.x IS NULL", 26, "found 'IS'"),
    ];
    for (text, position, message) in cases {
        let error = refusal(text);
        assert!(error.message.contains(message), "{text}: {error}");
        assert_eq!(error.position, Some(position), "{text}: {error}");
    }
}

#[test]
fn meaning_errors_name_their_position() {
    let cases = [
        ("SELECT * FROM c WHERE d.x = 1", 22, "unknown name 'd'; the source is named 'c'"),
        ("SELECT * FROM root r WHERE root.x = 1", 27, "unknown name 'root'"),
        ("SELECT VALUE c.x", 13, "there is no FROM clause"),
        ("SELECT *", 7, "needs a FROM clause"),
        ("SELECT * FROM c WHERE c.x = @p", 28, "no value is given for parameter '@p'"),
        ("SELECT * FROM c WHERE NOSUCH(c.x)", 22, "unknown function 'NOSUCH'"),
        ("SELECT * FROM c WHERE ABS()", 22, "ABS takes 1 arguments, not 0"),
        ("SELECT * FROM c WHERE CONTAINS(c.x)", 22, "CONTAINS takes 2 to 3 arguments"),
        ("SELECT c.id, c.id FROM c", 13, "two properties named 'id'"),
        ("SELECT TOP 1 * FROM c OFFSET 0 LIMIT 1", 29, "exclude each other"),
        ("SELECT c.x, COUNT(1) FROM c", 7, "cannot stand beside an aggregate"),
        ("SELECT * FROM c GROUP BY c.x", 7, "cannot stand beside an aggregate"),
        ("SELECT COUNT(COUNT(1)) FROM c", 13, "not within another aggregate"),
        ("SELECT * FROM c WHERE COUNT(1) > 2", 22, "can stand in SELECT only"),
        ("SELECT VALUE COUNT() FROM c", 13, "takes 1 arguments"),
        ("SELECT * FROM c ORDER BY 1", 25, "not a constant"),
        ("SELECT * FROM c WHERE c.s LIKE 'a' ESCAPE 'ab'", 42, "exactly one character"),
        ("SELECT * FROM c WHERE c.s LIKE 'a!' ESCAPE '!'", 31, "ends in its escape"),
        ("SELECT * FROM c WHERE REGEXMATCH(c.s, '(')", 38, "unusable regular expression"),
        ("SELECT * FROM c WHERE REGEXMATCH(c.s, 'a', 'q')", 38, "unknown modifier"),
    ];
    for (text, position, message) in cases {
        let error = refusal(text);
        assert!(error.message.contains(message), "{text}: {error}");
        assert_eq!(error.position, Some(position), "{text}: {error}");
    }
}

#[test]
fn what_is_not_built_says_so() {
    let cases = [
        ("SELECT * FROM c JOIN t IN c.tags", 16, "JOIN"),
        ("SELECT * FROM t IN c.tags", 16, "IN in FROM"),
        ("SELECT * FROM (SELECT * FROM c)", 14, "subquery"),
        ("SELECT * FROM c WHERE EXISTS(SELECT VALUE 1 FROM c)", 22, "EXISTS"),
        ("SELECT ARRAY(SELECT VALUE 1) FROM c", 7, "ARRAY subquery"),
        ("SELECT (SELECT VALUE 1) AS x FROM c", 8, "subquery"),
        ("SELECT * FROM c WHERE c.x IN (SELECT VALUE 1)", 30, "subquery"),
        ("SELECT VALUE udf.f(c) FROM c", 13, "user-defined function"),
        ("SELECT VALUE COUNT(1) FROM c ORDER BY c.x", 38, "ORDER BY together with aggregates"),
        ("SELECT c.x FROM c GROUP BY c.x ORDER BY c.x", 40, "ORDER BY together with aggregates"),
        ("SELECT c.x FROM c GROUP BY c.x HAVING 1 = 1", 31, "HAVING"),
        ("SELECT VALUE GetCurrentTimestamp() FROM c", 13, "GetCurrentTimestamp"),
        ("SELECT VALUE RAND() FROM c", 13, "RAND"),
        ("SELECT * FROM c WHERE ST_DISTANCE(c.a, c.b) < 1", 22, "ST_DISTANCE"),
        ("SELECT TOP 1 * FROM c ORDER BY VectorDistance(c.v, [1], false)", 31, "VectorDistance"),
        ("SELECT * FROM c ORDER BY RANK FullTextScore(c.t, 'x')", 25, "RANK"),
        ("SELECT * FROM c WHERE REGEXMATCH(c.s, c.t)", 38, "taken from the row"),
    ];
    for (text, position, message) in cases {
        let error = refusal(text);
        assert!(error.message.contains(message), "{text}: {error}");
        assert!(error.message.contains("is not supported yet"), "{text}: {error}");
        assert_eq!(error.position, Some(position), "{text}: {error}");
    }
}

#[test]
fn parameters_are_checked() {
    for (text, parameters) in [
        ("SELECT TOP @k * FROM c", json!({"@k": -1})),
        ("SELECT TOP @k * FROM c", json!({"@k": 1.5})),
        ("SELECT TOP @k * FROM c", json!({"@k": "1"})),
        ("SELECT * FROM c OFFSET @k LIMIT 1", json!({})),
    ] {
        assert!(prepare(text, &parameters).is_err(), "{text} {parameters}");
    }
    let twice = vec![("@a".to_owned(), json!(1)), ("@a".to_owned(), json!(2))];
    assert!(Prepared::new("SELECT * FROM c", twice).is_err());
}

#[test]
fn nesting_is_bounded() {
    let deep = 10_000;
    let texts = [
        format!("SELECT VALUE {}1{} FROM c", "(".repeat(deep), ")".repeat(deep)),
        format!("SELECT VALUE {}1{} FROM c", "[".repeat(deep), "]".repeat(deep)),
        format!("SELECT VALUE {}1{} FROM c", "{a:".repeat(deep), "}".repeat(deep)),
        format!("SELECT VALUE {}1 FROM c", "- ".repeat(deep)),
        format!("SELECT VALUE {} true FROM c", "NOT ".repeat(deep)),
        format!("SELECT VALUE 1{} FROM c", "+1".repeat(deep)),
        format!("SELECT VALUE {}1 FROM c", "true?1:".repeat(deep)),
        format!("SELECT VALUE 1{} FROM c", "??1".repeat(deep)),
        format!("SELECT VALUE c{} FROM c", ".a".repeat(deep)),
        format!("SELECT VALUE {}1{} FROM c", "ABS(".repeat(deep), ")".repeat(deep)),
    ];
    for text in texts {
        assert!(refusal(&text).message.contains("nests deeper"), "{}", &text[..40]);
    }
    // Long chains of AND and OR are flat, and moderate nesting is fine.
    let chain = vec!["c.x = 1"; 5000].join(" OR ");
    assert!(prepare(&format!("SELECT * FROM c WHERE {chain}"), &json!({})).is_ok());
    let nested = format!("SELECT VALUE {}1{} FROM c", "(".repeat(80), ")".repeat(80));
    assert!(prepare(&nested, &json!({})).is_ok());
}

#[test]
fn text_size_is_bounded() {
    let text = format!("SELECT VALUE '{}' FROM c", "x".repeat(300_000));
    assert!(refusal(&text).message.contains("bytes"));
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,80}") {
        for text in [text.clone(), format!("SELECT VALUE {text}"), format!("SELECT '{text}")] {
            let is_refused = prepare(&text, &json!({})).is_err();
            prop_assert!(is_refused || !text.is_empty());
        }
    }

    #[test]
    fn no_sequence_of_tokens_panics(words in prop::collection::vec(prop::sample::select(vec![
        "SELECT", "VALUE", "DISTINCT", "TOP", "*", "FROM", "c", "WHERE", "ORDER", "BY", "GROUP",
        "OFFSET", "LIMIT", "1", "'x'", "@p", "(", ")", "[", "]", "{", "}", ".", ",", ":", "?", "??",
        "AND", "OR", "NOT", "IN", "BETWEEN", "LIKE", "ESCAPE", "=", "<", "-", "||", "c.x", "COUNT",
        "ABS", "AS", "DESC", "null", "undefined",
    ]), 0..40)) {
        let text = format!("SELECT {}", words.join(" "));
        if let Ok(prepared) = prepare(&text, &json!({"@p": 1})) {
            let documents = super::candidates(&[json!({"x": 1}), json!({"x": "y"})]);
            let page = super::page(&prepared, &documents, None, super::ALL);
            prop_assert!(page.is_ok());
        }
    }
}

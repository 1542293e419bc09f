//! What is told about bodies that are not what is needed.

use std::borrow::Cow;

use serde_json::{json, value::RawValue};

use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only read")]
struct Sample<'a> {
    #[serde(borrow)]
    list: Vec<Inner<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only read")]
struct Inner<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    raw: &'a RawValue,
    count: Option<u32>,
}

fn refused(text: &str) -> (u16, String) {
    let problem = json::<Sample<'_>>(text).unwrap_err();
    let response = axum::response::IntoResponse::into_response(problem.clone());
    let errors = serde_json::to_value(problem.input_errors()).unwrap();
    (response.status().as_u16(), errors[0]["pointer"].as_str().unwrap_or("none").to_owned())
}

#[test]
fn places_are_pointers_into_the_body() {
    let fine = json!({"list": [{"name": "a", "raw": {"x": [1]}}]}).to_string();
    assert!(json::<Sample<'_>>(&fine).is_ok());
    for (text, pointer) in [
        ("[]", ""),
        ("{}", ""),
        (r#"{"list":3}"#, "/list"),
        (r#"{"list":[{"name":"a","raw":1},{"name":2,"raw":1}]}"#, "/list/1/name"),
        (r#"{"list":[{"name":"a"}]}"#, "/list/0"),
        (r#"{"list":[{"name":"a","raw":1,"count":-1}]}"#, "/list/0/count"),
        (r#"{"list":[{"name":"a","raw":1,"a/b":-1}]}"#, "/list/0/a~1b"),
    ] {
        assert_eq!(refused(text), (422, pointer.to_owned()), "{text}");
    }
}

#[test]
fn what_is_not_json_is_told_apart() {
    for text in ["", "{", "{\"list\":[}", "nothing", "{} {}"] {
        assert_eq!(refused(text).0, 400, "{text}");
    }
}

#[test]
fn what_is_told_has_no_values() {
    let told = |text: &str| {
        let problem = json::<Sample<'_>>(text).unwrap_err();
        let errors = serde_json::to_value(problem.input_errors()).unwrap();
        errors[0]["detail"].as_str().unwrap().to_owned()
    };
    for (value, detail) in [
        (r#""secret""#, "invalid type: string, expected u32"),
        (r#""a\", expected `secret`""#, "invalid type: string, expected u32"),
        (r#""secret at line 3""#, "invalid type: string, expected u32"),
        ("-4711", "invalid value: integer, expected u32"),
        ("47.11", "invalid type: floating point, expected u32"),
        ("[4711]", "invalid type: sequence, expected u32"),
    ] {
        let text = format!(r#"{{"list":[{{"name":"a","raw":1,"count":{value}}}]}}"#);
        assert_eq!(told(&text), detail, "{value}");
    }
    assert_eq!(told("{}"), "missing field `list`");
    assert!(told(r#"{"lists":1}"#).starts_with("unknown field `lists`, expected "));
}

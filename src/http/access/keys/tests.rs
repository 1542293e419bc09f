//! Which lists of keys are taken, and whose a key is.

use serde_json::{Value, json};

use super::*;

const KEY: &str = "correct-horse-battery-staple-0123456789";

fn parse(entries: &Value) -> Result<ApiKeys, AccessError> {
    ApiKeys::parse(&entries.to_string())
}

fn entry(name: &str, key: &str) -> Value {
    json!({"name": name, "key": key, "scopes": ["read"]})
}

fn key(n: usize) -> String {
    format!("{KEY}-{n}")
}

#[test]
fn a_key_is_known_by_itself_or_by_its_digest() {
    // What `printf %s KEY | sha256sum` prints.
    let hex = "7771a0cec1279f8ca878a66c694f3344b16bee8128c78b8ef5fd0656b35b02ee";
    assert_eq!(parse_digest(hex), Some(digest(KEY)));
    for secret in
        [json!({"sha256": hex}), json!({"sha256": hex.to_uppercase()}), json!({"key": KEY})]
    {
        let mut one = json!({"name": "ops", "scopes": ["read", "admin"]});
        one.as_object_mut().unwrap().extend(secret.as_object().unwrap().clone());
        let keys = parse(&json!([entry("first", &key(1)), one, entry("last", &key(2))])).unwrap();
        let caller = keys.find(KEY).unwrap();
        assert_eq!(caller.principal.as_str(), "ops");
        assert!(caller.may(Scope::Read) && caller.may(Scope::Admin) && !caller.may(Scope::Write));
        assert_eq!(keys.find(&key(1)).unwrap().principal.as_str(), "first");
        assert_eq!(keys.find(&key(2)).unwrap().principal.as_str(), "last");
        for other in ["", &KEY[1..], &format!("{KEY} "), hex, &key(3)] {
            assert_eq!(keys.find(other), None, "{other}");
        }
        assert_eq!(format!("{keys:?}"), "[\"first\", \"ops\", \"last\"]");
    }
}

#[test]
fn entries_that_cannot_be_used_are_named() {
    let scopes = json!(["read"]);
    let hex = "ab".repeat(32);
    for (entry, problem) in [
        (json!(KEY), KeyProblem::Form),
        (json!({"name": "ops", "key": KEY}), KeyProblem::Form),
        (json!({"name": "ops", "key": KEY, "scopes": KEY}), KeyProblem::Form),
        (json!({"name": "ops", "key": 7, "scopes": scopes}), KeyProblem::Form),
        (json!({"name": "ops", "key": KEY, "scopes": scopes, KEY: 1}), KeyProblem::Form),
        (json!({"name": "", "key": KEY, "scopes": scopes}), KeyProblem::Name),
        (json!({"name": "o s", "key": KEY, "scopes": scopes}), KeyProblem::Name),
        (json!({"name": "o\n", "key": KEY, "scopes": scopes}), KeyProblem::Name),
        (json!({"name": "x".repeat(129), "key": KEY, "scopes": scopes}), KeyProblem::Name),
        (json!({"name": "ops", "scopes": scopes}), KeyProblem::Secret),
        (json!({"name": "ops", "key": KEY, "sha256": hex, "scopes": scopes}), KeyProblem::Secret),
        (json!({"name": "ops", "sha256": &hex[1..], "scopes": scopes}), KeyProblem::Digest),
        (json!({"name": "ops", "sha256": "+b".repeat(32), "scopes": scopes}), KeyProblem::Digest),
        (json!({"name": "ops", "key": &KEY[..31], "scopes": scopes}), KeyProblem::Key),
        (json!({"name": "ops", "key": format!("{KEY}."), "scopes": scopes}), KeyProblem::Key),
        (json!({"name": "ops", "key": format!("{KEY} x"), "scopes": scopes}), KeyProblem::Key),
        (json!({"name": "ops", "key": "k".repeat(257), "scopes": scopes}), KeyProblem::Key),
        (json!({"name": "ops", "key": KEY, "scopes": []}), KeyProblem::NoScope),
        (json!({"name": "ops", "key": KEY, "scopes": ["read", "root"]}), KeyProblem::Scope),
        (json!({"name": "ops", "key": KEY, "scopes": ["Read"]}), KeyProblem::Scope),
        (json!({"name": "ops", "key": KEY, "scopes": ["read", "read"]}), KeyProblem::Scope),
        (self::entry("first", KEY), KeyProblem::SameName),
        (self::entry("ops", &key(1)), KeyProblem::SameKey),
    ] {
        let error = parse(&json!([self::entry("first", &key(1)), entry])).unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(error, AccessError::Key { problem: found, .. } if found == problem),
            "{text}"
        );
        assert!(text.starts_with("access key 2"), "{text}");
        assert!(!text.contains(&KEY[..8]) && !format!("{error:?}").contains(&KEY[..8]), "{text}");
        if entry["name"] == "ops" && problem != KeyProblem::Form {
            assert!(text.starts_with("access key 2 (\"ops\"): "), "{text}");
        }
    }
}

#[test]
fn a_member_that_is_there_twice_is_refused() {
    let twice = format!(r#"[{{"name":"ops","key":"{KEY}","key":"{KEY}","scopes":["read"]}}]"#);
    let error = ApiKeys::parse(&twice).unwrap_err();
    assert!(matches!(error, AccessError::Key { problem: KeyProblem::Form, .. }), "{error}");
}

#[test]
fn lists_that_are_none_are_refused() {
    for text in ["", "{}", "[", KEY, &format!("\"{KEY}\""), "[{}] x"] {
        let error = ApiKeys::parse(text).unwrap_err();
        assert!(matches!(error, AccessError::KeysForm { line: 1, .. }), "{error:?}");
        assert!(!error.to_string().contains(&KEY[..8]), "{error}");
    }
    let many: Vec<_> = (0..=ACCESS_KEYS_MAX).map(|n| entry(&format!("k{n}"), &key(n))).collect();
    assert!(parse(&json!(many[1..])).is_ok());
    for list in [json!([]), json!(many)] {
        let error = parse(&list).unwrap_err();
        assert!(matches!(error, AccessError::KeysCount { .. }), "{error:?}");
    }
}

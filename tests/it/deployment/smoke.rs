//! `scripts/smoke-test` on a service of this machine: what it tries works, and what is wrong it finds.

use std::process::{Command, Output};

use serde_json::Value;

use crate::{
    cli::program::{Place, Running},
    tidy::tree,
    tools::are_there,
};

/// With what a shell or a file of settings could take for its own.
const KEY: &str = r#"0123456789"abcdef\0123$456789'abcdef"#;

fn serve(place: &Place, more: &[&str]) -> (Running, String) {
    let keys =
        serde_json::json!([{"name": "all", "key": KEY, "scopes": ["read", "write", "admin"]}]);
    let keys = keys.to_string();
    let file = place.file("keys.json", &keys);
    let args = ["serve", "--listen", "127.0.0.1:0", "--store-port", "0", "--output", "json"];
    let access = ["--access", "keys", "--access-keys-file", &file];
    let mut serve = place.spawn(&[&args[..], &access, more].concat());
    let ready: Value = serde_json::from_str(&serve.line()).unwrap();
    let url = ready["http"].as_str().unwrap().to_owned();
    (serve, url)
}

fn smoke_test(url: &str, key: &str, wait: &str) -> (i32, String) {
    let mut command = Command::new(tree::root().join("scripts/smoke-test"));
    let output: Output = command
        .arg(url)
        .env_remove("TOKEN")
        .env("API_KEY", key)
        .env("WAIT", wait)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(key.is_empty() || !text.contains(key), "{text}");
    (output.status.code().unwrap(), text.into_owned())
}

#[test]
fn a_deployment_that_works_is_well() {
    if !are_there(&["bash", "curl"], "the smoke test") {
        return;
    }
    let place = Place::new();
    let (serve, url) = serve(&place, &[]);
    let (code, text) = smoke_test(&url, KEY, "60");
    assert_eq!(code, 0, "{text}");
    assert!(text.ends_with("all is well\n") && !text.contains("FAILED"), "{text}");
    for line in ["nobody reads without", "recognised", "read model", "lag"] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    serve.interrupt();
    assert_eq!(serve.wait().code, 0);
}

#[test]
fn a_deployment_that_does_not_work_is_found_out() {
    if !are_there(&["bash", "curl"], "the smoke test") {
        return;
    }
    let place = Place::new();
    // Without a worker nothing comes into a read model.
    let (serve, url) = serve(&place, &["--worker-to", "none"]);
    let (code, text) = smoke_test(&url, KEY, "1");
    assert!(code == 1 && text.contains("FAILED  a worker has brought them"), "{text}");
    let (code, text) = smoke_test(&url, "another-key-of-thirty-two-letters", "1");
    assert!(code == 1 && text.contains("FAILED  events are appended: 401"), "{text}");
    serve.interrupt();
    assert_eq!(serve.wait().code, 0);
    let (code, text) = smoke_test(&url, KEY, "1");
    assert!(code == 1 && text.contains("FAILED  it is alive: no answer"), "{text}");
    let (code, text) = smoke_test("nowhere", KEY, "1");
    assert!(code == 2 && text.contains("scripts/smoke-test URL"), "{text}");
}

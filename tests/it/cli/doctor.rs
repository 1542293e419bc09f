//! `doctor`, and what `serve` and `worker` refuse to start on.

use std::net::TcpListener;

use cosmos_event_store::provision;
use cosmos_local::LocalCosmos;
use serde_json::{Value, json};

use super::{
    program::{Place, Ran, program},
    stub::Stub,
};
use crate::fixture::{DATABASE, options};

/// The day at which the clock of a stub stands.
const LONG_AGO: &str = "Mon, 01 Jan 2024 00:00:00 GMT";

/// Something that answers as an account would, with the clock at a day long ago.
fn stub(status: &str, body: &Value) -> Stub {
    Stub::new(&format!("{status}\r\nDate: {LONG_AGO}"), &body.to_string())
}

/// An account with these write regions and this consistency.
fn account(regions: &[&str], consistency: &str) -> Stub {
    let locations: Vec<Value> = regions.iter().map(|name| json!({"name": name})).collect();
    let body = json!({
        "id": "stub", "writableLocations": locations, "readableLocations": locations,
        "enableMultipleWriteLocations": regions.len() > 1,
        "userConsistencyPolicy": {"defaultConsistencyLevel": consistency},
    });
    stub("200 OK", &body)
}

fn run(args: &[&str]) -> Ran {
    let output = program(args).output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn doctor(endpoint: &str, more: &[&str]) -> (i32, Vec<Value>) {
    let args = ["doctor", "--endpoint", endpoint, "--database", DATABASE, "--output", "json"];
    let args: Vec<&str> = args.iter().chain(more).copied().collect();
    let ran = run(&args);
    let found = ran.json().as_array().unwrap().clone();
    (ran.code, found)
}

/// The state of a check.
fn state<'v>(found: &'v [Value], check: &str) -> &'v str {
    let one = found.iter().find(|one| one["check"] == check).unwrap();
    let is_mended = one["mend"].as_str().is_some_and(|mend| !mend.is_empty());
    let state = one["state"].as_str().unwrap();
    assert_eq!(is_mended, matches!(state, "failed" | "warning"), "{one}");
    state
}

#[test]
fn a_store_in_a_folder_is_well() {
    let place = Place::with_sample();
    let ran = place.run(&["doctor"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    for check in
        ["endpoint", "identity", "write regions", "consistency", "clock", "containers", "documents"]
    {
        let is_it = |line: &str| line.starts_with("ok") && line.contains(check);
        assert!(ran.out.lines().any(is_it), "{check}: {}", ran.out);
    }
    // It is no place where something is made.
    let place = Place::new();
    place.run(&["doctor"]).failed(2, "there is no data folder");
    assert!(!place.data_dir().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_found_and_not_made() {
    let endpoint = LocalCosmos::builder().ephemeral().start().await.unwrap();
    let url = endpoint.endpoint().to_owned();
    let asked = url.clone();
    let ask = move || doctor(&asked, &[]);
    let (code, found) = tokio::task::spawn_blocking(ask.clone()).await.unwrap();
    assert_eq!(code, 1);
    assert_eq!(state(&found, "containers"), "failed");
    assert_eq!(state(&found, "documents"), "skipped");
    let (again, _) = tokio::task::spawn_blocking(ask.clone()).await.unwrap();
    assert_eq!(again, 1, "the doctor has made the containers");
    provision(&options(&url)).await.unwrap();
    let (code, found) = tokio::task::spawn_blocking(ask).await.unwrap();
    assert_eq!(code, 0, "{found:?}");
    assert!(found.iter().all(|one| one["state"] == "ok"), "{found:?}");
    endpoint.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_told_from_an_endpoint_that_is_not_there() {
    let endpoint = LocalCosmos::builder().ephemeral().start().await.unwrap();
    let url = endpoint.endpoint().to_owned();
    let ask = move || doctor(&url, &["--key", "d3JvbmcgLSB3cm9uZyAtIHdyb25nIC0gd3Jvbmc="]);
    let (code, found) = tokio::task::spawn_blocking(ask).await.unwrap();
    assert_eq!(code, 1);
    assert_eq!((state(&found, "endpoint"), state(&found, "identity")), ("ok", "failed"));
    endpoint.shutdown().await.unwrap();

    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let (code, found) = doctor(&url, &[]);
    assert_eq!(code, 1);
    assert_eq!((state(&found, "endpoint"), state(&found, "identity")), ("failed", "skipped"));
    assert_eq!(state(&found, "containers"), "skipped");
}

#[test]
fn an_account_that_could_lose_events_is_named_and_not_started_on() {
    for (stub, wrong) in [
        (account(&["West Europe", "North Europe"], "Session"), "write regions"),
        (account(&["West Europe"], "Eventual"), "consistency"),
    ] {
        let endpoint = stub.endpoint();
        let (code, found) = doctor(&endpoint, &[]);
        assert_eq!((code, state(&found, wrong)), (1, "failed"));
        // Its clock stands still.
        assert_eq!(state(&found, "clock"), "failed");
        for command in ["serve", "worker", "provision"] {
            let ran = run(&[command, "--endpoint", &endpoint]);
            ran.failed(1, "the account is not for an event store");
        }
    }
}

#[test]
fn what_is_no_account_is_said_to_be_none() {
    for (status, body) in
        [("200 OK", json!({"hello": 1})), ("404 Not Found", json!({})), ("302 Found", json!({}))]
    {
        let stub = stub(status, &body);
        let (code, found) = doctor(&stub.endpoint(), &[]);
        assert_eq!((code, state(&found, "endpoint")), (1, "failed"), "{status}");
    }
}

#[test]
fn a_region_that_the_account_has_not_is_a_warning() {
    let stub = account(&["West Europe"], "Session");
    let (_, found) = doctor(&stub.endpoint(), &["--region", "East Asia"]);
    assert_eq!(state(&found, "region"), "warning");
}

#[test]
fn a_clock_for_which_requests_are_refused_is_found() {
    let stub = stub("403 Forbidden", &json!({}));
    let (code, found) = doctor(&stub.endpoint(), &[]);
    assert_eq!((code, state(&found, "identity")), (1, "failed"));
    assert_eq!(state(&found, "clock"), "failed");
    let identity = found.iter().find(|one| one["check"] == "identity").unwrap();
    assert!(identity["mend"].as_str().unwrap().contains("firewall"), "{identity}");
}

#[test]
fn an_account_that_is_busy_is_not_said_to_be_none() {
    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        let stub = stub(status, &json!({}));
        let (code, found) = doctor(&stub.endpoint(), &[]);
        assert_eq!((code, state(&found, "endpoint")), (1, "failed"), "{status}");
        let endpoint = found.iter().find(|one| one["check"] == "endpoint").unwrap();
        assert!(endpoint["mend"].as_str().unwrap().starts_with("ask again"), "{endpoint}");
    }
}

#[test]
fn an_answer_without_an_end_is_not_held() {
    let body = json!({"id": "x".repeat(8 * 1024 * 1024), "userConsistencyPolicy": {"defaultConsistencyLevel": "Session"}});
    let stub = stub("200 OK", &body);
    let (code, found) = doctor(&stub.endpoint(), &[]);
    assert_eq!((code, state(&found, "endpoint")), (1, "failed"));
}

#[test]
fn a_proxy_of_the_environment_is_not_asked_for_what_is_on_this_machine() {
    let stub = account(&["West Europe"], "Session");
    let output = program(&["doctor", "--endpoint", &stub.endpoint(), "--output", "json"])
        .env("HTTP_PROXY", "http://127.0.0.1:9")
        .env("http_proxy", "http://127.0.0.1:9")
        .env("AZURE_COSMOS_CONNECTION_POOL_IS_PROXY_ALLOWED", "true")
        .output()
        .unwrap();
    let found: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(state(&found, "endpoint"), "ok");
}

#[cfg(unix)]
#[test]
fn whoever_waits_for_an_account_that_does_not_answer_stops_when_told() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    for command in ["serve", "worker"] {
        let mut running = program(&[command, "--endpoint", &endpoint]).spawn().unwrap();
        // It asks now, and is not answered.
        let (_asking, _) = silent.accept().unwrap();
        let id = running.id().to_string();
        assert!(std::process::Command::new("kill").arg(&id).status().unwrap().success());
        // Whoever waits on says in the end that the account does not answer.
        assert_eq!(running.wait().unwrap().code(), Some(0), "{command}");
    }
}

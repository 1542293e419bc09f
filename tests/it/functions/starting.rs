//! The handler before it has a store, and handlers that must not be.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use cosmos_local::LocalCosmos;
use serde_json::{Value, json};

use super::{
    app::App,
    encode::{Rewrite, documents},
};
use crate::cli::program::program;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_listens_before_it_has_a_store() {
    let app = App::new().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let endpoint = format!("http://127.0.0.1:{port}/");
    let host = app.host_with(&[("COSMOS_ES_ENDPOINT", &endpoint)]);
    host.start().await;
    let get = async |path: &str| host.client.get(host.url(path)).send().await.unwrap();
    let alive = get("/").await;
    assert_eq!(
        (alive.status().as_u16(), alive.text().await.unwrap().as_str()),
        (200, "{\"status\":\"alive\"}")
    );
    assert_eq!(get("/healthz").await.status(), 200);
    for path in ["/streams", "/readyz", "/nothing"] {
        let early = get(path).await;
        assert_eq!(early.status(), 503, "{path}");
        assert_eq!(early.headers()["retry-after"], "2");
        assert_eq!(early.headers()["content-type"], "application/problem+json");
        let problem: Value = serde_json::from_str(&early.text().await.unwrap()).unwrap();
        assert_eq!(problem["type"], "/problems/not-ready");
    }
    // A trigger waits for the store, which comes while it does.
    let starting = LocalCosmos::builder().ephemeral().port(port).start();
    let waking = host.invoke("wakeup", documents(&[json!({"id": "e"})], Rewrite::Nothing));
    let (started, woken) = tokio::join!(starting, waking);
    assert_eq!(woken.unwrap().value["isCaughtUp"], true);
    assert_eq!(get("/readyz").await.status(), 200);
    assert_eq!(get("/nothing").await.status(), 404);
    assert!(host.stop().await.success());
    drop(started);
}

#[test]
fn what_cannot_be_served_is_refused() {
    let local = ["functions", "--endpoint", "http://127.0.0.1:1"];
    let run = |args: &[&str], port: Option<&str>| {
        let mut command = program(args);
        command.env_remove("FUNCTIONS_CUSTOMHANDLER_PORT");
        command.envs(port.map(|port| ("FUNCTIONS_CUSTOMHANDLER_PORT", port)));
        let output = command.output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let refused = |args: &[&str], port: Option<&str>, text: &str| {
        let (code, said) = run(args, port);
        assert!(code == 2 && said.contains(text), "{code} {said}");
    };
    refused(&local, None, "FUNCTIONS_CUSTOMHANDLER_PORT is not set");
    for wrong in ["", "0", "http", "70000"] {
        refused(&local, Some(wrong), "which is no port");
    }
    refused(&["functions", "--port", "0"], None, "functions need --endpoint");
    let account = "https://my-account.documents.azure.com";
    refused(
        &["functions", "--port", "0", "--endpoint", account],
        None,
        "the functions let everybody in",
    );
    for seconds in ["1", "14", "241"] {
        let args = [&local[..], &["--port", "0", "--pump-seconds", seconds]].concat();
        refused(&args, None, "15..=240");
    }
    refused(
        &[&local[..], &["--port", "0", "--instance", ""]].concat(),
        None,
        "name of an instance",
    );
}

#[test]
fn it_says_where_it_listens() {
    let args =
        ["functions", "--port", "0", "--endpoint", "http://127.0.0.1:1", "--instance", "one"];
    let mut command = program(&[&args[..], &["--output", "json"]].concat());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let said: Value = serde_json::from_str(&line).unwrap();
    assert!(said["http"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{said}");
    assert_eq!((&said["store"], &said["instance"]), (&json!("http://127.0.0.1:1"), &json!("one")));
    // It ends in order while it still tries to reach its store.
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(child.wait().unwrap().success());
}

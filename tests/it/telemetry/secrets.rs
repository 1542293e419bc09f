//! What is never told: what events hold, keys and tokens.
//!
//! Real processes do what there is to be done, with everything logged that can be. Each secret has a marker in it, and
//! none may turn up in a log, in a figure, in a lag or in what is exported.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::until;
use crate::cli::program::{program, read};

/// What every secret has in it.
const MARKER: &str = "Zq7Marked";
/// What `tracestate` has in it, which is for those who collect traces, and for nobody else.
const STATE: &str = "Zq7Traced";
/// Other forms of secrets, which the SDK makes of the key of the account: a signature, as it is sent.
const SIGNATURES: [&str; 2] = ["sig%3D", "sig="];
const ENDED: &str = "the worker has stopped";

/// A secret.
fn marked(what: &str) -> String {
    format!("{MARKER}-{what}")
}

/// The key of the account, in which the marker survives base64.
fn account_key() -> String {
    let mut key = BASE64_STANDARD.decode(MARKER.repeat(8)).unwrap();
    key.resize(64, 7);
    BASE64_STANDARD.encode(key)
}

/// A key of the API, with every scope.
fn api_key() -> String {
    marked("api-key-that-is-long-enough-to-be-one")
}

/// Where everything is, and what everything has said.
struct Scene {
    folder: TempDir,
    endpoint: String,
    form: &'static str,
    told: Vec<(String, String)>,
    #[cfg(feature = "otlp")]
    collector: super::collector::Collector,
}

/// A process, and where it logs.
struct Process {
    child: Child,
    first: Value,
    log: String,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _killed = self.child.kill().is_ok();
        let _waited = self.child.wait().is_ok();
    }
}

impl Scene {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = program(args);
        command.env("COSMOS_ES_LOG", "trace").env("COSMOS_ES_LOG_FORMAT", self.form);
        command.env("COSMOS_ES_KEY", account_key()).env("NO_COLOR", "1");
        if !self.endpoint.is_empty() {
            command.env("COSMOS_ES_ENDPOINT", &self.endpoint);
        }
        #[cfg(feature = "otlp")]
        command.env("COSMOS_ES_OTLP_ENDPOINT", self.collector.endpoint());
        command.env("OTEL_METRIC_EXPORT_INTERVAL", "100").stdin(Stdio::null());
        command
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Starts a process that goes on, and waits for the line that it says first.
    fn start(&self, name: &str, args: &[&str], variables: &[(&str, String)]) -> Process {
        let log = self.path(name);
        let mut command = self.command(&[args, &["--output", "json"]].concat());
        command.envs(variables.iter().map(|(name, value)| (*name, value)));
        command.stdout(Stdio::piped()).stderr(File::create(&log).unwrap());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let first = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{}", read(&log)));
        Process { child, first, log }
    }

    /// Ends a process, and notes what it has logged.
    fn end(&mut self, name: &str, mut process: Process) {
        let pid = process.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(process.child.wait().unwrap().success(), "{}", read(&process.log));
        let log = read(&process.log);
        assert!(name == "local" || log.len() > 1000, "{name} logs next to nothing: {log}");
        self.told.push((name.to_owned(), log));
        self.told.push((format!("the first line of {name}"), process.first.to_string()));
    }

    /// Runs a command, and notes what it logs and, where that is no event, what it says.
    fn run(&mut self, args: &[&str], has_events: bool) {
        let output = self.command(args).output().unwrap();
        let (out, err) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
        let (out, err) = (out.unwrap(), err.unwrap());
        assert!(!err.is_empty(), "{args:?} logs nothing");
        self.told.push((format!("the log of {args:?}"), err));
        if !has_events {
            self.told.push((format!("what {args:?} says"), out));
        }
    }

    fn new(form: &'static str) -> (Self, Process) {
        let mut scene = Self {
            folder: tempfile::tempdir().unwrap(),
            endpoint: String::new(),
            form,
            told: Vec::new(),
            #[cfg(feature = "otlp")]
            collector: super::collector::Collector::start(),
        };
        let mut local = scene.start("local", &["local", "--ephemeral", "--port", "0"], &[]);
        local.first["endpoint"].as_str().unwrap().clone_into(&mut scene.endpoint);
        assert_eq!(local.first["key"], account_key());
        // It is there to tell the key; only its log is not.
        local.first = Value::Null;
        scene.run(&["provision"], false);
        (scene, local)
    }

    /// No secret may be in what was told.
    #[track_caller]
    fn check(&self) {
        for (what, text) in &self.told {
            for secret in [MARKER, STATE, &account_key()].into_iter().chain(SIGNATURES) {
                let found = text.lines().find(|line| line.contains(secret));
                assert_eq!(found, None, "{what} has a secret in it");
            }
        }
        for (what, log) in &self.told {
            let found = log.lines().find(|line| is_foreign_detail(line));
            assert_eq!(found, None, "{what} has what a library says beyond info");
        }
        #[cfg(feature = "otlp")]
        {
            let sent = self.collector.bytes();
            assert!(sent.len() > 2, "next to nothing was exported");
            let has =
                |body: &Vec<u8>| body.windows(MARKER.len()).any(|part| part == MARKER.as_bytes());
            assert!(!sent.iter().any(has), "a secret was exported");
        }
    }
}

/// Whether a line of a log, in either form, is one of a library and of less weight than info. Nobody promises what is in
/// such lines, so that today's have no secret proves nothing.
fn is_foreign_detail(line: &str) -> bool {
    let (level, target) = if let Ok(line) = serde_json::from_str::<Value>(line) {
        (line["level"].to_string(), line["target"].to_string())
    } else {
        (line.split_whitespace().nth(1).unwrap_or_default().to_owned(), line.to_owned())
    };
    let is_own = ["cosmos_event_store::", "cosmos_local::"].iter().any(|own| target.contains(own));
    ["DEBUG", "TRACE"].contains(&level.trim_matches('"')) && !is_own
}

/// A receiver that refuses every delivery, so that streams are parked.
fn refusing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook?code={}", listener.local_addr().unwrap(), marked("url-code"));
    thread::spawn(move || {
        for connection in listener.incoming() {
            let connection = connection.unwrap();
            thread::spawn(move || refuse(connection));
        }
    });
    url
}

fn refuse(connection: TcpStream) {
    let mut reader = BufReader::new(connection);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let answer = format!("HTTP/1.1 400 No\r\nx: {MARKER}\r\ncontent-length: {length}\r\n\r\n");
        let answer = [answer.as_bytes(), &body].concat();
        if reader.get_mut().write_all(&answer).is_err() {
            return;
        }
    }
}

/// Asks the service.
async fn ask(process: &Process, method: Method, path: &str, body: Value, key: &str) -> String {
    let url = format!("{}{path}", process.first["http"].as_str().unwrap());
    let request = Client::new().request(method, url).bearer_auth(key);
    let request = request.header("tracestate", format!("a={STATE}"));
    let request =
        request.header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let request = match body {
        Value::Null => request,
        body => request.header("content-type", "application/json").body(body.to_string()),
    };
    request.send().await.unwrap().text().await.unwrap()
}

/// Has the service do what it can, and what it cannot.
async fn use_the_service(serve: &Process) {
    let post =
        async |path: &str, body: Value| ask(serve, Method::POST, path, body, &api_key()).await;
    let get = async |path: &str| ask(serve, Method::GET, path, Value::Null, &api_key()).await;
    let event = json!({
        "type": "Tested", "data": {"secret": marked("data"), marked("name"): 1},
        "metadata": {"custom": {"secret": marked("custom")}, "correlationId": marked("correlation")},
    });
    let stored = post("/streams/s-1/events", json!({"events": [event]})).await;
    assert!(stored.contains("appended"), "{stored}");
    let conflicting = json!({"events": [event], "expected": {"version": 9}});
    post("/streams/s-1/events", conflicting).await;
    post(
        "/streams/s-1/events",
        json!({"events": [{"type": "T", "data": marked("d"), "x": marked("x")}]}),
    )
    .await;
    post("/streams/s-1/events", json!(marked("no order"))).await;
    let quote = post("/quotes", json!({"quoteId": "q-1", "product": marked("product")})).await;
    assert!(quote.contains("appended"), "{quote}");
    let contact = json!({"firstName": marked("first"), "lastName": marked("last"),
                         "email": format!("{}@example.com", marked("mail")), "phone": "+91 98450 12345"});
    let contact = post("/quotes/q-1/contact", contact).await;
    assert!(contact.contains("appended"), "{contact}");
    post("/quotes/q-1/contact", json!({"firstName": 7, marked("field"): marked("value")})).await;
    post("/quotes/q-1/reject", json!({"reason": marked("reason")})).await;
    for path in
        ["/streams/s-1/events", "/quotes/q-1", "/quotes/bad-1", "/quotes/bad-2", "/feed?limit=5"]
    {
        get(path).await;
    }
    get(&format!("/streams?code={}", marked("query"))).await;
    get(&format!("/read-models/{}/views", marked("path"))).await;
    ask(serve, Method::GET, "/streams", Value::Null, &marked("a-key-that-is-not-one-of-those"))
        .await;
    ask(serve, Method::GET, "/streams", Value::Null, &format!("{0}.{0}.{0}", marked("token")))
        .await;
}

/// A log with events that its projections cannot read.
fn log_of_events() -> String {
    let line = |stream: &str, number: u64, kind: &str, data: Value| {
        let line = json!({"aggregateId": stream, "sequenceNumber": number, "type": kind, "time": "2026-01-01T00:00:00Z",
                          "data": data, "metadata": {"custom": {"secret": marked("imported")}}});
        format!("{line}\n")
    };
    let started = |stream: &str| line(stream, 1, "QuoteInitiated", json!({"product": marked("p")}));
    let bad = json!({"dependants": marked("number"), "children": 0, "childAges": []});
    [
        started("bad-1"),
        line("bad-1", 2, "FamilyDetailsSet", bad),
        started("bad-2"),
        line("bad-2", 2, "QuoteRejected", json!({marked("name"): marked("value")})),
        line("bad-3", 1, "QuoteExpired", json!(marked("text"))),
    ]
    .concat()
}

async fn nothing_is_told(form: &'static str) {
    let (mut scene, local) = Scene::new(form);
    let log = scene.path("log.jsonl");
    std::fs::write(&log, log_of_events()).unwrap();
    scene.run(&["import", &log], false);
    let keys = json!([{"name": "all", "key": api_key(), "scopes": ["read", "write", "admin"]}]);
    let keys =
        [("COSMOS_ES_ACCESS", "keys".to_owned()), ("COSMOS_ES_ACCESS_KEYS", keys.to_string())];
    let serve = scene.start("serve", &["serve", "--listen", "127.0.0.1:0"], &keys);
    let hook = refusing();
    let args = ["worker", "--processor", "hooks", "--metrics", "127.0.0.1:0", "--to", &hook];
    let worker = scene.start("worker", &args, &[]);
    use_the_service(&serve).await;
    let data = json!({"secret": marked("appended")}).to_string();
    let metadata = json!({"custom": {"secret": marked("appended")}}).to_string();
    scene.run(&["append", "s-2", "--type", "T", "--data", &data, "--metadata", &metadata], false);
    until("the streams of the worker are parked", async || {
        let output =
            scene.command(&["parked", "--processor", "hooks", "--output", "json"]).output();
        let parked: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap_or(json!([]));
        parked.as_array().unwrap().len() >= 6
    })
    .await;
    until("a stream of the read models is parked", async || {
        let figures = ask(&serve, Method::GET, "/metrics", Value::Null, &api_key()).await;
        let parked =
            figures.lines().filter(|line| line.starts_with("cosmos_es_feed_parked_streams{"));
        let parked: Vec<&str> = parked.filter(|line| !line.ends_with(" 0")).collect();
        !parked.is_empty()
    })
    .await;
    for path in ["/metrics", "/lag", "/readyz"] {
        let answer = ask(&serve, Method::GET, path, Value::Null, &api_key()).await;
        assert!(!answer.is_empty());
        scene.told.push((path.to_owned(), answer));
    }
    let figures = reqwest::get(worker.first["metrics"].as_str().unwrap()).await.unwrap();
    scene.told.push(("/metrics of the worker".to_owned(), figures.text().await.unwrap()));
    for processor in ["hooks", "quote-details@1"] {
        scene.run(&["parked", "--processor", processor], false);
    }
    for args in [&["doctor"][..], &["stats"], &["lag", "--processor", "hooks"], &["projections"]] {
        scene.run(args, false);
    }
    let shown = [&keys[..], &[("COSMOS_ES_WORKER_TO", hook)]].concat();
    let mut command = scene.command(&["config", "show"]);
    let output = command.envs(shown.iter().map(|(name, value)| (*name, value))).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    scene.told.push(("config show".to_owned(), String::from_utf8(output.stdout).unwrap()));
    for args in [&["read", "s-1"][..], &["export", "--output", "json"]] {
        scene.run(args, true);
    }
    scene.end("worker", worker);
    scene.end("serve", serve);
    assert!(scene.told.iter().any(|(name, log)| name == "serve" && log.contains(ENDED)));
    scene.end("local", local);
    scene.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_logs_figures_and_traces() {
    nothing_is_told("text").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_logs_for_programs() {
    nothing_is_told("json").await;
}

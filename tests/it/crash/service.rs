//! `cosmos-es serve`, killed under HTTP load.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use reqwest::Client;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Luck, program::Program};

/// Clients of each kind: those that append events, and those that give commands.
const CLIENTS: u64 = 4;
/// Kills in the test.
const ROUNDS: u64 = 4;

/// A request that stores one event, which has the marker in it.
#[derive(Clone)]
struct Attempt {
    stream: String,
    path: String,
    key: String,
    body: Value,
    marker: String,
    /// Where the service said that the event is.
    told: Option<u64>,
}

impl Attempt {
    fn append(stream: &str, marker: String) -> Self {
        let event = json!({"type": "Tested", "data": {"marker": marker}});
        Self::new(stream, format!("/streams/{stream}/events"), json!({"events": [event]}), marker)
    }

    fn initiate(quote: &str, marker: String) -> Self {
        let body = json!({"quoteId": quote, "product": marker});
        Self::new(quote, "/quotes".to_owned(), body, marker)
    }

    fn contact(quote: &str, marker: String) -> Self {
        let body = json!({
            "firstName": "Asha", "lastName": marker, "email": "a@example.com", "phone": "9845012345"
        });
        Self::new(quote, format!("/quotes/{quote}/contact"), body, marker)
    }

    fn new(stream: &str, path: String, body: Value, marker: String) -> Self {
        let (stream, key) = (stream.to_owned(), marker.clone());
        Self { stream, path, key, body, marker, told: None }
    }

    /// Sends it; nothing when no answer comes, because the service is dead.
    async fn send(&self, client: &Client, base: &str) -> Option<(u16, Value)> {
        let request = client.post(format!("{base}{}", self.path));
        let request = request.header("content-type", "application/json");
        let request = request.header("idempotency-key", &self.key).body(self.body.to_string());
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        // An answer that is cut off is no answer.
        let body = serde_json::from_slice(&answer.bytes().await.ok()?).ok()?;
        Some((status, body))
    }
}

/// A running service that the last of so many acknowledgements kills.
struct Load {
    base: String,
    program: Mutex<Program>,
    left: AtomicU64,
    killed: CancellationToken,
}

impl Load {
    fn acknowledge(&self) {
        let count = |left: u64| left.checked_sub(1);
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count) == Ok(1) {
            self.program.lock().unwrap().kill();
            self.killed.cancel();
        }
    }

    /// Sends one request after the other until the service is dead.
    async fn run(&self, name: String, is_quote: bool) -> Vec<Attempt> {
        let client = Client::new();
        let mut attempts = Vec::new();
        for number in 0.. {
            let marker = format!("{name}-{number}");
            let mut attempt = match number {
                _ if !is_quote => Attempt::append(&name, marker),
                0 => Attempt::initiate(&name, marker),
                _ => Attempt::contact(&name, marker),
            };
            // An answer that came counts, even if the service is dead by now.
            let answer = tokio::select! {
                biased;
                answer = attempt.send(&client, &self.base) => answer,
                () = self.killed.cancelled() => None,
            };
            if let Some((status, body)) = &answer {
                assert!(matches!(status, 200 | 201), "{status}: {body}");
                attempt.told = body["first"].as_u64();
                assert!(attempt.told.is_some(), "{body}");
            }
            attempts.push(attempt);
            if answer.is_none() {
                assert_eq!(self.left.load(Ordering::SeqCst), 0, "no answer before the kill");
                break;
            }
            self.acknowledge();
        }
        attempts
    }
}

/// Starts the service on the folder.
fn serve(folder: &Path) -> (Program, String) {
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--store-port", "0"];
    let mut program = Program::start(folder, &arguments);
    let base = program.ready_at("http");
    (program, base)
}

/// The markers in a stream, in order.
async fn markers(client: &Client, base: &str, stream: &str) -> Vec<String> {
    let answer = client.get(format!("{base}/streams/{stream}/events?limit=1000")).send().await;
    let page: Value = serde_json::from_slice(&answer.unwrap().bytes().await.unwrap()).unwrap();
    assert!(page["next"].is_null(), "{stream} is longer than a page");
    let events = page["events"].as_array().cloned().unwrap_or_default();
    let numbers: Vec<_> = events.iter().map(|event| event["sequenceNumber"].clone()).collect();
    assert_eq!(numbers, (1..=events.len()).map(Value::from).collect::<Vec<_>>(), "{stream}");
    let marker = |event: &Value| {
        let data = &event["data"];
        let fields = ["marker", "product", "lastName"].map(|name| &data[name]);
        fields.iter().find_map(|field| field.as_str()).unwrap().to_owned()
    };
    events.iter().map(marker).collect()
}

/// What was acknowledged is where the service said, once; what is there, somebody has sent.
async fn check(client: &Client, base: &str, attempts: &[Attempt]) {
    let mut streams: BTreeMap<&str, Vec<&Attempt>> = BTreeMap::new();
    for attempt in attempts {
        streams.entry(&attempt.stream).or_default().push(attempt);
    }
    for (stream, attempts) in streams {
        let stored = markers(client, base, stream).await;
        let unique: BTreeSet<_> = stored.iter().collect();
        assert_eq!(unique.len(), stored.len(), "{stream}: an event is stored twice");
        for attempt in &attempts {
            if let Some(told) = attempt.told {
                let there = stored.get(usize::try_from(told).unwrap() - 1);
                assert_eq!(there, Some(&attempt.marker), "{stream}: not at {told}");
            }
        }
        let sent: BTreeSet<_> = attempts.iter().map(|attempt| &attempt.marker).collect();
        assert!(unique.is_subset(&sent), "{stream} has what nobody has sent");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_of_the_service_under_load_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut luck = Luck::new();
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut unanswered = 0;
    for round in 0..=ROUNDS {
        let (program, base) = serve(folder.path());
        let client = Client::new();
        check(&client, &base, &attempts).await;
        for attempt in attempts.iter_mut().filter(|attempt| attempt.told.is_none()) {
            let (status, body) = attempt.send(&client, &base).await.unwrap();
            assert!(matches!(status, 200 | 201), "{status}: {body}");
            attempt.told = body["first"].as_u64();
        }
        check(&client, &base, &attempts).await;
        assert!(attempts.iter().all(|attempt| attempt.told.is_some()));
        if round == ROUNDS {
            break;
        }
        let load = Arc::new(Load {
            base,
            program: Mutex::new(program),
            left: AtomicU64::new(20 + luck.below(100)),
            killed: CancellationToken::new(),
        });
        let mut clients = JoinSet::new();
        for number in 0..2 * CLIENTS {
            let load = Arc::clone(&load);
            let (is_quote, name) = (number % 2 == 0, format!("r{round}c{number}"));
            clients.spawn(async move { load.run(name, is_quote).await });
        }
        let sent: Vec<_> = clients.join_all().await.into_iter().flatten().collect();
        unanswered += sent.iter().filter(|attempt| attempt.told.is_none()).count();
        attempts.extend(sent);
    }
    assert!(unanswered > 0, "no kill came between a request and its answer");
}

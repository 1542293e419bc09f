//! What `docs/http.md` says about the service, against a service that runs.

use std::{collections::BTreeMap, time::Duration};

use cosmos_event_store::{
    http::{Service, ServiceOptions, limits},
    store::CONTINUATION_BYTES_MAX,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    markdown::{code_words, table},
    tree,
};
use crate::fixture::Fixture;

const DOCUMENT: &str = "docs/http.md";
const ACCESS_DOCUMENT: &str = "docs/access.md";

/// A service for one test. Its clients come to it by `base`.
struct Served {
    base: String,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
    /// Keeps the store.
    _fixture: Fixture,
}

impl Served {
    async fn new() -> Self {
        let fixture = Fixture::with(|store| store).await;
        let options = ServiceOptions::default().with_listen("127.0.0.1:0".parse().unwrap());
        let service = Service::bind(fixture.store.clone(), options).await.unwrap();
        let base = format!("http://{}", service.address());
        let stop = CancellationToken::new();
        let serve = service.serve(stop.clone());
        let serving = tokio::spawn(async move { serve.await.unwrap() });
        Self { base, stop, serving, _fixture: fixture }
    }

    async fn get(&self, path: &str) -> Value {
        let answer = reqwest::get(format!("{}{path}", self.base)).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    async fn end(self) {
        self.stop.cancel();
        self.serving.await.unwrap();
    }
}

/// Two columns of a table, in the order of the first one. Code and text count alike.
fn columns(heading: &str) -> BTreeMap<String, String> {
    let rows = table(tree::file(DOCUMENT), heading);
    let plain = |cell: &str| cell.replace('`', "");
    let columns: BTreeMap<_, _> = rows.iter().map(|row| (plain(row[0]), plain(row[1]))).collect();
    assert_eq!(columns.len(), rows.len(), "{DOCUMENT}: a row of {heading:?} is there twice");
    columns
}

/// The names of all types of problems, from where they are defined.
fn slugs() -> Vec<&'static str> {
    let sources = tree::rust().filter(|file| file.path.starts_with("src/http/"));
    let lines = sources.flat_map(|file| file.text.lines());
    let slugs = lines.filter_map(|line| line.trim().strip_prefix("slug: \"")?.strip_suffix("\","));
    let mut slugs: Vec<_> = slugs.collect();
    slugs.sort_unstable();
    slugs
}

#[tokio::test]
async fn problems_are_documented_as_they_are_served() {
    let documented = columns("## Problems");
    assert_eq!(documented.keys().collect::<Vec<_>>(), slugs());
    let served = Served::new().await;
    for (slug, status) in documented {
        let explained = served.get(&format!("/problems/{slug}")).await;
        assert_eq!(explained["status"].to_string(), status, "{slug}");
    }
    served.end().await;
}

#[tokio::test]
async fn routes_are_documented_as_they_are_described() {
    let documented: Vec<String> = columns("## Routes").into_keys().collect();
    let served = Served::new().await;
    let description = served.get("/openapi.json").await;
    let mut described = Vec::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        let methods = methods.as_object().unwrap().keys();
        described.extend(methods.map(|method| format!("{} {path}", method.to_uppercase())));
    }
    described.sort_unstable();
    assert_eq!(documented, described);
    served.end().await;
}

#[test]
fn limits_are_documented_as_they_are() {
    let seconds = |time: Duration| time.as_secs().to_string();
    let page = (limits::PAGE_LIMIT_DEFAULT, limits::PAGE_LIMIT_MAX);
    for (begin, value) in [
        ("bytes of a body", limits::BODY_BYTES_MAX.to_string()),
        ("seconds that a body may", seconds(limits::BODY_TIME_MAX)),
        ("seconds that a connection", seconds(limits::IDLE_TIME_MAX)),
        ("seconds that the store", seconds(limits::STORE_TIME_MAX)),
        ("requests in flight", limits::REQUESTS_MAX.to_string()),
        ("connections", limits::CONNECTIONS_MAX.to_string()),
        ("entries of a page", page.0.to_string()),
        ("most entries of a page", page.1.to_string()),
        ("seconds that a request for the feed", seconds(limits::FEED_WAIT_MAX)),
        ("readers of the feed", limits::FEEDS_MAX.to_string()),
        ("seconds until a comment", seconds(limits::FEED_BEAT)),
        ("bytes of a token", CONTINUATION_BYTES_MAX.to_string()),
        ("characters of an Idempotency-Key", limits::IDEMPOTENCY_KEY_CHARS_MAX.to_string()),
        ("seconds that a read waits", seconds(limits::WAIT_TIME_DEFAULT)),
        ("most seconds that a read waits", seconds(limits::WAIT_TIME_MAX)),
        ("seconds that requests", seconds(limits::DRAIN_TIME_MAX)),
    ] {
        let rows = columns("## Limits");
        let found = rows.iter().find(|(name, _)| name.starts_with(begin));
        assert_eq!(found.map(|(_, stated)| stated.as_str()), Some(value.as_str()), "{begin}");
    }
}

#[test]
fn limits_of_access_are_documented_as_they_are() {
    let rows = table(tree::file(ACCESS_DOCUMENT), "### The key set");
    let found: Vec<&str> = rows.iter().map(|row| row[1]).collect();
    let hours = |time: Duration| format!("{} hours", time.as_secs() / 3600);
    let every = |time: Duration| format!("every {} seconds", time.as_secs());
    let fetch = (limits::KEY_SET_TIME_MAX.as_secs(), limits::KEY_SET_BYTES_MAX);
    let expected = [
        hours(limits::KEY_SET_FRESH),
        hours(limits::KEY_SET_USABLE_MAX),
        every(limits::KEY_SET_PAUSE),
        every(limits::KEY_SET_RETRY_AFTER),
        format!("{} seconds, {} bytes", fetch.0, fetch.1),
    ];
    assert_eq!(found, expected);
    let text = &tree::file(ACCESS_DOCUMENT).text;
    let key = (limits::ACCESS_KEY_CHARS_MIN, limits::ACCESS_KEY_CHARS_MAX);
    for said in [
        format!("text of {} to {} visible ASCII characters", key.0, key.1),
        format!("at most {} entries", limits::ACCESS_KEYS_MAX),
        format!("at most {} visible ASCII characters", limits::PRINCIPAL_CHARS_MAX),
    ] {
        assert!(text.contains(&said), "{ACCESS_DOCUMENT} does not say: {said}");
    }
    assert_eq!(limits::CLOCK_SKEW_MAX, Duration::from_mins(1), "{ACCESS_DOCUMENT}: a minute");
}

#[tokio::test]
async fn members_of_problems_do_not_hide_each_other() {
    let served = Served::new().await;
    let client = reqwest::Client::new();
    let post = async |path: &str, body: Value| {
        let request = client.post(format!("{}{path}", served.base));
        let request = request.header("content-type", "application/json").body(body.to_string());
        request.send().await.unwrap().text().await.unwrap()
    };
    post("/quotes", json!({"quoteId": "q-1"})).await;
    post("/quotes/q-1/withdraw", json!({})).await;
    let problem = post("/quotes/q-1/save", json!({})).await;
    assert_eq!(problem.matches("\"status\":").count(), 1, "{problem}");
    let problem: Value = serde_json::from_str(&problem).unwrap();
    assert_eq!((&problem["status"], &problem["rule"]), (&json!(409), &json!("already-decided")));
    assert_eq!(problem["decided"], "withdrawn");
    // What the document says about this type names the member.
    let rows = table(tree::file(DOCUMENT), "## Problems");
    let row = rows.iter().find(|row| row[0] == "`rule-broken`").unwrap();
    assert!(code_words(row[2]).any(|word| word == "decided"), "{row:?}");
    served.end().await;
}

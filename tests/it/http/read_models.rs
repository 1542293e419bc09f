//! Reads from read models: what an append is visible in, and when; lists, totals, and what is not there.

mod generic;
mod many;

use std::time::Duration;

use cosmos_event_store::{
    projection::{Catalog, ProjectionHost, ReadModels, ReceiptToken},
    quotes::projections,
    store::SessionToken,
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    quotes::{command, contact, family, geographic},
    service::{Answer, Served, send, until},
};
use crate::fixture::{Fixture, options};

/// How long a host may take to end.
const SHUTDOWN: Duration = Duration::from_secs(10);

/// A service with read models, and the host that keeps them up to date.
struct Hosted {
    served: Served,
    read_models: ReadModels,
    stop: CancellationToken,
    running: Option<JoinHandle<()>>,
}

impl Hosted {
    /// Without a host.
    async fn idle() -> Self {
        Self::with(projections::catalog().unwrap()).await
    }

    /// Without a host, and with other projections.
    async fn with(catalog: Catalog) -> Self {
        let fixture = Fixture::new().await;
        let account = options(fixture.endpoint.endpoint());
        let read_models = ReadModels::open(&account, fixture.store.clone(), catalog).await.unwrap();
        let answers = read_models.clone();
        let served = Served::of(fixture, |service| service.with_read_models(answers)).await;
        Self { served, read_models, stop: CancellationToken::new(), running: None }
    }

    /// With a host in this process.
    async fn new() -> Self {
        let mut hosted = Self::idle().await;
        let host: ProjectionHost = hosted.read_models.host("test");
        let (stop, appends) = (hosted.stop.clone(), hosted.served.fixture.store.appends());
        let run = async move {
            host.run(Some(appends), &stop, SHUTDOWN).await.unwrap();
        };
        hosted.running = Some(tokio::spawn(run));
        hosted
    }

    /// Ends the host.
    async fn end_host(&mut self) {
        self.stop.cancel();
        self.running.take().unwrap().await.unwrap();
    }

    /// Gives a command, and the receipt of it.
    async fn command(&self, path: &str, body: Value) -> String {
        let answer = command(&self.served, path, body, &[]).await;
        assert!([200, 201].contains(&answer.status), "{answer:?}");
        assert_eq!(answer.header("receipt"), answer.json()["receipt"]);
        answer.header("receipt").to_owned()
    }

    /// Reads what must show the append of a receipt.
    async fn after(&self, path: &str, receipt: &str) -> Answer {
        let and = if path.contains('?') { '&' } else { '?' };
        let answer = self.served.get(&format!("{path}{and}after={receipt}&timeout=30s")).await;
        assert_eq!((answer.status, answer.header("read-model")), (200, "applied"), "{answer:?}");
        answer
    }
}

/// The ids of the quotes of a page.
fn ids(page: &Value) -> Vec<&str> {
    let quotes = page["quotes"].as_array().unwrap();
    quotes.iter().map(|quote| quote["quoteId"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_read_with_the_receipt_of_a_command_sees_it() {
    let hosted = Hosted::new().await;
    for round in 0..3 {
        let id = format!("q-{round}");
        let body = json!({"quoteId": id, "product": "health-family", "channel": "web"});
        hosted.command("/quotes", body).await;
        for (section, body) in
            [("geographic", geographic()), ("contact", contact()), ("family", family())]
        {
            hosted.command(&format!("/quotes/{id}/{section}"), body).await;
        }
        let receipt = hosted.command(&format!("/quotes/{id}/save"), json!({"page": "p"})).await;
        let path = format!("/quotes/{id}");
        let quote = hosted.after(&path, &receipt).await;
        assert_eq!(quote.header("etag"), "\"5\"");
        // From the read model and from the events it is the same quote.
        let fresh = hosted.served.get(&format!("{path}?fresh=true")).await;
        assert_eq!((fresh.header("read-model"), fresh.header("etag")), ("", "\"5\""));
        assert!(!fresh.header("request-charge").is_empty());
        assert_eq!(quote.json(), fresh.ok(200));
        let status = hosted.after(&format!("{path}/status"), &receipt).await.json();
        let fresh = hosted.served.get(&format!("{path}/status?fresh=true")).await.ok(200);
        assert_eq!(status, fresh);
        assert!(status["actions"].as_array().unwrap().contains(&"finalize".into()));
        let list = hosted.after("/quotes?status=saved", &receipt).await.json();
        assert_eq!(ids(&list)[0], id);
        assert_eq!(list["quotes"][0]["region"], "IN-KA");
        let days = hosted.after("/quotes/summary", &receipt).await.json();
        assert_eq!(days["days"][0]["statuses"], json!({"saved": round + 1}), "{days}");
    }
}

#[tokio::test]
async fn the_history_tells_where_each_event_led() {
    let hosted = Hosted::new().await;
    hosted.command("/quotes", json!({"quoteId": "q-1"})).await;
    hosted.command("/quotes/q-1/contact", contact()).await;
    hosted.command("/quotes/q-1/save", Value::Null).await;
    let receipt = hosted.command("/quotes/q-1/withdraw", json!({"reason": "no"})).await;
    let history = hosted.after("/quotes/q-1/history", &receipt).await.json();
    let fresh = hosted.served.get("/quotes/q-1/history?fresh=true").await.ok(200);
    for history in [&history, &fresh] {
        let told: Vec<_> = history["entries"].as_array().unwrap().iter().collect();
        let told: Vec<_> = told
            .iter()
            .map(|entry| {
                let text = |name: &str| entry[name].as_str().unwrap();
                (
                    entry["sequenceNumber"].as_u64().unwrap(),
                    text("type"),
                    text("by"),
                    [text("fromStatus"), text("toStatus")],
                )
            })
            .collect();
        let expected = [
            (1, "QuoteInitiated", "api", ["absent", "initiated"]),
            (2, "ContactDetailsSet", "api", ["initiated", "initiated"]),
            (3, "QuoteSaved", "api", ["initiated", "saved"]),
            (4, "QuoteWithdrawn", "api", ["saved", "withdrawn"]),
        ];
        assert_eq!(told, expected);
    }
    assert!(history["entries"][0]["data"].is_null() && fresh["entries"][0]["data"].is_object());
    // A page from the middle on knows where the quote stood before, and links go on as they began.
    for fresh in ["", "&fresh=true"] {
        let page = hosted.served.get(&format!("/quotes/q-1/history?limit=2{fresh}")).await.ok(200);
        let next = page["next"].as_str().unwrap();
        assert_eq!(next.contains("fresh"), !fresh.is_empty());
        let rest = hosted.served.get(next).await.ok(200);
        assert_eq!(rest["entries"][0]["fromStatus"], "initiated", "{rest}");
        assert_eq!((rest["entries"].as_array().unwrap().len(), &rest["next"]), (2, &Value::Null));
    }
}

#[tokio::test]
async fn a_long_history_is_read_from_its_events_where_it_is_too_long() {
    let hosted = Hosted::new().await;
    hosted.command("/quotes", json!({"quoteId": "q-1"})).await;
    let mut receipt = String::new();
    for _ in 0..6 {
        let event = json!({"type": "QuoteSaved", "data": {}});
        let appended = hosted.served.post("q-1", &json!({"events": vec![event; 90]})).await;
        assert_eq!(appended.status, 201);
        receipt = appended.header("receipt").to_owned();
    }
    // 541 events, of which the read model has the last 500.
    for (from, is_from_events) in [(1, true), (41, true), (42, false), (541, false)] {
        let path = format!("/quotes/q-1/history?from={from}&limit=3");
        let page = hosted.after(&path, &receipt).await.json();
        let first = &page["entries"][0];
        assert_eq!(first["sequenceNumber"], from);
        assert_eq!(first["data"].is_object(), is_from_events, "{first}");
        assert_eq!(first["fromStatus"], if from == 1 { "absent" } else { "saved" });
        assert_eq!(page["next"].is_null(), from == 541);
    }
    let beyond = hosted.after("/quotes/q-1/history?from=542", &receipt).await.json();
    assert_eq!(beyond["entries"], json!([]));
}

#[tokio::test]
async fn a_catalog_without_quotes_leaves_them_to_their_events() {
    let hosted = Hosted::with(Catalog::generic().unwrap()).await;
    hosted.command("/quotes", json!({"quoteId": "q-1"})).await;
    for view in ["", "/status", "/history"] {
        hosted.served.get(&format!("/quotes/q-1{view}")).await.ok(200);
    }
    for path in ["/quotes", "/quotes/summary"] {
        hosted.served.get(path).await.problem(404, "read-model-not-found");
    }
    let names = hosted.served.get("/read-models").await.ok(200);
    assert_eq!(names["readModels"].as_array().unwrap().len(), 2);
    assert!(names["readModels"][0]["version"].is_null(), "{names}");
}

#[tokio::test]
async fn what_does_not_concern_a_read_model_is_not_waited_for() {
    let hosted = Hosted::new().await;
    let receipt = hosted.command("/quotes", json!({"quoteId": "q-1"})).await;
    hosted.after("/quotes/q-1", &receipt).await;
    let body = json!({"events": [{"type": "LoanGranted", "data": {}}]});
    let appended = hosted.served.post("loan-1", &body).await;
    let loan = appended.header("receipt");
    assert_eq!(appended.status, 201);
    let quote = hosted.served.get(&format!("/quotes/q-1?after={loan}&timeout=30s")).await;
    assert_eq!((quote.status, quote.header("read-model")), (200, "irrelevant"));
    let summary = format!("/read-models/stream-summary/views/loan-1?after={loan}&timeout=30s");
    let summary = hosted.served.get(&summary).await;
    assert_eq!((summary.status, summary.header("read-model")), (200, "applied"));
    // The receipt of a repeated append is as good, and so is that of CloudEvents.
    let event = json!({"specversion": "1.0", "id": "A-1", "source": "/s", "type": "LoanGranted"});
    for status in [201, 200] {
        let kind = "application/cloudevents+json";
        let appended = hosted.served.post_text("loan-1", kind, event.to_string(), &[]).await;
        assert_eq!(appended.status, status);
        let path = "/read-models/stream-summary/views/loan-1";
        let view = hosted.after(path, appended.header("receipt")).await.json();
        assert_eq!(view["sequenceNumber"], 2);
    }
}

#[tokio::test]
async fn a_parked_stream_is_told_of() {
    let hosted = Hosted::new().await;
    let receipt = hosted.command("/quotes", json!({"quoteId": "q-1"})).await;
    hosted.after("/quotes/q-1", &receipt).await;
    let damaged = json!({"events": [{"type": "QuoteSaved", "data": "secret"}]});
    let appended = hosted.served.post("q-1", &damaged).await;
    assert_eq!(appended.status, 201);
    let after = format!("after={}&timeout=30s", appended.header("receipt"));
    for path in ["/quotes/q-1", "/quotes/q-1/status", "/quotes/q-1/history", "/quotes"] {
        let answer = hosted.served.get(&format!("{path}?{after}")).await;
        let problem = answer.problem(409, "stream-parked");
        let reason = problem["reason"].as_str().unwrap();
        assert!(reason.contains("event 2") && !reason.contains("secret"), "{problem}");
        assert_eq!(problem["stream"], "q-1");
    }
    // Without the receipt there is what was good, and the events say what is wrong.
    assert_eq!(hosted.served.get("/quotes/q-1").await.ok(200)["version"], 1);
    let fresh = hosted.served.get("/quotes/q-1?fresh=true").await;
    fresh.problem(409, "not-a-quote");
    // Other streams go on, and so do read models that take anything.
    let receipt = hosted.command("/quotes", json!({"quoteId": "q-2"})).await;
    hosted.after("/quotes/q-2", &receipt).await;
    let path = "/read-models/stream-summary/views/q-1";
    hosted.after(path, appended.header("receipt")).await;
}

#[tokio::test]
async fn what_is_not_visible_in_time_is_told_apart() {
    let mut hosted = Hosted::new().await;
    let receipt = hosted.command("/quotes", json!({"quoteId": "q-1"})).await;
    hosted.after("/quotes/q-1", &receipt).await;
    hosted.end_host().await;
    let receipt = hosted.command("/quotes/q-1/contact", contact()).await;
    for timeout in ["20ms", "0", "0s"] {
        let path = format!("/quotes/q-1?after={receipt}&timeout={timeout}");
        let answer = hosted.served.get(&path).await;
        let problem = answer.problem(504, "not-visible-yet");
        assert_eq!(answer.header("retry-after"), "1");
        assert_eq!((&problem["stream"], &problem["sequenceNumber"]), (&"q-1".into(), &2.into()));
    }
    // What was made before is there, and the events have everything, at once and with the same receipt.
    assert_eq!(hosted.served.get("/quotes/q-1").await.ok(200)["version"], 1);
    let fresh = format!("/quotes/q-1?fresh=true&after={receipt}");
    assert_eq!(hosted.served.get(&fresh).await.ok(200)["version"], 2);
    let token = ReceiptToken::parse(&receipt).unwrap().session_token().unwrap().to_string();
    let headers = [("session-token", token.as_str())];
    for view in ["", "/status"] {
        let answer = hosted.served.get_with(&format!("/quotes/q-1{view}"), &headers).await;
        assert_eq!(answer.ok(200)["version"], 2);
    }
}

#[tokio::test]
async fn a_service_that_stops_lets_nobody_wait() {
    let hosted = Hosted::idle().await;
    let receipt = hosted.command("/quotes", json!({"quoteId": "q-1"})).await;
    let Served { base, stop, serving, fixture, .. } = hosted.served;
    fixture.control().reset_counts();
    let path = format!("{base}/quotes/q-1?after={receipt}&timeout=30s");
    let reading = tokio::spawn(async move { reqwest::get(path).await.unwrap().status() });
    // It looks again and again.
    until(async || fixture.control().counts().total > 3).await;
    stop.cancel();
    assert_eq!(reading.await.unwrap(), 504);
    // Nothing had to be cut off.
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_read_model_that_nobody_builds_is_not_there() {
    let hosted = Hosted::idle().await;
    let receipt = hosted.command("/quotes", json!({"quoteId": "q-1"})).await;
    for path in ["/quotes/q-1", "/quotes/q-1/history", "/quotes", "/quotes/summary"] {
        let answer = hosted.served.get(path).await;
        answer.problem(503, "read-model-not-built");
        assert_eq!(answer.header("retry-after"), "1");
        let waiting = hosted.served.get(&format!("{path}?after={receipt}&timeout=20ms")).await;
        waiting.problem(504, "not-visible-yet");
    }
    assert_eq!(hosted.served.get("/quotes/q-1?fresh=true").await.ok(200)["version"], 1);
}

#[tokio::test]
async fn parameters_that_cannot_be_used_are_named() {
    let hosted = Hosted::new().await;
    let receipt = hosted.command("/quotes", json!({"quoteId": "q-1"})).await;
    hosted.after("/quotes", &receipt).await;
    let foreign = ReceiptToken::new("q-1", 9, Some(SessionToken::new("x"))).to_string();
    for (path, name) in [
        ("/quotes/q-1?after=x", "after"),
        ("/quotes/q-1?after=", "after"),
        ("/quotes/q-1/status?timeout=31", "timeout"),
        ("/quotes/q-1/history?timeout=1m", "timeout"),
        ("/quotes/q-1?fresh=yes", "fresh"),
        ("/quotes/q-1?page=x", "page"),
        ("/quotes?page=x", "page"),
        ("/quotes?status=gone", "status"),
        ("/quotes?sort=city", "sort"),
        ("/quotes?limit=0", "limit"),
        ("/quotes/summary?page=x", "page"),
        ("/quotes/summary?from=yesterday", "from"),
        ("/quotes/summary?to=2026-02-30", "to"),
        ("/read-models/stream-summary/views?nothing=1", "nothing"),
        ("/read-models/stream-summary/views?sort=nothing", "sort"),
        ("/read-models/stream-summary/views?page=x", "page"),
        ("/read-models/type-totals/totals?page=x", "page"),
        (&format!("/quotes/q-1?after={foreign}"), "after"),
        (&format!("/quotes/q-1?after={foreign}&fresh=true"), "after"),
    ] {
        let problem = hosted.served.get(path).await.problem(400, "invalid-parameter");
        assert_eq!(problem["errors"][0]["parameter"], name, "{path}");
    }
    let absent = hosted.served.get("/quotes/q-2").await;
    absent.problem(404, "quote-not-found");
    // The path of the summary is no quote.
    let summary = command(&hosted.served, "/quotes", json!({"quoteId": "summary"}), &[]).await;
    assert_eq!(summary.problem(422, "invalid-body")["errors"][0]["pointer"], "/quoteId");
}

#[tokio::test]
async fn conditions_keys_and_receipts_go_together() {
    let hosted = Hosted::new().await;
    let receipt = hosted.command("/quotes", json!({"quoteId": "q-1"})).await;
    let read = hosted.after("/quotes/q-1", &receipt).await;
    let tag = read.header("etag").to_owned();
    let known = [("if-none-match", tag.as_str())];
    let same = hosted.served.get_with("/quotes/q-1", &known).await;
    assert_eq!((same.status, same.header("etag"), same.text.as_str()), (304, tag.as_str(), ""));
    let headers = [("if-match", tag.as_str()), ("idempotency-key", "K-1")];
    let set = command(&hosted.served, "/quotes/q-1/contact", contact(), &headers).await;
    assert_eq!(set.ok(200)["outcome"], "appended");
    // The repeat is recognised, whatever happened since, and its receipt is that of the command.
    let save = hosted.command("/quotes/q-1/save", Value::Null).await;
    let again = command(&hosted.served, "/quotes/q-1/contact", contact(), &headers).await;
    assert_eq!(again.ok(200)["outcome"], "repeated");
    let place = |receipt: &str| {
        let receipt = ReceiptToken::parse(receipt).unwrap();
        (receipt.stream().to_owned(), receipt.sequence_number())
    };
    for answer in [&set, &again] {
        assert_eq!(place(answer.header("receipt")), ("q-1".to_owned(), 2));
        let version = hosted.after("/quotes/q-1", answer.header("receipt")).await.json();
        assert!(version["version"].as_u64().unwrap() >= 2, "{version}");
    }
    // Where there is nothing to do, the receipt is that of the quote as it is.
    let nothing = command(&hosted.served, "/quotes/q-1/save", Value::Null, &[]).await;
    assert_eq!(nothing.ok(200)["outcome"], "nothing");
    assert_eq!(place(nothing.header("receipt")), place(&save));
    let read = hosted.after("/quotes/q-1", nothing.header("receipt")).await;
    assert_eq!((read.header("etag"), &read.json()["status"]), ("\"3\"", &"saved".into()));
    // The tag of the read model is a condition as any other.
    let stale = [("if-match", tag.as_str())];
    let refused = command(&hosted.served, "/quotes/q-1/withdraw", Value::Null, &stale).await;
    assert_eq!(refused.problem(412, "precondition-failed")["actual"], 3);
    let current = [("if-match", read.header("etag"))];
    command(&hosted.served, "/quotes/q-1/withdraw", Value::Null, &current).await.ok(200);
}

#[tokio::test]
async fn a_service_without_read_models_answers_from_events() {
    let served = Served::new().await;
    let created = command(&served, "/quotes", json!({"quoteId": "q-1"}), &[]).await;
    let receipt = created.header("receipt");
    for view in ["", "/status", "/history"] {
        for query in [String::new(), format!("?after={receipt}&timeout=1"), "?fresh=true".into()] {
            let answer = served.get(&format!("/quotes/q-1{view}{query}")).await;
            assert_eq!((answer.status, answer.header("read-model")), (200, ""), "{view}{query}");
        }
    }
    for path in [
        "/quotes",
        "/quotes/summary",
        "/read-models",
        "/read-models/stream-summary/views",
        "/read-models/stream-summary/views/q-1",
        "/read-models/type-totals/totals",
        "/read-models/type-totals/totals/QuoteInitiated",
    ] {
        served.get(path).await.problem(404, "no-read-models");
        let head = send(served.request(Method::HEAD, path)).await;
        assert_eq!(head.status, 404);
    }
    let text = served.get("/quotes/q-1?after=x").await.problem(400, "invalid-parameter");
    assert_eq!(text["errors"][0]["parameter"], "after");
}

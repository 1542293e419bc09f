//! HTTP through the host: passed on as it is, and packed into invocations.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{
    app::App,
    host::{Host, INVOCATION},
};

/// A name of the app, which clients use.
const PUBLIC: &str = "app.azurewebsites.net";
/// A request id of the client, which is the same either way.
const REQUEST_ID: &str = "request-1";

/// An answer as a client gets it.
#[derive(Debug, PartialEq)]
struct Answer {
    status: u64,
    headers: Map<String, Value>,
    body: String,
}

/// What a client sends.
struct Sent<'a> {
    method: Method,
    path: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    body: Option<String>,
}

fn sent<'a>(
    method: Method,
    path: &'a str,
    headers: &[(&'a str, &'a str)],
    body: Option<Value>,
) -> Sent<'a> {
    let mut headers = headers.to_vec();
    headers.push(("x-request-id", REQUEST_ID));
    if body.is_some() {
        headers.push(("content-type", "application/json"));
    }
    Sent { method, path, headers, body: body.map(|body| body.to_string()) }
}

impl Host {
    /// As the proxy of the host passes it on.
    async fn passed_on(&self, sent: &Sent<'_>) -> Answer {
        let mut request = self.client.request(sent.method.clone(), self.url(sent.path));
        for (name, value) in &sent.headers {
            request = request.header(*name, *value);
        }
        // Whatever the client has said, these are the host's.
        let request = request
            .header("host", PUBLIC)
            .header("x-azure-functions-invocationid", INVOCATION)
            .header("x-azure-functions-hostversion", "4.1041.200.0")
            .header("x-ms-invocation-id", INVOCATION);
        let answer = request.body(sent.body.clone().unwrap_or_default()).send().await.unwrap();
        let status = u64::from(answer.status().as_u16());
        let framing = ["content-length", "date", "transfer-encoding", "connection"];
        let headers = answer.headers().iter().filter(|(name, _)| !framing.contains(&name.as_str()));
        let headers = headers
            .map(|(name, value)| (name.as_str().to_owned(), json!(value.to_str().unwrap())))
            .collect();
        Answer { status, headers, body: answer.text().await.unwrap() }
    }

    /// As an invocation, where the host does not pass requests on.
    async fn packed(&self, sent: &Sent<'_>) -> Answer {
        let mut headers = Map::from_iter([("Host".to_owned(), json!([PUBLIC]))]);
        for (name, value) in &sent.headers {
            headers.insert((*name).to_owned(), json!([value]));
        }
        let length = sent.body.as_ref().map_or(0, String::len);
        headers.insert("Content-Length".to_owned(), json!([length.to_string()]));
        let mut request = json!({
            "Url": format!("https://{PUBLIC}{}", sent.path),
            "Method": sent.method.as_str(),
            "Query": {},
            "Headers": headers,
            "Params": {"path": sent.path.trim_start_matches('/')},
            "Identities": [],
        });
        if let Some(body) = &sent.body {
            request["Body"] = json!(body);
        }
        let reply = self.invoke_once("api", request, Map::new()).await.unwrap();
        assert_eq!(reply.value, Value::Null, "text here would be decoded by the host");
        let answer = &reply.outputs["res"];
        Answer {
            status: answer["statusCode"].as_u64().unwrap(),
            headers: answer["headers"].as_object().unwrap().clone(),
            body: answer["body"].as_str().unwrap().to_owned(),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ways_answer_the_same() {
    let app = App::new().await;
    app.append(0..5, 2).await;
    let host = app.started().await;
    app.trigger(&host, "host-1").await.run().await;
    let get = |path| sent(Method::GET, path, &[], None);
    for request in [
        get("/"),
        get("/healthz"),
        get("/readyz"),
        get("/streams?limit=2"),
        get("/streams/s-1/events?limit=1"),
        get("/streams/s-1/events/1"),
        get("/streams/s%20%2F%C3%A9"),
        get("/streams/s-1/events?limit=nothing"),
        get("/read-models/stream-summary/views/s-1"),
        get("/feed?limit=1"),
        get("/nothing"),
        get("/pump"),
        sent(Method::POST, "/streams", &[], Some(json!({}))),
        sent(Method::DELETE, "/streams/s-1", &[], None),
        sent(Method::OPTIONS, "/streams/s-1", &[], None),
        sent(Method::POST, "/streams/s-1/events", &[], Some(json!({"events": []}))),
        sent(Method::POST, "/streams/s-1/events", &[], Some(json!("abcd"))),
        sent(Method::GET, "/streams/s-1/events", &[("if-none-match", "\"2\"")], None),
    ] {
        // Until the store was first asked, its answers may have other charges.
        host.passed_on(&request).await;
        let (passed_on, packed) = (host.passed_on(&request).await, host.packed(&request).await);
        assert_eq!(passed_on, packed, "{} {}", request.method, request.path);
        assert_eq!(passed_on.headers["x-request-id"], REQUEST_ID);
    }
    // A write is done either way, once.
    for (stream, is_packed) in [("p-1", false), ("e-1", true)] {
        let path = format!("/streams/{stream}/events");
        let body = json!({"expectedVersion": "noStream", "events": [{"type": "Tested", "data": {"a": "\u{e9}"}}]});
        let key = [("idempotency-key", "k-1")];
        let append = sent(Method::POST, &path, &key, Some(body));
        for outcome in ["appended", "repeated"] {
            let answer =
                if is_packed { host.packed(&append).await } else { host.passed_on(&append).await };
            let body: Value = serde_json::from_str(&answer.body).unwrap();
            assert_eq!(body["outcome"], outcome, "{answer:?}");
        }
        assert_eq!(app.store.version(stream).await.unwrap().value, 1);
    }
    // What never ends does not fit into an invocation.
    let events = sent(Method::GET, "/feed", &[("accept", "text/event-stream")], None);
    assert_eq!(host.packed(&events).await.status, 406);
    assert!(host.stop().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_are_asked_who_they_are_either_way() {
    let app = App::new().await;
    app.append(0..3, 1).await;
    let key = "k".repeat(43);
    let keys = json!([{"name": "reader", "key": key, "scopes": ["read"]}]).to_string();
    let settings = [("COSMOS_ES_ACCESS", "keys"), ("COSMOS_ES_ACCESS_KEYS", keys.as_str())];
    let host = app.host_with(&settings);
    app.start(&host).await;
    let (with_key, wrong) = ([("api-key", key.as_str())], [("api-key", "other")]);
    let write = || Some(json!({"events": [{"type": "Tested", "data": 1}]}));
    for (request, status) in [
        (sent(Method::GET, "/streams", &[], None), 401),
        (sent(Method::GET, "/streams", &wrong, None), 401),
        (sent(Method::GET, "/streams", &with_key, None), 200),
        (sent(Method::POST, "/streams/s-9/events", &[], write()), 401),
        (sent(Method::POST, "/streams/s-9/events", &with_key, write()), 403),
    ] {
        let (passed_on, packed) = (host.passed_on(&request).await, host.packed(&request).await);
        assert_eq!((passed_on.status, packed.status), (status, status), "{passed_on:?}");
    }
    // The host has no key, and needs none for what only it can invoke.
    app.trigger(&host, "host-1").await.run().await;
    app.verify().await;
    app.assert_released().await;
    assert!(host.stop().await.success());
    assert!(!host.log().join("\n").contains(&key));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_lets_every_method_of_the_service_through() {
    let app = App::new().await;
    let host = app.started().await;
    let described = host.passed_on(&sent(Method::GET, "/openapi.json", &[], None)).await;
    let described: Value = serde_json::from_str(&described.body).unwrap();
    let paths = described["paths"].as_object().unwrap().values();
    let described = paths.flat_map(|methods| methods.as_object().unwrap().keys());
    // These are answered everywhere, and described nowhere.
    let always = ["head".to_owned(), "options".to_owned()];
    let described: BTreeSet<String> = described.cloned().chain(always).collect();
    let methods = &host.function("api")["bindings"][0]["methods"];
    let methods = methods.as_array().unwrap().iter();
    let methods: BTreeSet<String> = methods.map(|one| one.as_str().unwrap().to_owned()).collect();
    assert_eq!(methods, described);
    assert!(host.stop().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_the_host_cannot_invoke_triggers() {
    let app = App::new().await;
    app.append(0..5, 1).await;
    let host = app.started().await;
    let envelope = json!({"Data": {"timer": {}}, "Metadata": {}});
    let own = host.url("").replace("http://", "");
    for function in ["pump", "wakeup", "lag", "api"] {
        let path = format!("/{function}");
        for headers in [
            vec![],
            vec![("x-azure-functions-invocationid", INVOCATION)],
            vec![("x-azure-functions-invocationid", INVOCATION), ("host", own.as_str())],
            vec![("x-ms-invocation-id", ""), ("connection", "x-ms-invocation-id")],
        ] {
            let forged = sent(Method::POST, &path, &headers, Some(envelope.clone()));
            let answer = host.passed_on(&forged).await;
            // The API has these paths not at all, or to read from.
            let refused = if function == "lag" { 405 } else { 404 };
            assert_eq!(answer.status, refused, "{function} {headers:?} {answer:?}");
        }
    }
    assert_eq!(app.owners().await, (0, Vec::new()), "nobody has begun to work");
    assert!(!host.log().iter().any(|line| line.contains("invocation")), "{:?}", host.log());
    // Pages of other sites still do not write.
    let foreign = [("origin", "https://example.com")];
    let write = sent(Method::POST, "/streams/s-9/events", &foreign, Some(json!({"events": []})));
    assert_eq!(host.passed_on(&write).await.status, 403);
    assert!(host.stop().await.success());
}

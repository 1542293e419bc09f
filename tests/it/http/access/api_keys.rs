//! API keys: presented, scoped, refused.

use reqwest::Method;
use serde_json::json;

use super::{
    super::service::{Served, send},
    BODY, NOT_ACCEPTED, assert_unknown, bearer, key, keyed, with_keys,
};

#[tokio::test]
async fn a_key_comes_in_either_header() {
    let served = keyed().await;
    bearer(&served, Method::GET, "/streams", &key("reader")).await.ok(200);
    served.get_with("/streams", &[("api-key", &key("reader"))]).await.ok(200);
    let other_scheme = [("authorization", "Basic b3BzOng="), ("api-key", &key("reader"))];
    served.get_with("/streams", &other_scheme).await.ok(200);
}

#[tokio::test]
async fn without_a_key_nobody_is_let_in() {
    let served = keyed().await;
    for headers in [&[][..], &[("authorization", "Basic b3BzOng=")]] {
        let answer = served.get_with("/streams", headers).await;
        let problem = answer.problem(401, "unauthenticated");
        assert_eq!(problem["detail"], "the request has no key or token");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    let right = key("reader");
    let cut = &right[..right.len() - 1];
    for wrong in [cut, &format!("{right}x"), &right.to_uppercase(), "x", "a.b.c"] {
        assert_unknown(&bearer(&served, Method::GET, "/streams", wrong).await, NOT_ACCEPTED);
        assert_unknown(&served.get_with("/streams", &[("api-key", wrong)]).await, NOT_ACCEPTED);
    }
    let digest = "c".repeat(64);
    assert_unknown(&bearer(&served, Method::GET, "/streams", &digest).await, NOT_ACCEPTED);
}

#[tokio::test]
async fn headers_that_contradict_each_other_are_refused() {
    let served = keyed().await;
    let (right, bearer) = (key("reader"), format!("Bearer {}", key("reader")));
    let both = [("authorization", bearer.as_str()), ("api-key", &right)];
    let problem = served.get_with("/streams", &both).await.problem(400, "invalid-parameter");
    assert_eq!(problem["errors"][0]["header"], "api-key");
    for (name, value) in both {
        let twice = [(name, value), (name, value)];
        let problem = served.get_with("/streams", &twice).await.problem(400, "invalid-parameter");
        assert_eq!(problem["errors"][0]["header"], name);
    }
}

#[tokio::test]
async fn a_scope_includes_no_other() {
    let served = keyed().await;
    let write = "/streams/s-1/events";
    for (name, method, path, missing) in [
        ("reader", Method::POST, write, "write"),
        ("writer", Method::GET, write, "read"),
        ("admin", Method::GET, write, "read"),
        ("admin", Method::POST, write, "write"),
        ("reader", Method::GET, "/metrics", "admin"),
        ("writer", Method::GET, "/metrics", "admin"),
    ] {
        let answer = bearer(&served, method, path, &key(name)).await;
        let problem = answer.problem(403, "forbidden");
        assert_eq!(problem["scope"], missing, "{name} {path}");
        assert_eq!(
            answer.header("www-authenticate"),
            format!("Bearer error=\"insufficient_scope\", scope=\"{missing}\"")
        );
    }
    assert!(served.fixture.events("s-1").await.is_empty());
    bearer(&served, Method::POST, write, &key("writer")).await.ok(201);
    bearer(&served, Method::GET, write, &key("reader")).await.ok(200);
    assert_eq!(bearer(&served, Method::GET, "/metrics", &key("admin")).await.status, 200);
}

#[tokio::test]
async fn what_is_not_let_in_has_its_body_left_unread() {
    let served = keyed().await;
    // A body that never comes would take its time.
    let mut socket = served.begin_append("s-1", 1000, "{").await;
    let mut answer = vec![0; 16];
    tokio::io::AsyncReadExt::read_exact(&mut socket, &mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 401 Una");
}

#[tokio::test]
async fn callers_that_are_not_known_count_among_requests_in_flight() {
    let all = |service| with_keys(service).with_requests_max(0);
    let served = Served::with(|store| store, all).await;
    served.get("/streams").await.problem(503, "overloaded");
    served.get("/metrics").await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn the_caller_is_the_actor_unless_another_is_named() {
    let served = keyed().await;
    let post = async |path: &str, body: String, headers: &[(&str, &str)]| {
        let mut request =
            served.request(Method::POST, path).header("content-type", "application/json");
        request = request.header("api-key", key("all"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        send(request.body(body)).await
    };
    let body = json!({"events": [
        {"type": "Tested", "data": 1},
        {"type": "Tested", "data": 2, "metadata": {"correlationId": "c-1"}},
        {"type": "Tested", "data": 3, "metadata": {"actor": "someone"}},
    ]});
    post("/streams/s-1/events", body.to_string(), &[]).await.ok(201);
    let cloud =
        json!({"specversion": "1.0", "id": "1", "source": "/test", "type": "Tested", "data": 4});
    let cloud_type = [("content-type", "application/cloudevents+json")];
    let request =
        served.request(Method::POST, "/streams/s-1/events").header("api-key", key("writer"));
    let request = request.header(cloud_type[0].0, cloud_type[0].1).body(cloud.to_string());
    send(request).await.ok(201);
    post("/quotes", json!({"quoteId": "q-1"}).to_string(), &[]).await.ok(201);
    post("/quotes/q-1/withdraw", "{}".to_owned(), &[("x-actor", "customer")]).await.ok(200);
    let actors = async |stream: &str| {
        let events = served.fixture.events(stream).await;
        let actor = |event: &cosmos_event_store::RecordedEvent| event.metadata().actor.clone();
        events.iter().map(|event| actor(event).unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(actors("s-1").await, ["all", "all", "someone", "writer"]);
    assert_eq!(actors("q-1").await, ["all", "customer"]);
    let second = &served.fixture.events("s-1").await[1];
    assert_eq!(second.metadata().correlation_id.as_deref(), Some("c-1"));
    // Without access control nobody is put in.
    let open = Served::new().await;
    open.post_text("s-1", "application/json", BODY, &[]).await.ok(201);
    assert_eq!(open.fixture.events("s-1").await[0].metadata().actor, None);
}

//! Pages of other sites, which reach the service by the browser on this machine.

use reqwest::{Method, header};
use serde_json::json;

use super::service::{JSON, Served, send};

#[tokio::test]
async fn a_name_of_another_site_is_not_answered_for() {
    let served = Served::new().await;
    let port = served.base.rsplit_once(':').unwrap().1.to_owned();
    for path in ["/streams", "/healthz", "/metrics", "/nothing", "/openapi.json"] {
        let host = [("host", "rebound.example.com")];
        served.get_with(path, &host).await.problem(421, "misdirected-request");
        let there = served.get_with(path, &[("host", &format!("localhost:{port}"))]).await;
        assert_ne!(there.status, 421, "{path}");
    }
    let body = json!({"events": [{"type": "Tested", "data": 1}]});
    let host = [("host", "rebound.example.com")];
    served.post_with("s-1", &body, &host).await.problem(421, "misdirected-request");
    assert!(served.fixture.events("s-1").await.is_empty());
}

#[tokio::test]
async fn pages_of_other_sites_do_not_write() {
    let served = Served::new().await;
    // A request without a body needs no type, so a browser would send it without asking first.
    let initiate = |origin: &'static str| {
        let request = served.request(Method::POST, "/quotes").header(header::CONTENT_TYPE, JSON);
        send(request.header(header::ORIGIN, origin).body("{\"quoteId\":\"q-1\"}"))
    };
    for origin in ["https://example.com", "null"] {
        initiate(origin).await.problem(403, "foreign-origin");
    }
    assert!(served.fixture.events("q-1").await.is_empty());
    initiate("http://localhost:3000").await.ok(201);
    let origin = [("origin", "https://example.com")];
    served.get_with("/quotes/q-1", &origin).await.ok(200);
    let bare = served.request(Method::POST, "/quotes/q-1/withdraw");
    let bare = send(bare.header(header::ORIGIN, "https://example.com")).await;
    bare.problem(403, "foreign-origin");
    assert_eq!(served.fixture.events("q-1").await.len(), 1);
}

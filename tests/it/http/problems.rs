//! What the router answers by itself, and what every answer has.

use reqwest::Method;
use serde_json::json;

use super::service::{Served, send};
use crate::fixture::events;

#[tokio::test]
async fn errors_of_the_router_are_problems_too() {
    let served = Served::new().await;
    for path in ["/nothing", "/streams/", "/streams/a/b", "//", "/problems/none"] {
        served.get(path).await.problem(404, "route-not-found");
    }
    for (method, path, allow) in [
        (Method::DELETE, "/streams/s-1/events", "GET,HEAD,POST"),
        (Method::POST, "/streams", "GET,HEAD"),
        (Method::PUT, "/healthz", "GET,HEAD"),
        (Method::POST, "/metrics", "GET,HEAD"),
    ] {
        let answer = send(served.request(method, path)).await;
        answer.problem(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), allow);
    }
    let answer = send(served.request(Method::OPTIONS, "/streams/s-1/events")).await;
    assert_eq!((answer.status, answer.header("allow")), (204, "GET,HEAD,POST"));
}

#[tokio::test]
async fn every_type_of_problem_is_explained() {
    let served = Served::new().await;
    let problem = served.get("/streams/none").await.problem(404, "stream-not-found");
    let explained = served.get(problem["type"].as_str().unwrap()).await.ok(200);
    assert_eq!((&explained["type"], &explained["title"]), (&problem["type"], &problem["title"]));
    assert_eq!(explained["status"], 404);
    assert!(explained["explanation"].is_string());
}

#[tokio::test]
async fn head_answers_as_get_without_a_body() {
    let served = Served::new().await;
    served.fixture.given("s-1", &events(2)).await;
    for path in
        ["/streams/s-1", "/streams/s-1/events", "/streams/s-1/events/1", "/openapi.json", "/"]
    {
        let (get, head) = (served.get(path).await, send(served.request(Method::HEAD, path)).await);
        assert_eq!((head.status, head.text.as_str()), (200, ""), "{path}");
        for name in ["etag", "content-type", "content-length", "request-charge"] {
            assert_eq!(head.header(name), get.header(name), "{path} {name}");
        }
    }
    let answer = send(served.request(Method::HEAD, "/streams/none")).await;
    assert_eq!((answer.status, answer.text.as_str()), (404, ""));
}

#[tokio::test]
async fn request_ids_are_kept_or_made() {
    let served = Served::new().await;
    for (path, status) in [("/healthz", 200), ("/nothing", 404)] {
        let answer = served.get_with(path, &[("x-request-id", "a.B_1-")]).await;
        assert_eq!((answer.status, answer.header("x-request-id")), (status, "a.B_1-"));
        for unfit in ["a b", "", &"x".repeat(129)] {
            let answer = served.get_with(path, &[("x-request-id", unfit)]).await;
            assert!(answer.header("x-request-id").parse::<uuid::Uuid>().is_ok(), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn the_service_says_what_it_is_and_how_it_is() {
    let served = Served::new().await;
    assert_eq!(served.get("/").await.ok(200)["description"], "/openapi.json");
    assert_eq!(served.get("/healthz").await.ok(200), json!({"status": "alive"}));
    assert_eq!(served.get("/readyz").await.ok(200), json!({"status": "ready"}));
    let description = served.get("/openapi.json").await.ok(200);
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1."));
    let paths: Vec<_> = description["paths"].as_object().unwrap().keys().collect();
    for path in ["/streams", "/streams/{id}", "/streams/{id}/events", "/streams/{id}/events/{n}"] {
        assert!(paths.iter().any(|known| *known == path), "{paths:?}");
    }
}

#[tokio::test]
async fn the_client_chooses_the_form() {
    let served = Served::new().await;
    served.fixture.given("s-1", &events(1)).await;
    for path in ["/streams", "/streams/s-1", "/streams/s-1/events", "/streams/s-1/events/1"] {
        for accept in ["*/*", "application/*", "text/html, application/json;q=0.1"] {
            served.get_with(path, &[("accept", accept)]).await.ok(200);
        }
        let answer = served.get_with(path, &[("accept", "text/html")]).await;
        answer.problem(406, "not-acceptable");
    }
}

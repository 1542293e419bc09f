//! `cosmos-es serve` as a process.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::cli::program::{Place, Running};

/// Starts the service on the place's folder, and waits until it is ready.
fn serve(place: &Place) -> (Running, Value) {
    let mut serve =
        place.spawn(&["serve", "--listen", "127.0.0.1:0", "--store-port", "0", "--output", "json"]);
    let ready = serde_json::from_str(&serve.line()).unwrap();
    (serve, ready)
}

async fn get(ready: &Value, path: &str) -> (u16, String) {
    let answer = reqwest::get(format!("{}{path}", ready["http"].as_str().unwrap())).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn what_is_stored_is_there_after_a_restart() {
    let place = Place::new();
    let (serve_1, ready) = serve(&place);
    for name in ["http", "store", "dataDir", "openapi"] {
        assert!(ready[name].is_string(), "{ready}");
    }
    let url = format!("{}/streams/quote-1/events", ready["http"].as_str().unwrap());
    let client = reqwest::Client::new();
    let body = json!({"events": [{"type": "QuoteInitiated", "data": {}}]}).to_string();
    let request = client.post(url).header("content-type", "application/json").body(body);
    assert_eq!(request.send().await.unwrap().status(), 201);
    let description = reqwest::get(ready["openapi"].as_str().unwrap()).await.unwrap();
    assert_eq!(description.status(), 200);
    // Other commands join the store that the service runs.
    assert_eq!(place.json(&["read", "quote-1"])[0]["type"], "QuoteInitiated");
    serve_1.terminate();
    let ran = serve_1.wait();
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let (serve_2, ready) = serve(&place);
    assert_eq!(get(&ready, "/streams/quote-1").await.0, 200);
    serve_2.interrupt();
    assert_eq!(serve_2.wait().code, 0);
}

#[tokio::test]
async fn a_service_joins_the_store_that_runs() {
    let place = Place::new();
    let (serve_1, first) = serve(&place);
    let (serve_2, second) = serve(&place);
    assert_eq!(first["store"], second["store"]);
    assert_eq!(get(&second, "/readyz").await.0, 200);
    serve_2.terminate();
    assert_eq!(serve_2.wait().code, 0);
    assert_eq!(get(&first, "/readyz").await.0, 200);
    drop(serve_1);
}

#[test]
fn people_are_told_where_it_is() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut serve = place.spawn(&["serve", "--listen", "127.0.0.1:0", "--store-port", &port]);
    assert!(
        serve.line().starts_with(&format!("  port {port} is in use, the store took a free one"))
    );
    let line = serve.line();
    let store = line.strip_prefix("  store    cosmos-local (embedded)  http://127.0.0.1:").unwrap();
    assert!(store.contains("   data folder "), "{line}");
    assert_eq!(serve.line(), "  events, snapshots, read-models, leases: ready\n");
    let line = serve.line();
    assert!(line.starts_with("  http     http://127.0.0.1:"), "{line}");
    assert!(line.ends_with("    API description at /openapi.json\n"), "{line}");
    let line = serve.line();
    assert!(line.starts_with("  worker   views   instance "), "{line}");
    let line = serve.line();
    assert!(line.starts_with("  ready in ") && line.ends_with(" ms - Ctrl-C stops cleanly\n"));
    serve.interrupt();
    assert_eq!(serve.wait().code, 0);
}

#[test]
fn an_address_that_cannot_be_used_is_said_in_one_line() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let run = |listen: &str| place.run(&["serve", "--listen", listen, "--store-port", "0"]);
    run("0.0.0.0:0").failed(2, "loopback only");
    assert!(!place.data_dir().exists(), "nothing is made for a service that will not be");
    run(&address).failed(1, &format!("cannot listen on {address}: "));
    let ran = run("localhost");
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("--listen"), "{ran:?}");
}

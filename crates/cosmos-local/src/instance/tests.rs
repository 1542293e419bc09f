//! Tests of starting, joining, managing and stopping an endpoint.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::EMULATOR_KEY;

/// One request to the management port; gives the status and the body.
async fn manage(endpoint: &str, method: &str, path: &str, body: &str) -> (u16, Value) {
    let address = endpoint.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

#[tokio::test]
async fn any_number_of_endpoints_run_side_by_side() {
    let one = LocalCosmos::builder().start().await.unwrap();
    let two = LocalCosmos::builder().start().await.unwrap();
    assert_ne!(one.endpoint(), two.endpoint());
    assert!(one.endpoint().starts_with("http://127.0.0.1:") && one.endpoint().ends_with('/'));
    let expected = format!("AccountEndpoint={};AccountKey={EMULATOR_KEY};", one.endpoint());
    assert_eq!(one.connection_string(), expected);
    one.shutdown().await.unwrap();
    two.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_folder_is_joined_and_not_used_twice() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("new");
    assert_eq!(LocalCosmos::attach(&folder).await.unwrap(), None);
    let endpoint = LocalCosmos::builder().data_dir(&folder).start().await.unwrap();
    let joined = LocalCosmos::attach(&folder).await.unwrap().unwrap();
    assert_eq!(joined.endpoint, endpoint.endpoint());
    assert_eq!(joined.management_endpoint, endpoint.management_endpoint());
    assert_eq!(joined.connection_string(), endpoint.connection_string());

    let refused = LocalCosmos::builder().data_dir(&folder).start().await.unwrap_err();
    let message = refused.to_string();
    assert!(matches!(refused, StartError::InUse { .. }), "{message}");
    assert!(message.contains(&folder.display().to_string()), "{message}");
    assert!(message.contains(endpoint.endpoint()), "{message}");

    endpoint.shutdown().await.unwrap();
    assert!(!folder.join("endpoint.json").exists());
    assert_eq!(LocalCosmos::attach(&folder).await.unwrap(), None);
    let again = LocalCosmos::builder().data_dir(&folder).start().await.unwrap();
    again.shutdown().await.unwrap();
}

#[tokio::test]
async fn dropping_ends_it_and_gives_the_folder_back() {
    let folder = tempfile::tempdir().unwrap();
    drop(LocalCosmos::builder().data_dir(folder.path()).start().await.unwrap());
    let mut started = None;
    for _attempt in 0..50 {
        if let Ok(endpoint) = LocalCosmos::builder().data_dir(folder.path()).start().await {
            started = Some(endpoint);
            break;
        }
    }
    started.unwrap().shutdown().await.unwrap();
}

#[tokio::test]
async fn bad_settings_are_refused() {
    let refused = LocalCosmos::builder().key("no key").start().await.unwrap_err();
    assert!(matches!(refused, StartError::Key));
    let other = LocalCosmos::builder().start().await.unwrap();
    let port = other.endpoint().trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap();
    let refused = LocalCosmos::builder().port(port).start().await.unwrap_err();
    assert!(matches!(refused, StartError::Listen { .. }));
    assert!(refused.to_string().contains(&port.to_string()));
    other.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_management_port_reports_and_counts() {
    let endpoint = LocalCosmos::builder().mode(Mode::Lenient).start().await.unwrap();
    let at = endpoint.management_endpoint();
    let (status, health) = manage(at, "GET", "/health", "").await;
    assert_eq!(
        (status, &health["status"], &health["mode"]),
        (200, &json!("ok"), &json!("lenient"))
    );
    assert_eq!(health["pid"], std::process::id());
    let (status, counters) = manage(at, "GET", "/counters", "").await;
    assert_eq!((status, &counters["total"]), (200, &json!(0)));
    assert_eq!(manage(at, "DELETE", "/counters", "").await.0, 200);
    assert_eq!(manage(at, "GET", "/nothing", "").await.0, 404);
    assert_eq!(manage(at, "PUT", "/health", "").await.0, 405);
    assert_eq!(manage(at, "POST", "/sweep", "").await, (200, json!({"removed": 0})));
    endpoint.shutdown().await.unwrap();
}

#[tokio::test]
async fn faults_are_managed() {
    let endpoint = LocalCosmos::builder().start().await.unwrap();
    let at = endpoint.management_endpoint();
    let fault = r#"{"match":{"kinds":["batch"]},"action":{"type":"drop-after"},"count":1}"#;
    let (status, active) = manage(at, "POST", "/faults", fault).await;
    assert_eq!((status, &active["id"], &active["hits"]), (201, &json!(1), &json!(0)));
    assert_eq!(active["action"], json!({"type": "drop-after"}));
    let (status, throttle) = manage(at, "POST", "/throttle", r#"{"ratio":0.5,"seconds":9}"#).await;
    assert_eq!((status, &throttle["action"]["type"]), (201, &json!("throttle")));
    assert_eq!(endpoint.control().faults().len(), 2);
    assert_eq!(manage(at, "DELETE", "/faults/1", "").await.0, 200);
    assert_eq!(manage(at, "DELETE", "/faults/1", "").await.0, 404);
    let (_, listed) = manage(at, "GET", "/faults", "").await;
    assert_eq!(listed["faults"].as_array().unwrap().len(), 1);
    assert_eq!(manage(at, "DELETE", "/throttle", "").await.0, 200);
    assert!(endpoint.control().faults().is_empty());
    let (status, error) = manage(at, "POST", "/faults", r#"{"action":{"type":"x"}}"#).await;
    assert!(status == 400 && error["error"].is_string());
    assert_eq!(manage(at, "POST", "/throttle", "{}").await.0, 400);
    assert_eq!(manage(at, "DELETE", "/faults", "").await.0, 200);
    endpoint.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_does_not_exist_is_not_split_or_merged() {
    let endpoint = LocalCosmos::builder().start().await.unwrap();
    let at = endpoint.management_endpoint();
    let split = r#"{"database":"x","container":"y"}"#;
    assert_eq!(manage(at, "POST", "/split", split).await.0, 404);
    let merge = r#"{"database":"x","container":"y","left":0,"right":1}"#;
    assert_eq!(manage(at, "POST", "/merge", merge).await.0, 404);
    assert_eq!(manage(at, "GET", "/partitions/x/y", "").await.0, 404);
    assert_eq!(manage(at, "POST", "/split", "{}").await.0, 400);
    endpoint.shutdown().await.unwrap();
}

#[tokio::test]
async fn it_stops_when_told_over_the_port() {
    let endpoint = LocalCosmos::builder().start().await.unwrap();
    let (status, _) = manage(endpoint.management_endpoint(), "POST", "/shutdown", "").await;
    assert_eq!(status, 202);
    endpoint.stopping().await;
    endpoint.shutdown().await.unwrap();
}

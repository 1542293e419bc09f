//! Managed identity, as App Service, Functions and Container Apps give it: a token endpoint on this machine.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use serde_json::Value;

use super::program::program;

/// A token that must not show anywhere.
const TOKEN: &str = "eyJ0b2tlbiI6InNlY3JldCJ9.c2VjcmV0.c2VjcmV0";
/// An account that does not exist, by a name that no name server has (RFC 2606).
const NOWHERE: &str = "https://account.documents.invalid/";

/// The token endpoint, and what it was asked.
struct Tokens {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    answering: Option<JoinHandle<()>>,
}

impl Tokens {
    fn new(status: &'static str, body: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (stopped, asking) = (Arc::clone(&stop), Arc::clone(&asked));
        let answering = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let mut stream = stream.unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let head: Vec<String> =
                    lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
                asking.lock().unwrap().push(head.join("\n"));
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: \
                     close\r\n\r\n{body}"
                );
                // Whoever has asked may have gone away.
                let _answered = stream.write_all(answer.as_bytes()).is_ok();
            }
        });
        Self { address, asked, stop, answering: Some(answering) }
    }

    /// What the doctor finds with this identity, and everything that it printed.
    fn doctor(&self, client_id: &str) -> (Vec<Value>, String) {
        let args = ["doctor", "--endpoint", NOWHERE, "--credential", "managed-identity"];
        let more = ["--client-id", client_id, "--output", "json", "--log", "trace"];
        let mut command = program(&[&args[..], &more].concat());
        command.env("IDENTITY_ENDPOINT", format!("http://{}/token", self.address));
        let output = command.env("IDENTITY_HEADER", "header-secret").output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let printed = String::from_utf8(output.stdout).unwrap();
        let found: Vec<Value> = serde_json::from_str(&printed).unwrap();
        (found, printed + &String::from_utf8(output.stderr).unwrap())
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
        if let Some(answering) = self.answering.take() {
            answering.join().unwrap();
        }
    }
}

fn state<'v>(found: &'v [Value], check: &str) -> &'v str {
    found.iter().find(|one| one["check"] == check).unwrap()["state"].as_str().unwrap()
}

#[test]
fn a_token_is_asked_for_by_the_client_id_and_shown_nowhere() {
    let expires = 4_102_444_800_u64;
    let body = format!(
        r#"{{"access_token":"{TOKEN}","expires_on":"{expires}","resource":"https://cosmos.azure.com","token_type":"Bearer"}}"#
    );
    let tokens = Tokens::new("200 OK", body);
    let (found, printed) = tokens.doctor("11111111-2222-3333-4444-555555555555");
    let asked = tokens.asked.lock().unwrap().join("\n\n").to_lowercase();
    assert!(asked.starts_with("get /token?"), "{asked}");
    for part in [
        "client_id=11111111-2222-3333-4444-555555555555",
        "cosmos.azure.com",
        "x-identity-header: header-secret",
    ] {
        assert!(asked.contains(part), "{part} in {asked}");
    }
    // The token is there, and the account is not.
    assert_eq!((state(&found, "endpoint"), state(&found, "identity")), ("failed", "skipped"));
    for secret in [TOKEN, "header-secret"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[test]
fn an_identity_that_is_not_there_is_told_from_an_account_that_is_not() {
    let body = r#"{"error":"invalid_request","error_description":"Identity not found"}"#;
    let tokens = Tokens::new("400 Bad Request", body.to_owned());
    let (found, _) = tokens.doctor("11111111-2222-3333-4444-555555555555");
    assert_eq!((state(&found, "endpoint"), state(&found, "identity")), ("skipped", "failed"));
    let identity = found.iter().find(|one| one["check"] == "identity").unwrap();
    assert!(identity["mend"].as_str().unwrap().contains("client-id"), "{identity}");
}

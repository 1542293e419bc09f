//! Managed identity, as App Service, Functions and Container Apps give it: a token endpoint on this machine.

use serde_json::Value;

use super::{program::program, stub::Stub};

/// A token that must not show anywhere.
const TOKEN: &str = "eyJ0b2tlbiI6InNlY3JldCJ9.c2VjcmV0.c2VjcmV0";
/// An account that does not exist, by a name that no name server has (RFC 2606).
const NOWHERE: &str = "https://account.documents.invalid/";

/// What the doctor finds with the identity of a token endpoint, and everything that it printed.
fn doctor(tokens: &Stub, client_id: &str) -> (Vec<Value>, String) {
    let args = ["doctor", "--endpoint", NOWHERE, "--credential", "managed-identity"];
    let more = ["--client-id", client_id, "--output", "json", "--log", "trace"];
    let mut command = program(&[&args[..], &more].concat());
    command.env("IDENTITY_ENDPOINT", format!("{}/token", tokens.endpoint()));
    let output = command.env("IDENTITY_HEADER", "header-secret").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let printed = String::from_utf8(output.stdout).unwrap();
    let found: Vec<Value> = serde_json::from_str(&printed).unwrap();
    (found, printed + &String::from_utf8(output.stderr).unwrap())
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
    let tokens = Stub::new("200 OK", &body);
    let (found, printed) = doctor(&tokens, "11111111-2222-3333-4444-555555555555");
    let asked = tokens.asked();
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
    let tokens = Stub::new("400 Bad Request", body);
    let (found, _) = doctor(&tokens, "11111111-2222-3333-4444-555555555555");
    assert_eq!((state(&found, "endpoint"), state(&found, "identity")), ("skipped", "failed"));
    let identity = found.iter().find(|one| one["check"] == "identity").unwrap();
    assert!(identity["mend"].as_str().unwrap().contains("client-id"), "{identity}");
}

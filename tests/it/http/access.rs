//! Who may use the service: with keys, with tokens of a tenant that the test plays, with both, with neither.

mod api_keys;
mod key_sets;
mod logs;
mod routes;
mod surroundings;
mod tenant;
mod token;
mod tokens;

use std::sync::Arc;

use cosmos_event_store::{
    clock::ManualClock,
    http::{
        ServiceOptions,
        access::{Access, ApiKeys},
    },
};
use reqwest::Method;
use serde_json::{Value, json};

use self::{
    tenant::Tenant,
    token::{SigningKey, Token},
};
use super::service::{Answer, JSON, Served, send};
use crate::fixture::manual_clock;

/// When it is, in these tests.
const NOW: &str = "2026-11-20T10:00:00Z";

/// The key with this name. It is made from the name, so nothing secret stands here.
fn key(name: &str) -> String {
    format!("{name}-key-of-a-test-that-is-long-enough")
}

/// Keys with one scope each, `reader`, `writer` and `admin`, and one with all of them, `all`.
fn keys() -> ApiKeys {
    let entry =
        |name: &str, scopes: &[&str]| json!({"name": name, "key": key(name), "scopes": scopes});
    let entries = json!([
        entry("reader", &["read"]),
        entry("writer", &["write"]),
        entry("admin", &["admin"]),
        entry("all", &["read", "write", "admin"]),
    ]);
    ApiKeys::parse(&entries.to_string()).unwrap()
}

fn with_keys(service: ServiceOptions) -> ServiceOptions {
    service.with_access(Access::none().with_keys(keys()))
}

/// A service that takes the keys.
async fn keyed() -> Served {
    Served::with(|store| store, with_keys).await
}

/// A service that takes the tokens of a tenant, with the clock that both go by.
struct Guarded {
    served: Served,
    tenant: Tenant,
    clock: Arc<ManualClock>,
}

impl Guarded {
    /// The tenant has the key `k-1`, and has told it nobody yet.
    async fn new() -> Self {
        Self::with(Access::none()).await
    }

    async fn with(access: Access) -> Self {
        Self::of(access, |service| service).await
    }

    async fn of(access: Access, service: impl FnOnce(ServiceOptions) -> ServiceOptions) -> Self {
        let tenant = Tenant::with(&[("k-1", SigningKey::first())]).await;
        let clock = manual_clock(NOW);
        let entra = tenant.options().with_clock(clock.clone());
        let access = access.with_entra(entra).unwrap();
        let options = |options: ServiceOptions| service(options.with_access(access));
        let served = Served::with(|store| store, options).await;
        Self { served, tenant, clock }
    }

    /// A good token.
    fn token(&self) -> Token {
        Token::of(SigningKey::first(), "k-1").at(&self.clock)
    }

    /// A read with a token.
    async fn read(&self, token: &str) -> Answer {
        bearer(&self.served, Method::GET, "/streams", token).await
    }
}

/// A request with a key or token in `Authorization`.
async fn bearer(served: &Served, method: Method, path: &str, credential: &str) -> Answer {
    let is_read = method == Method::GET;
    let request = served.request(method, path);
    let request = request.header("authorization", format!("Bearer {credential}"));
    send(if is_read { request } else { request.header("content-type", JSON).body(BODY) }).await
}

/// The body of an append.
const BODY: &str = r#"{"events":[{"type":"Tested","data":1}]}"#;

/// Who callers are, as tokens say it.
const OBJECT_ID: &str = "5f0e7d8c-0000-4000-8000-00000000000a";

/// It is refused as unauthenticated, and with this challenge.
#[track_caller]
fn assert_unknown(answer: &Answer, detail: &str) -> Value {
    let problem = answer.problem(401, "unauthenticated");
    assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"");
    assert_eq!(problem["detail"], detail);
    problem
}

/// What a caller is told whose credential is not accepted, whatever the reason.
const NOT_ACCEPTED: &str = "the key or token is not accepted";

//! The properties of an account that the SDK does not show: its regions, its consistency, its clock.
//!
//! They decide whether an event store may be there at all, so they are read from the service itself: one
//! `GET` of the account, as the REST reference describes it ("Get a database account"). Nothing is kept.

use std::time::Duration;

use azure_core::credentials::TokenCredential;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde::Deserialize;
use sha2::Sha256;
use thiserror::Error;

use super::{Signing, is_loopback, signing};
use crate::config::StoreOptions;

/// The largest answer that is read: that of an account has a few thousand bytes.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// The variable by which the SDK takes a proxy of the environment, and without which it takes none.
const PROXY_ALLOWED: &str = "AZURE_COSMOS_CONNECTION_POOL_IS_PROXY_ALLOWED";
/// How long the account may take to answer: it is looked at while somebody waits for the start.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
/// How long an identity may take to give a token: the CLI that a developer is signed in to is slow.
const TOKEN_TIME_MAX: Duration = Duration::from_secs(20);
/// The version of the REST protocol.
const API_VERSION: &str = "2020-07-15";
/// What a token must be for.
const SCOPE: &str = "https://cosmos.azure.com/.default";

/// What an account says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccountProperties {
    /// The regions that take writes.
    pub write_regions: Vec<String>,
    /// The regions that answer reads, in the order of the account.
    pub read_regions: Vec<String>,
    /// Whether writes may go to more than one region.
    pub has_multiple_write_regions: bool,
    /// The default consistency, by its name in the REST protocol.
    pub consistency: String,
    /// The clock of the service when it answered, to the second; nothing where it does not say.
    pub served_at: Option<Timestamp>,
}

impl AccountProperties {
    /// An account with one write region by its settings, and these regions.
    pub fn new<'a>(
        write_regions: impl IntoIterator<Item = &'a str>,
        read_regions: impl IntoIterator<Item = &'a str>,
        consistency: impl Into<String>,
    ) -> Self {
        Self {
            write_regions: write_regions.into_iter().map(str::to_owned).collect(),
            read_regions: read_regions.into_iter().map(str::to_owned).collect(),
            has_multiple_write_regions: false,
            consistency: consistency.into(),
            served_at: None,
        }
    }

    /// Sets what the clock of the service said.
    #[must_use]
    pub fn with_served_at(mut self, served_at: Option<Timestamp>) -> Self {
        self.served_at = served_at;
        self
    }
}

/// Why the properties of an account are not known.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AccountFault {
    /// There is no token: the identity is not there, or nobody is signed in.
    #[error("the identity gives no token: {0}")]
    NoToken(String),
    /// The account refuses the identity or the key, or does so because of the network or the clock.
    #[error("the account refuses the identity or the key ({status})")]
    Denied {
        /// The HTTP status.
        status: u16,
        /// The clock of the service when it answered: requests are refused whose time is far from it.
        served_at: Option<Timestamp>,
    },
    /// The account cannot answer at the moment.
    #[error("the account cannot answer at the moment ({0})")]
    Busy(u16),
    /// The account does not answer.
    #[error("the account does not answer: {0}")]
    Unreachable(String),
    /// What answers is no account.
    #[error("what answers is no account of Cosmos DB: {0}")]
    NoAccount(String),
}

/// The answer, as far as it is needed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    writable_locations: Vec<Location>,
    #[serde(default)]
    readable_locations: Vec<Location>,
    #[serde(default)]
    enable_multiple_write_locations: bool,
    user_consistency_policy: Policy,
}

#[derive(Debug, Deserialize)]
struct Location {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Policy {
    default_consistency_level: String,
}

/// Asks the account. One request, without a request charge, and one for a token where that is needed.
///
/// # Errors
///
/// [`AccountFault`].
///
/// # Cancel safety
///
/// Nothing is changed.
pub(crate) async fn read_account(
    options: &StoreOptions,
    now: Timestamp,
) -> Result<AccountProperties, AccountFault> {
    let none = |error: azure_core::Error| AccountFault::NoToken(one_line(&error.to_string()));
    let authorization = match signing(&options.credential).map_err(none)? {
        Signing::Key(key) => signature(key.secret(), now)?,
        Signing::Tokens(tokens) => Box::pin(token(&*tokens)).await?,
    };
    let unreachable = |error: reqwest::Error| AccountFault::Unreachable(plain(&error));
    let mut answer = client(&options.endpoint)
        .map_err(unreachable)?
        .get(format!("{}/", options.endpoint.trim_end_matches('/')))
        .header("authorization", authorization)
        .header("x-ms-date", http_date(now)?)
        .header("x-ms-version", API_VERSION)
        .send()
        .await
        .map_err(unreachable)?;
    let status = answer.status().as_u16();
    let served_at = answer.headers().get("date").and_then(|date| date.to_str().ok());
    let served_at = served_at.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    let served_at = served_at.map(|date| date.timestamp());
    match status {
        200 => {}
        401 | 403 => return Err(AccountFault::Denied { status, served_at }),
        408 | 429 | 500.. => return Err(AccountFault::Busy(status)),
        other => return Err(AccountFault::NoAccount(format!("it answers {other}"))),
    }
    let no_account = || AccountFault::NoAccount("its answer is not that of an account".to_owned());
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
        if body.len().saturating_add(chunk.len()) > ANSWER_BYTES_MAX {
            return Err(no_account());
        }
        body.extend_from_slice(&chunk);
    }
    let found: Answer = serde_json::from_slice(&body).map_err(|_| no_account())?;
    let names = |locations: Vec<Location>| locations.into_iter().map(|one| one.name).collect();
    Ok(AccountProperties {
        write_regions: names(found.writable_locations),
        read_regions: names(found.readable_locations),
        has_multiple_write_regions: found.enable_multiple_write_locations,
        consistency: found.user_consistency_policy.default_consistency_level,
        served_at,
    })
}

/// A client that goes the way that the SDK goes: what it finds is true for all other requests.
fn client(endpoint: &str) -> reqwest::Result<reqwest::Client> {
    let is_allowed =
        std::env::var_os(PROXY_ALLOWED).is_some_and(|it| it.eq_ignore_ascii_case("true"));
    let mut client = reqwest::Client::builder()
        .timeout(ANSWER_TIME_MAX)
        .redirect(reqwest::redirect::Policy::none());
    if !is_allowed || is_loopback(endpoint) {
        client = client.no_proxy();
    }
    client.build()
}

async fn token(tokens: &dyn TokenCredential) -> Result<String, AccountFault> {
    let token = tokio::time::timeout(TOKEN_TIME_MAX, tokens.get_token(&[SCOPE], None)).await;
    let token = token
        .map_err(|_| AccountFault::NoToken("it took too long".to_owned()))?
        .map_err(|error| AccountFault::NoToken(one_line(&error.to_string())))?;
    Ok(encoded(&format!("type=aad&ver=1.0&sig={}", token.token.secret())))
}

/// The signature of a `GET` of the account with its key, as "Access control on Cosmos DB resources" says.
fn signature(key: &str, now: Timestamp) -> Result<String, AccountFault> {
    let wrong = || AccountFault::NoToken("the key is not base64".to_owned());
    let key = STANDARD.decode(key.trim()).map_err(|_| wrong())?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| wrong())?;
    mac.update(format!("get\n\n\n{}\n\n", http_date(now)?.to_ascii_lowercase()).as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    Ok(encoded(&format!("type=master&ver=1.0&sig={signature}")))
}

/// A date as HTTP has it.
fn http_date(now: Timestamp) -> Result<String, AccountFault> {
    jiff::fmt::rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&now)
        .map_err(|error| AccountFault::Unreachable(format!("the clock of this machine: {error}")))
}

/// An authorization as it stands in its header: percent-encoded where a URL would have it so.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            crate::event::write_infallibly(&mut encoded, format_args!("%{byte:02X}"));
        }
    }
    encoded
}

/// What went wrong on the way, with its causes and without the address.
fn plain(error: &reqwest::Error) -> String {
    let mut text = match () {
        () if error.is_timeout() => "it took too long".to_owned(),
        () if error.is_connect() => "no connection".to_owned(),
        () => "the answer was cut off".to_owned(),
    };
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {}", one_line(&inner.to_string()));
        cause = inner.source();
    }
    text
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

//! What the log says of callers, and what it never says.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use cosmos_event_store::http::{access::Access, limits::KEY_SET_PAUSE};
use reqwest::Method;
use serde_json::json;
use tracing::{Dispatch, subscriber::NoSubscriber};
use tracing_subscriber::{filter::LevelFilter, fmt::MakeWriter, util::SubscriberInitExt as _};

use super::{Guarded, OBJECT_ID, bearer, key, keys, tenant::Answering, token::SigningKey};

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[tokio::test]
async fn no_key_and_no_token_is_ever_in_it() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    // With one subscriber only, what another thread is the first to log would be off here, too.
    let _second = Dispatch::new(NoSubscriber::default());
    let logging = subscriber.set_default();
    let guarded = Guarded::with(Access::none().with_keys(keys())).await;
    let good = guarded.token();
    let tokens = [
        good.signed(),
        good.clone().key(SigningKey::second()).signed(),
        good.clone().header("kid", json!("k-9")).signed(),
        good.clone().header("alg", json!("none")).signed(),
        good.clone().claim("aud", json!("other")).signed(),
        good.clone().roles(&[]).signed(),
        good.signed_by_secret(b"secret"),
    ];
    let wrong = format!("{}-wrong", key("reader"));
    let credentials = tokens.iter().cloned().chain([key("reader"), key("writer"), wrong]);
    let credentials: Vec<String> = credentials.collect();
    for credential in &credentials {
        bearer(&guarded.served, Method::GET, "/streams", credential).await;
        bearer(&guarded.served, Method::POST, "/streams/s-1/events", credential).await;
        guarded.served.get_with("/streams", &[("api-key", credential)]).await;
        let both =
            [("api-key", credential.as_str()), ("authorization", &format!("Bearer {credential}"))];
        guarded.served.get_with("/healthz", &both).await;
        guarded.served.get_with("/streams", &both).await;
    }
    guarded.tenant.answer(Answering::With(500, "no".to_owned()));
    guarded.clock.advance(KEY_SET_PAUSE + Duration::from_secs(1));
    guarded.read(&tokens[2]).await;
    drop(logging);
    let text = log.text();
    // It is the log that is looked at: what was done stands there, of the client's library, too.
    for said in [
        "cosmos_event_store::http: request method=GET route=\"/streams\" status=200",
        "principal=\"reader\"",
        &format!("principal=\"{OBJECT_ID}\""),
        "a caller is not known reason=the key is none of the settings",
        "a caller is not known reason=the token is for another audience",
        "no signing keys of the tenant error=the key set was answered with the status 500",
        "TRACE",
        "hyper",
    ] {
        assert!(text.contains(said), "{said} is not in the log");
    }
    let refused = |line: &str| line.contains("status=403") && line.contains("principal=\"reader\"");
    assert!(text.lines().any(refused), "who was refused is not in the log");
    for credential in &credentials {
        for secret in secrets(credential) {
            assert!(!text.contains(&secret), "{secret} is in the log");
        }
    }
    for personal in ["Some Body", "somebody@contoso.example"] {
        assert!(!text.contains(personal), "{personal} is in the log");
    }
}

/// What must not be seen of a credential: a key, and the claims and the signature of a token.
fn secrets(credential: &str) -> Vec<String> {
    let parts: Vec<&str> = credential.split('.').collect();
    match parts[..] {
        [_, claims, signature] => {
            vec![
                claims[..40].to_owned(),
                claims[claims.len() - 40..].to_owned(),
                signature[..40].to_owned(),
            ]
        }
        _ => vec![credential.to_owned()],
    }
}

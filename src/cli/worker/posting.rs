//! Deliveries as requests to a URL.

use std::time::Duration;

use futures::{FutureExt as _, future::BoxFuture};
use reqwest::{
    Client, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderValue},
    redirect::Policy,
};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    cli::CliError,
    cosmos::is_loopback,
    feed::{Delivery, Handler, HandlerFault, options},
};

/// How often a run is tried. What ends the tries is the time of all of them together: a receiver that is
/// away for less than that parks nothing.
pub(super) const ATTEMPTS_MAX: u32 = 100;
/// How long one attempt may take.
pub(super) const ATTEMPT_TIME_MAX: Duration = options::ATTEMPT_TIME_MAX;
/// How long one request may take: less than an attempt, so that the receiver is to blame by name.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(25);
/// How long a connection may take to be made.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// The header that is the same whenever the same events are delivered.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Posts each run. It has no `Debug`: the URL may have a secret in it.
pub(super) struct Posting {
    client: Client,
    url: Url,
}

/// A run, as it is posted.
#[derive(Debug, Serialize)]
struct Run<'a> {
    stream: &'a str,
    epoch: u64,
    attempt: u32,
    events: Vec<&'a RawValue>,
}

impl Posting {
    pub(super) fn new(url: Url) -> Result<Self, CliError> {
        let mut client = Client::builder()
            .timeout(REQUEST_TIME_MAX)
            .connect_timeout(CONNECT_TIME_MAX)
            // A body that is posted must not arrive as a question without one.
            .redirect(Policy::none());
        if is_loopback(url.as_str()) {
            client = client.no_proxy();
        }
        let client = client
            .build()
            .map_err(|_| CliError::Usage("the client for --to cannot be made".to_owned()))?;
        Ok(Self { client, url })
    }
}

impl Handler for Posting {
    fn handle<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Result<(), HandlerFault>> {
        async move {
            let (stream, epoch, attempt) = (&*delivery.key, delivery.epoch, delivery.attempt);
            let events = delivery.changes.iter().map(|change| &*change.document).collect();
            let body = serde_json::to_vec(&Run { stream, epoch, attempt, events })
                .map_err(|_| HandlerFault::poison("the events cannot be written as JSON"))?;
            let key = HeaderValue::try_from(idempotency_key(delivery))
                .map_err(|_| HandlerFault::poison("the stream cannot be named in a header"))?;
            let request = self.client.post(self.url.clone()).body(body);
            let request = request.header(CONTENT_TYPE, "application/json");
            match request.header(IDEMPOTENCY_KEY, key).send().await {
                Ok(answer) => judge(answer.status()),
                Err(error) if error.is_timeout() => {
                    Err(HandlerFault::transient("the receiver took too long"))
                }
                Err(error) if error.is_connect() => {
                    Err(HandlerFault::transient("the receiver cannot be reached"))
                }
                Err(_) => Err(HandlerFault::transient("the receiver gave no answer")),
            }
        }
        .boxed()
    }
}

/// What a status means. Only a refusal is the fault of the events.
fn judge(status: StatusCode) -> Result<(), HandlerFault> {
    let reason = || format!("the receiver answered {}", status.as_u16());
    match status.as_u16() {
        200..=299 => Ok(()),
        408 | 425 | 429 => Err(HandlerFault::transient(reason())),
        400..=499 => Err(HandlerFault::poison(reason())),
        _ => Err(HandlerFault::transient(reason())),
    }
}

/// Stream, first and last event. What cannot stand in a header is percent-encoded.
fn idempotency_key(delivery: &Delivery) -> String {
    let order = |change: Option<&crate::feed::Change>| change.map_or(0, |change| change.order);
    let (first, last) = (order(delivery.changes.first()), order(delivery.changes.last()));
    format!("{}-{first}-{last}", encoded(&delivery.key))
}

fn encoded(text: &str) -> String {
    let encode = |byte: u8| {
        if byte.is_ascii_graphic() && byte != b'%' {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_is_the_fault_of_the_events() {
        let is = |status: u16| judge(StatusCode::from_u16(status).unwrap());
        let text = |status: u16| format!("the receiver answered {status}");
        for status in [200, 204, 299] {
            assert_eq!(is(status), Ok(()), "{status}");
        }
        for status in [302, 408, 425, 429, 500, 503] {
            assert_eq!(is(status), Err(HandlerFault::transient(text(status))), "{status}");
        }
        for status in [400, 404, 409, 422] {
            assert_eq!(is(status), Err(HandlerFault::poison(text(status))), "{status}");
        }
    }

    #[test]
    fn keys_of_any_stream_can_stand_in_a_header() {
        assert_eq!(encoded("quote-1"), "quote-1");
        assert_eq!(encoded("a b%\u{e9}\n"), "a%20b%25%C3%A9%0A");
    }

    #[test]
    fn a_request_ends_before_its_attempt() {
        assert!(REQUEST_TIME_MAX < ATTEMPT_TIME_MAX);
    }
}

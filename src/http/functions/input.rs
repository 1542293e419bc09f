//! What an invocation asks for, read out of its body. Of a trigger nothing is left of the body then.

use std::collections::HashSet;

use axum::{
    body::{Body, Bytes},
    extract::Request,
};
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use super::{
    Changed, Function, INVOCATION_BODY_TIME_MAX, INVOCATION_BYTES_MAX, INVOCATION_DRAIN_BYTES_MAX,
    TARGET,
    envelope::{Envelope, Named, Timer, Unreadable},
    unpacked::HttpTrigger,
};

/// What an invocation asks for.
pub(super) enum Input {
    /// To answer a request.
    Request(Box<Result<Request, Unreadable>>),
    /// To keep read models up to date.
    Pump {
        /// Whether the timer should have come before.
        is_late: bool,
    },
    /// To tell the lag.
    Lag,
    /// To have changes read.
    Changes(Changed),
    /// Nothing: the batch was empty.
    Nothing,
}

impl Input {
    /// Reads the body of an invocation. A trigger whose envelope cannot be read asks for the same as any other:
    /// what has called it has happened.
    pub(super) async fn read(function: Function, body: Body) -> Self {
        let body = read(body).await;
        let envelope = body.as_deref().map_err(|fault| *fault).and_then(Envelope::read);
        if let Ok(envelope) = &envelope {
            note(function, envelope);
        }
        let (_, binding) = function.trigger();
        match function {
            Function::Api => Self::Request(Box::new(
                envelope
                    .and_then(|envelope| envelope.trigger::<HttpTrigger>(binding))
                    .and_then(HttpTrigger::into_request),
            )),
            Function::Pump => {
                let timer = envelope.and_then(|envelope| envelope.trigger::<Timer>(binding));
                Self::Pump { is_late: said(function, timer).is_some_and(|timer| timer.is_past_due) }
            }
            Function::Lag => {
                said(function, envelope.and_then(|envelope| envelope.trigger::<Timer>(binding)));
                Self::Lag
            }
            Function::WakeUp => {
                let named = envelope.and_then(|envelope| envelope.trigger::<Vec<Named>>(binding));
                match said(function, named) {
                    Some(named) if named.is_empty() => Self::Nothing,
                    named => Self::Changes(named.as_deref().map(changed).unwrap_or_default()),
                }
            }
        }
    }
}

/// Says what cannot be read of an invocation.
fn said<T>(function: Function, read: Result<T, Unreadable>) -> Option<T> {
    if let Err(unreadable) = &read {
        tracing::warn!(target: TARGET, function = function.name(), %unreadable, "an invocation cannot be read");
    }
    read.ok()
}

/// Says what the host tells of an invocation.
fn note(function: Function, envelope: &Envelope<'_>) {
    let about = envelope.about();
    let method = about.sys.and_then(|sys| sys.method_name);
    let is_again = |count: Option<i64>| count.is_some_and(|count| count > 0);
    if let Some(retry) = about.retry.filter(|retry| is_again(retry.retry_count)) {
        tracing::info!(
            target: TARGET,
            function = function.name(),
            retry = retry.retry_count,
            retries_max = retry.max_retry_count,
            "an invocation is repeated"
        );
    }
    if method.is_some_and(|method| !method.eq_ignore_ascii_case(function.name())) {
        tracing::debug!(target: TARGET, function = function.name(), "the host calls it otherwise");
    }
}

/// How much has changed.
fn changed(named: &[Named]) -> Changed {
    // A document of another form is one of no stream.
    let is_event = |one: &&Named| one.id.is_some() && one.sequence_number.is_some();
    let streams = named.iter().filter(is_event).filter_map(|one| one.aggregate_id.as_deref());
    let streams = streams.collect::<HashSet<_>>().len();
    Changed { documents: named.len(), streams }
}

async fn read(body: Body) -> Result<Bytes, Unreadable> {
    let read = timeout(INVOCATION_BODY_TIME_MAX, collect(body)).await;
    read.map_err(|_| Unreadable::Body)?
}

async fn collect(mut body: Body) -> Result<Bytes, Unreadable> {
    let (mut read, mut bytes) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame.map_err(|_| Unreadable::Body)?.into_data() else { continue };
        bytes = bytes.saturating_add(chunk.len());
        if bytes > INVOCATION_DRAIN_BYTES_MAX {
            break;
        }
        if bytes > INVOCATION_BYTES_MAX {
            read = Vec::new();
        } else {
            read.extend_from_slice(&chunk);
        }
    }
    if bytes > INVOCATION_BYTES_MAX { Err(Unreadable::Large) } else { Ok(read.into()) }
}

//! Commands: from a request to what became of it.

use axum::{
    extract::{FromRequest, Request},
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::Response,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::refusal;
use crate::{
    aggregate::{CommandId, CommandOptions, CommandOutcome, Executed},
    event::{Metadata, Object, content_hash},
    http::{
        access::Principal,
        answer, body, etag,
        idempotency::IdempotencyKey,
        media::{self, JSON},
        problem::{Problem, REQUEST_CHARGE, request_charge},
        read_models,
        shared::{InFlight, Shared},
        streams::{SESSION_TOKEN, session_token},
        trace,
    },
    projection::ReceiptToken,
    quotes::{Action, Actor, Quote, QuoteCommand, QuoteView, ValidationError},
    stream::{ExpectedVersion, StreamId},
};

/// The header that says who asks. The caller is believed: it may ask for somebody else.
pub(crate) const ACTOR: HeaderName = HeaderName::from_static("x-actor");
/// Who asks where neither the header nor the access control says so.
const ACTOR_DEFAULT: &str = "api";
/// What a body may be.
const TYPES: &[&str] = &[JSON];

/// What a request asks for, read to its end.
pub(super) struct Asked {
    /// Who asks.
    pub(super) by: Actor,
    pub(super) key: Option<IdempotencyKey>,
    pub(super) options: CommandOptions,
    /// A header requires that the quote exists, at whatever version.
    pub(super) must_exist: bool,
    /// The body; an empty object where there is none.
    pub(super) body: String,
    in_flight: InFlight,
}

impl FromRequest<Shared> for Asked {
    type Rejection = Problem;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let by = actor(&parts)?;
        let key = IdempotencyKey::of(&parts.headers)?;
        let required = etag::required_version(&parts.headers)?;
        let expected_version = match required {
            Some(ExpectedVersion::NoStream) => Some(0),
            Some(ExpectedVersion::Exact(version)) => Some(version),
            Some(ExpectedVersion::StreamExists | ExpectedVersion::Any) | None => None,
        };
        let must_exist = required == Some(ExpectedVersion::StreamExists);
        let session_token = session_token(&parts.headers)?;
        let metadata = trace::traced(Metadata::default(), parts.extensions.get());
        let options = CommandOptions {
            expected_version,
            metadata,
            session_token,
            ..CommandOptions::default()
        };
        // Every route but the ones about health has a place.
        let in_flight = parts.extensions.remove().ok_or_else(Problem::internal)?;
        let body = text(shared, &parts, body).await?;
        Ok(Self { by, key, options, must_exist, body, in_flight })
    }
}

/// The body as text. One that is missing needs no type.
async fn text(shared: &Shared, parts: &Parts, body: axum::body::Body) -> Result<String, Problem> {
    let has_type = parts.headers.contains_key(header::CONTENT_TYPE);
    if has_type {
        media::of_body(&parts.headers, TYPES)?;
    }
    let bytes = body::read(shared, body).await?;
    match body::text(&bytes)? {
        "" => Ok("{}".to_owned()),
        text if has_type => Ok(text.to_owned()),
        // Says what types there are.
        text => media::of_body(&parts.headers, TYPES).map(|_| text.to_owned()),
    }
}

fn actor(parts: &Parts) -> Result<Actor, Problem> {
    let mut values = parts.headers.get_all(ACTOR).iter();
    let principal = parts.extensions.get::<Principal>();
    let name = match (values.next().map(HeaderValue::to_str), values.next()) {
        (None, _) => principal.map_or(ACTOR_DEFAULT, Principal::as_str),
        (Some(Ok(name)), None) => name,
        _ => return Err(Problem::header(ACTOR.as_str(), "one value, in ASCII")),
    };
    Actor::new(name).map_err(|problem| Problem::header(ACTOR.as_str(), problem.to_string()))
}

/// A command's name, and the body that came with it.
fn fingerprint(kind: &str, body: &Value) -> String {
    content_hash(&mut String::new(), kind, 1, body).as_str().to_owned()
}

/// Has the command of an input decided, and says what became of it.
pub(super) async fn run<I>(
    shared: Shared,
    id: StreamId,
    asked: Asked,
    kind: &'static str,
) -> Result<Response, Problem>
where
    I: DeserializeOwned + TryInto<Action, Error = ValidationError>,
{
    let Object(input): Object<I> = body::json(&asked.body)?;
    let action = input.try_into().map_err(|invalid| refusal::of_validation(&invalid))?;
    let (_, executed) = execute(&shared, &id, asked, kind, action).await?;
    done(&id, &executed, StatusCode::OK)
}

/// Has a command decided. It goes on when the client goes away.
pub(super) async fn execute(
    shared: &Shared,
    id: &StreamId,
    asked: Asked,
    kind: &'static str,
    action: Action,
) -> Result<(bool, Executed<Quote>), Problem> {
    let Asked { by, key, mut options, body, in_flight, .. } = asked;
    let required = options.expected_version;
    let token = options.session_token.clone();
    if let Some(key) = &key {
        let id = CommandId::new(key.as_str())
            .map_err(|error| Problem::header("idempotency-key", error.to_string()))?;
        let body: Value = body::json(&body)?;
        options = options.with_id(id).with_fingerprint(fingerprint(kind, &body));
    }
    let command = QuoteCommand { by, at: shared.store.now(), action };
    let (quotes, stream) = (shared.quotes.clone(), id.clone());
    let work = async move { Box::pin(quotes.execute(stream, &command, options)).await };
    match shared.write(in_flight, work).await? {
        Some(Ok(executed)) => {
            Ok((matches!(executed.outcome, CommandOutcome::Appended(_)), executed))
        }
        Some(Err(error)) => Err(refusal::of_command(error, required, token.as_ref())),
        None => Err(Problem::outcome_unknown()),
    }
}

/// What became of a command.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DoneBody<'a> {
    outcome: &'static str,
    /// The places of its events.
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<u64>,
    /// What a later read waits for.
    receipt: String,
    quote: &'a QuoteView,
}

/// The answer to a command: what became of it, and the quote as it is now.
pub(super) fn done(
    id: &StreamId,
    executed: &Executed<Quote>,
    status: StatusCode,
) -> Result<Response, Problem> {
    let view = QuoteView::new(id.as_str(), executed.version, &executed.state);
    let view = view.ok_or_else(|| refusal::not_found(executed.usage))?;
    let (outcome, receipt) = match &executed.outcome {
        CommandOutcome::Appended(receipt) => ("appended", Some(receipt)),
        CommandOutcome::Repeated(receipt) => ("repeated", Some(receipt)),
        CommandOutcome::Nothing => ("nothing", None),
    };
    let (first, last) = (receipt.map(|receipt| receipt.first), receipt.map(|receipt| receipt.last));
    let token = receipt.and_then(|receipt| receipt.session_token.clone());
    let token = token.or_else(|| executed.session_token.clone());
    // Where there was nothing to do, what has to be seen is the quote as it was found.
    let receipt = ReceiptToken::new(id.as_str(), last.unwrap_or(executed.version), token);
    let body = DoneBody { outcome, first, last, receipt: receipt.to_string(), quote: &view };
    let mut answer = answer::of_value(status, JSON, &body)?;
    let headers = answer.headers_mut();
    read_models::add_receipt(headers, &receipt);
    headers.insert(header::ETAG, etag::of_version(executed.version));
    headers.insert(REQUEST_CHARGE, request_charge(executed.usage.request_charge));
    let token = executed.session_token.as_ref();
    if let Some(Ok(token)) = token.map(|token| HeaderValue::from_str(token.as_str())) {
        headers.insert(SESSION_TOKEN, token);
    }
    Ok(answer)
}

/// The members of an object without one of them.
pub(super) fn without(text: &str, name: &str) -> Result<String, Problem> {
    let mut members: Map<String, Value> = body::json(text)?;
    members.shift_remove(name);
    Ok(Value::Object(members).to_string())
}

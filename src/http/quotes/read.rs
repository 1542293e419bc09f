//! A quote and where it stands, from its read model or from its events.
//!
//! The read model is cheap and behind the events by moments. From the events it is current: where there are no
//! read models, where the request asks for it, and where it has a session token, which promises that.

use super::{
    refusal::{absent, not_found, of_load},
    schema,
};
use crate::{
    aggregate::{LoadError, LoadOptions},
    http::{
        answer, etag,
        media::{self, JSON},
        openapi::StoreReadProblems,
        parameters::{Parameters, StreamPath},
        problem::{Problem, REQUEST_CHARGE, request_charge},
        read_models::{self, ReadModelProblems, Seen, WaitParameters, Waiting},
        shared::{Inner, Shared},
        streams::{is_foreign_token, read_problem, session_token},
    },
    projection::{ReadModels, View, ViewKey},
    quotes::{
        Quote, QuoteView, StatusView,
        projections::{QuoteDetails, QuoteDetailsView},
    },
    store::{ReadError, SessionToken, Usage},
    stream::StreamId,
};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};

/// The parameters of a read of one quote.
const ONE: [&str; 3] = ["fresh", "after", "timeout"];

/// From what a read of one quote is answered.
pub(super) enum Source<'s> {
    /// From a read model, when that has what is waited for.
    ReadModels(&'s ReadModels, Waiting),
    /// From the events.
    Events(Token),
}

/// What a read of events has to see.
pub(super) struct Token {
    token: Option<SessionToken>,
    /// It came in the receipt of the parameter `after`, not in a header.
    is_of_receipt: bool,
}

impl Token {
    /// What makes the append of a receipt visible.
    pub(super) fn of_receipt(waiting: &Waiting) -> Self {
        Self { token: waiting.session_token().cloned(), is_of_receipt: true }
    }

    pub(super) fn get(&self) -> Option<&SessionToken> {
        self.token.as_ref()
    }

    /// A read that failed.
    pub(super) fn problem(&self, error: &ReadError) -> Problem {
        if self.is_of_receipt && is_foreign_token(error) {
            return read_models::foreign_receipt();
        }
        read_problem(error, self.get())
    }
}

impl<'s> Source<'s> {
    pub(super) fn of(
        shared: &'s Inner,
        name: &str,
        parameters: &Parameters,
        headers: &HeaderMap,
    ) -> Result<Self, Problem> {
        let token = session_token(headers)?;
        let waiting = Waiting::of(parameters)?;
        let is_fresh = parameters.flag("fresh")? || (token.is_some() && !waiting.is_asked());
        let has_it = |read_models: &&ReadModels| read_models.catalog().get(name).is_some();
        match shared.options.read_models.as_ref().filter(has_it) {
            Some(read_models) if !is_fresh => Ok(Self::ReadModels(read_models, waiting)),
            _ if token.is_none() => Ok(Self::Events(Token::of_receipt(&waiting))),
            _ => Ok(Self::Events(Token { token, is_of_receipt: false })),
        }
    }
}

/// A quote as it was found.
struct Found {
    quote: Quote,
    version: u64,
    /// What it took, where that is known.
    usage: Option<Usage>,
    seen: Seen,
}

impl Found {
    /// What the answer has besides the quote.
    fn mark(&self, answer: &mut Response) {
        if let Some(usage) = self.usage {
            answer.headers_mut().insert(REQUEST_CHARGE, request_charge(usage.request_charge));
        }
        self.seen.mark(answer);
    }

    fn none(&self) -> Problem {
        self.usage.map_or_else(absent, not_found)
    }
}

/// Read a quote.
#[utoipa::path(
    get,
    path = "/quotes/{id}",
    tag = "quotes",
    params(schema::QuoteId, schema::Fresh, WaitParameters, schema::ReadHeaders),
    responses(
        (status = 200, description = "The quote", body = schema::QuoteSchema,
         headers(("ETag" = String), ("request-charge" = String), ("read-model" = String))),
        (status = 304, description = "The quote is at the version that the client has"),
        StoreReadProblems,
        ReadModelProblems,
        schema::NotAQuote,
    )
)]
pub(super) async fn quote(
    State(shared): State<Shared>,
    StreamPath(id): StreamPath,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = find(&shared, &id, &parameters, &headers).await?;
    let view = QuoteView::new(id.as_str(), found.version, &found.quote);
    let view = view.ok_or_else(|| found.none())?;
    let tag = etag::of_version(found.version);
    let mut answer = if etag::is_known(&headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        answer::ok(&view)?
    };
    answer.headers_mut().insert(header::ETAG, tag);
    found.mark(&mut answer);
    Ok(answer)
}

/// Read where a quote stands, and what can be done with it now.
#[utoipa::path(
    get,
    path = "/quotes/{id}/status",
    tag = "quotes",
    params(schema::QuoteId, schema::Fresh, WaitParameters, schema::TokenHeader),
    responses(
        (status = 200, description = "Where it stands", body = schema::QuoteStatus,
         headers(("request-charge" = String), ("read-model" = String))),
        StoreReadProblems,
        ReadModelProblems,
        schema::NotAQuote,
    )
)]
pub(super) async fn status(
    State(shared): State<Shared>,
    StreamPath(id): StreamPath,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = find(&shared, &id, &parameters, &headers).await?;
    // What is possible changes with time, so there is no tag.
    let view = StatusView::new(id.as_str(), found.version, &found.quote, shared.store.now());
    let mut answer = answer::ok(&view.ok_or_else(|| found.none())?)?;
    found.mark(&mut answer);
    Ok(answer)
}

async fn find(
    shared: &Inner,
    id: &StreamId,
    parameters: &Parameters,
    headers: &HeaderMap,
) -> Result<Found, Problem> {
    parameters.only(&ONE)?;
    media::of_answer(headers, &[JSON])?;
    let name = QuoteDetails::NAME;
    match Source::of(shared, name, parameters, headers)? {
        Source::ReadModels(read_models, waiting) => {
            let (view, seen) = view_of(shared, read_models, &waiting, name, id).await?;
            let version = view.sequence_number;
            match view.decode() {
                Ok(QuoteDetailsView { quote, .. }) => {
                    Ok(Found { quote, version, usage: None, seen })
                }
                // Of former code, as long as the version of this code is being built.
                Err(_) => {
                    Ok(Found { seen, ..load(shared, id, &Token::of_receipt(&waiting)).await? })
                }
            }
        }
        Source::Events(token) => load(shared, id, &token).await,
    }
}

/// The view of a quote.
pub(super) async fn view_of(
    shared: &Inner,
    read_models: &ReadModels,
    waiting: &Waiting,
    name: &str,
    id: &StreamId,
) -> Result<(View, Seen), Problem> {
    let read = read_models.view(name, id.as_str(), &ViewKey::Stream);
    let (found, seen) = waiting.then(shared, read_models, name, read).await?;
    let found = found.map_err(|error| read_models::of_read(&error))?;
    Ok((found.ok_or_else(absent)?, seen))
}

async fn load(shared: &Inner, id: &StreamId, token: &Token) -> Result<Found, Problem> {
    let options = LoadOptions { session_token: token.get().cloned(), ..LoadOptions::default() };
    let loaded = shared.read(Box::pin(shared.quotes.load_with(id, options))).await?;
    let loaded = loaded.map_err(|error| match error {
        LoadError::Read(error) => token.problem(&error),
        error => of_load(&error, token.get()),
    })?;
    let (quote, version) = ((*loaded.state).clone(), loaded.version);
    Ok(Found { quote, version, usage: Some(loaded.usage), seen: Seen::Anything })
}

//! `POST /quotes`.

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use serde::Deserialize;
use uuid::{Uuid, uuid};

use super::{
    command::{Asked, done, execute, without},
    refusal, schema,
};
use crate::{
    event::Object,
    http::{
        body, idempotency::IdempotencyKey, links, parameters::Parameters, problem::Problem,
        shared::Shared,
    },
    quotes::InitiateInput,
    stream::StreamId,
};

/// The namespace of the ids (UUID version 5) of quotes that come with an idempotency key and without an
/// id; the key is their name.
const QUOTE_ID_NAMESPACE: Uuid = uuid!("d8a7d8a2-9c6e-4f0b-8a4f-6c1c0f4d8e33");

/// The id that no quote can have: `/quotes/summary` is something else.
const RESERVED: &str = "summary";

/// What a body has: where the quote is to be, and what the domain takes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct InitiateRequest {
    quote_id: Option<String>,
    product: Option<String>,
    channel: Option<String>,
}

/// Initiate a quote.
///
/// Without a `quoteId` the quote gets one, which follows from the `Idempotency-Key` where there is one: a
/// request that is repeated never makes a second quote.
#[utoipa::path(
    post,
    path = "/quotes",
    tag = "quotes",
    params(schema::CommandHeaders),
    request_body(content = Option<schema::InitiateBody>, description = "Nothing but what is described"),
    responses(
        (status = 201, description = "Initiated by this request", body = schema::Done,
         headers(("Location" = String), ("ETag" = String), ("request-charge" = String),
                 ("session-token" = String), ("receipt" = String))),
        (status = 200, description = "Initiated by an earlier request", body = schema::Done,
         headers(("Location" = String), ("ETag" = String), ("request-charge" = String),
                 ("session-token" = String), ("receipt" = String))),
        schema::CommandProblems,
    ),
)]
pub(super) async fn create(
    State(shared): State<Shared>,
    parameters: Parameters,
    mut asked: Asked,
) -> Result<Response, Problem> {
    parameters.only(&[])?;
    if asked.must_exist {
        // It would not be initiated if it existed, so there is nothing to look up.
        return Err(Problem::header("if-match", "a quote that is initiated does not exist yet"));
    }
    let Object(request): Object<InitiateRequest> = body::json(&asked.body)?;
    let id = match request.quote_id {
        Some(id) => {
            StreamId::new(id).map_err(|input| Problem::body("/quoteId", input.to_string()))?
        }
        None => new_id(asked.key.as_ref())?,
    };
    if id.as_str() == RESERVED {
        return Err(Problem::body("/quoteId", "the path of this quote is that of the summary"));
    }
    let input = InitiateInput { product: request.product, channel: request.channel };
    let action = input.try_into().map_err(|invalid| refusal::of_validation(&invalid))?;
    // The id of the quote is that of the stream, not a part of what is asked of it.
    asked.body = without(&asked.body, "quoteId")?;
    let (is_new, executed) = execute(&shared, &id, asked, "initiate", action).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let mut answer = done(&id, &executed, status)?;
    if let Ok(location) = HeaderValue::from_str(&links::quote(id.as_str())) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    Ok(answer)
}

fn new_id(key: Option<&IdempotencyKey>) -> Result<StreamId, Problem> {
    let id = match key {
        Some(key) => Uuid::new_v5(&QUOTE_ID_NAMESPACE, key.as_str().as_bytes()),
        None => Uuid::new_v4(),
    };
    StreamId::new(format!("quote-{id}")).map_err(|_| Problem::internal())
}

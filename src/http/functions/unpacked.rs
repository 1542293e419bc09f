//! HTTP requests that come as invocations, where the host does not pass them on as they are.
//!
//! The request in the envelope goes through the same router as any other, and so through the same checks. Its
//! answer, also one that is a failure, is done as far as the host is concerned: it stands inside of a reply with
//! the status 200.

use std::collections::BTreeMap;

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderName, HeaderValue, Uri, header},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http_body_util::{BodyExt as _, Limited};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    ANSWER_BYTES_MAX,
    envelope::{Shape, Unreadable},
    invocation::is_foreign,
};
use crate::http::{
    problem::{self, NOT_ACCEPTABLE, Problem},
    request_id::RequestId,
};

/// The type of answers that never end.
const EVENT_STREAM: &str = "text/event-stream";
/// Answers whose length and framing are the host's business.
const FRAMING: [HeaderName; 4] =
    [header::CONNECTION, header::CONTENT_LENGTH, header::DATE, header::TRANSFER_ENCODING];

/// `Data.req` of an HTTP trigger.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct HttpTrigger {
    url: String,
    method: String,
    #[serde(default)]
    headers: BTreeMap<String, Values>,
    #[serde(default)]
    body: Value,
}

impl Shape for HttpTrigger {}

/// The values of a header.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Many(Vec<String>),
}

impl HttpTrigger {
    /// The request as it was before the host packed it. Bodies without a length are not in an invocation: the
    /// host leaves them out.
    pub(super) fn into_request(self) -> Result<Request, Unreadable> {
        let uri: Uri = self.url.parse().map_err(|_| Unreadable::Shape)?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let mut request = Request::builder().method(self.method.as_str()).uri(path);
        let mut is_binary = false;
        for (name, values) in self.headers {
            let Ok(name) = HeaderName::try_from(name) else { continue };
            if is_foreign(&name) {
                continue;
            }
            let values = match values {
                Values::One(value) => vec![value],
                Values::Many(values) => values,
            };
            for value in values {
                is_binary |= name == header::CONTENT_TYPE && is_binary_type(&value);
                let value = HeaderValue::try_from(value).map_err(|_| Unreadable::Shape)?;
                request = request.header(name.clone(), value);
            }
        }
        let body = match self.body {
            Value::Null => Vec::new(),
            Value::String(text) if is_binary => {
                STANDARD.decode(text).map_err(|_| Unreadable::Shape)?
            }
            Value::String(text) => text.into_bytes(),
            // A host that has read the body as JSON.
            other => other.to_string().into_bytes(),
        };
        request.body(Body::from(body)).map_err(|_| Unreadable::Shape)
    }
}

/// Whether the host packs a body of this type as base64.
fn is_binary_type(content_type: &str) -> bool {
    let name = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    name == "application/octet-stream" || name.starts_with("multipart/")
}

/// Packs an answer for `Outputs.res`.
pub(super) async fn pack(answer: Response, id: &RequestId) -> Value {
    let kind = answer.headers().get(header::CONTENT_TYPE);
    let is_endless = kind.is_some_and(|kind| kind.as_bytes().starts_with(EVENT_STREAM.as_bytes()));
    let answer = if is_endless {
        let detail = "server-sent events need a host that passes requests on";
        problem::render(Problem::new(&NOT_ACCEPTABLE, detail).into_response(), id)
    } else {
        answer
    };
    let (head, body) = answer.into_parts();
    let read = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let text = read.ok().and_then(|read| String::from_utf8(read.to_bytes().to_vec()).ok());
    let Some(text) = text else {
        let internal = problem::render(Problem::internal().into_response(), id);
        return json!({ "statusCode": internal.status().as_u16(), "headers": {}, "body": "" });
    };
    let mut headers = BTreeMap::<&str, String>::new();
    for (name, value) in head.headers.iter().filter(|(name, _)| !FRAMING.contains(name)) {
        let Ok(value) = value.to_str() else { continue };
        headers
            .entry(name.as_str())
            .and_modify(|values| {
                values.push_str(", ");
                values.push_str(value);
            })
            .or_insert_with(|| value.to_owned());
    }
    json!({ "statusCode": head.status.as_u16(), "headers": headers, "body": text })
}

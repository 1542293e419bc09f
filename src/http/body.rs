//! Reading bodies: bounded in bytes and in time, and explained when they are not what is needed.

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::HeaderMap;
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde_path_to_error::{Path, Segment};

use super::{
    limits::{BODY_BYTES_MAX, BODY_DRAIN_BYTES_MAX},
    problem::{BODY_TIME_OUT, BODY_TOO_LARGE, MALFORMED_BODY, Problem},
    shared::Shared,
};

/// How serde begins what it says about a value, with the value behind it in quotes.
const VALUE_PREFIXES: [&str; 3] = ["invalid type: ", "invalid value: ", "unknown variant "];

/// Reads a body to its end.
pub(crate) async fn read(shared: &Shared, body: Body) -> Result<Bytes, Problem> {
    match tokio::time::timeout(shared.options.body_time_max, collect(body)).await {
        Ok(read) => read,
        Err(_) => Err(Problem::new(&BODY_TIME_OUT, "the body did not arrive in time")),
    }
}

async fn collect(mut body: Body) -> Result<Bytes, Problem> {
    // One that is said to be larger than what is drained is not asked for at all.
    if usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX) > BODY_DRAIN_BYTES_MAX {
        return Err(too_large());
    }
    let mut first = Bytes::new();
    let mut more: Vec<u8> = Vec::new();
    let mut bytes = 0_usize;
    while let Some(frame) = body.frame().await {
        // The client has gone, or what it sends is not HTTP: nobody reads this answer.
        let frame =
            frame.map_err(|_| Problem::new(&MALFORMED_BODY, "the body ends before its end"))?;
        let Ok(chunk) = frame.into_data() else { continue };
        bytes = bytes.saturating_add(chunk.len());
        if bytes > BODY_BYTES_MAX {
            if bytes > BODY_DRAIN_BYTES_MAX {
                break;
            }
            (first, more) = (Bytes::new(), Vec::new());
        } else if first.is_empty() {
            first = chunk;
        } else {
            if more.is_empty() {
                more.extend_from_slice(&first);
            }
            more.extend_from_slice(&chunk);
        }
    }
    if bytes > BODY_BYTES_MAX {
        return Err(too_large());
    }
    Ok(if more.is_empty() { first } else { more.into() })
}

fn too_large() -> Problem {
    Problem::new(&BODY_TOO_LARGE, format!("a body has at most {BODY_BYTES_MAX} bytes"))
}

/// The body as text.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map_err(|_| Problem::new(&MALFORMED_BODY, "the body is not UTF-8"))
}

/// Reads JSON as a type. What is wrong with it is told with a pointer.
pub(crate) fn json<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Problem> {
    // The place is looked for only when there is something to tell.
    serde_json::from_str(text).map_err(|_| explain::<T>(text))
}

fn explain<'a, T: Deserialize<'a>>(text: &'a str) -> Problem {
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
        return Problem::new(&MALFORMED_BODY, format!("the body is not JSON: {error}"));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Ok(_) => Problem::internal(),
        Err(error) => Problem::body(pointer(error.path()), describe(error.inner())),
    }
}

fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        let name = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => escape(key),
            Segment::Enum { variant } => escape(variant),
            Segment::Unknown => break,
        };
        pointer.push('/');
        pointer.push_str(&name);
    }
    pointer
}

/// A name as a part of a JSON pointer.
pub(crate) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// What serde says, without the line and column that the pointer replaces, and without the value: that
/// may be a secret, and problems end up in logs of clients.
fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    let is_of_value = VALUE_PREFIXES.iter().any(|prefix| text.starts_with(prefix));
    match text.rsplit_once(", expected ") {
        Some((found, expected)) if is_of_value => {
            let kind = found.split(['"', '`']).next().unwrap_or_default().trim_end();
            format!("{kind}, expected {expected}")
        }
        _ => text.to_owned(),
    }
}

/// The type of the body without its parameters, in lower case.
pub(crate) fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(axum::http::header::CONTENT_TYPE)?.to_str().ok()?;
    let name = value.split(';').next().unwrap_or(value);
    Some(name.trim().to_ascii_lowercase())
}

#[cfg(test)]
mod tests;

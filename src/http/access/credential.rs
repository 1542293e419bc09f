//! What a request presents: a key or a token, and in which header.
//!
//! `Authorization: Bearer` takes both; `api-key` is for keys, and for clients that cannot set the other. A
//! token is told from a key by its form: it has three parts with two dots between them, and a key has no dot.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use super::refusal::Refusal;
use crate::http::{limits::CREDENTIAL_BYTES_MAX, problem::Problem};

/// The header of a key, besides `Authorization`.
pub(super) const API_KEY: HeaderName = HeaderName::from_static("api-key");
/// The scheme of `Authorization` that keys and tokens have. Any other one is nothing for this service.
const SCHEME: &str = "bearer";

/// What was presented.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Presented {
    Key(String),
    Token(String),
}

/// Why there is no credential to be looked at.
#[derive(Debug)]
pub(super) enum Unpresented {
    /// The headers contradict each other.
    Headers(Problem),
    Refused(Refusal),
}

/// Takes what was presented out of the headers, so that nothing behind can log or pass it on.
pub(super) fn take(headers: &mut HeaderMap) -> Result<Presented, Unpresented> {
    let authorization = single(headers, &header::AUTHORIZATION);
    let key = single(headers, &API_KEY);
    headers.remove(header::AUTHORIZATION);
    headers.remove(API_KEY);
    let bearer = authorization?.as_ref().and_then(bearer).transpose();
    let is_malformed = |Malformed| Unpresented::Refused(Refusal::Malformed);
    match (bearer.map_err(is_malformed)?, key?) {
        (None, None) => Err(Unpresented::Refused(Refusal::Missing)),
        (Some(text), None) if is_token(&text) => Ok(Presented::Token(text)),
        (Some(text), None) => Ok(Presented::Key(text)),
        (None, Some(key)) => fit(key.as_bytes()).map(Presented::Key).map_err(is_malformed),
        (Some(_), Some(_)) => {
            let detail = "a key or token comes in this header or in Authorization, not in both";
            Err(Unpresented::Headers(Problem::header(API_KEY.as_str(), detail)))
        }
    }
}

/// A credential that cannot be one.
#[derive(Debug)]
struct Malformed;

fn single(headers: &HeaderMap, name: &HeaderName) -> Result<Option<HeaderValue>, Unpresented> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value.cloned()),
        _ => Err(Unpresented::Headers(Problem::header(name.as_str(), "one value"))),
    }
}

/// The credential behind `Bearer`; nothing where there is another scheme.
fn bearer(value: &HeaderValue) -> Option<Result<String, Malformed>> {
    let value = value.as_bytes();
    let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at_checked(end)?;
    scheme.eq_ignore_ascii_case(SCHEME.as_bytes()).then(|| fit(rest.trim_ascii()))
}

fn fit(text: &[u8]) -> Result<String, Malformed> {
    let is_fit =
        (1..=CREDENTIAL_BYTES_MAX).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic);
    let text = is_fit.then(|| String::from_utf8(text.to_vec()).ok()).flatten();
    text.ok_or(Malformed)
}

fn is_token(text: &str) -> bool {
    text.bytes().filter(|byte| *byte == b'.').count() == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(pairs: &[(&'static str, &str)]) -> Result<Presented, Unpresented> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        let presented = take(&mut headers);
        assert!(headers.is_empty(), "they are taken out");
        presented
    }

    #[test]
    fn keys_and_tokens_are_told_apart() {
        let key = || Presented::Key("k".to_owned());
        for header in ["Bearer k", "bearer k", "BEARER  k "] {
            assert_eq!(taken(&[("authorization", header)]).unwrap(), key(), "{header}");
        }
        assert_eq!(taken(&[("api-key", "k")]).unwrap(), key());
        let token = Presented::Token("a.b.c".to_owned());
        assert_eq!(taken(&[("authorization", "Bearer a.b.c")]).unwrap(), token);
        assert_eq!(taken(&[("api-key", "a.b.c")]).unwrap(), Presented::Key("a.b.c".to_owned()));
        for other in ["a.b", "a.b.c.d"] {
            let taken = taken(&[("authorization", &format!("Bearer {other}"))]).unwrap();
            assert_eq!(taken, Presented::Key(other.to_owned()));
        }
    }

    #[test]
    fn what_is_no_credential_is_refused() {
        let refused = |pairs: &[(&'static str, &str)]| match taken(pairs) {
            Err(Unpresented::Refused(refusal)) => refusal,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(&[]), Refusal::Missing);
        assert_eq!(refused(&[("authorization", "Basic b3BzOng=")]), Refusal::Missing);
        assert_eq!(refused(&[("authorization", "Bearerk")]), Refusal::Missing);
        let long = format!("Bearer {}", "k".repeat(CREDENTIAL_BYTES_MAX + 1));
        for header in ["Bearer", "Bearer ", "Bearer a b", "Bearer \u{e9}", &long] {
            assert_eq!(refused(&[("authorization", header)]), Refusal::Malformed, "{header}");
        }
        assert_eq!(refused(&[("api-key", "")]), Refusal::Malformed);
    }

    #[test]
    fn headers_that_contradict_each_other_are_no_credential() {
        for pairs in [
            [("authorization", "Bearer a"), ("api-key", "a")],
            [("authorization", "Bearer a"), ("authorization", "Bearer a")],
            [("api-key", "a"), ("api-key", "b")],
        ] {
            let problem = match taken(&pairs) {
                Err(Unpresented::Headers(problem)) => problem,
                other => panic!("{other:?}"),
            };
            assert_eq!(problem.status(), 400);
        }
    }
}

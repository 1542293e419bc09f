//! Types of bodies and answers.

use axum::http::{HeaderMap, header};

use super::{
    body::content_type,
    problem::{NOT_ACCEPTABLE, Problem, UNSUPPORTED_MEDIA_TYPE},
};

/// Ordinary JSON.
pub(crate) const JSON: &str = "application/json";
/// One event as `CloudEvents` has it.
pub(crate) const CLOUD_EVENT: &str = "application/cloudevents+json";
/// A list of them.
pub(crate) const CLOUD_EVENTS: &str = "application/cloudevents-batch+json";

/// Which of the types the body has.
pub(crate) fn of_body(
    headers: &HeaderMap,
    known: &'static [&'static str],
) -> Result<&'static str, Problem> {
    let codings = headers.get_all(header::CONTENT_ENCODING).iter();
    if codings.into_iter().any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Problem::new(&UNSUPPORTED_MEDIA_TYPE, "the body must not be compressed"));
    }
    let given = content_type(headers);
    let found = known.iter().find(|name| given.as_deref() == Some(**name));
    found.copied().ok_or_else(|| {
        let detail = format!("the body must be one of: {}", known.join(", "));
        Problem::new(&UNSUPPORTED_MEDIA_TYPE, detail)
    })
}

/// Which of the types the client would rather have; the first one when it does not say. Several headers
/// and lists count as one.
pub(crate) fn of_answer(
    headers: &HeaderMap,
    offered: &'static [&'static str],
) -> Result<&'static str, Problem> {
    let mut ranges = Vec::new();
    for value in headers.get_all(header::ACCEPT) {
        // A value that is no text accepts nothing that is known.
        let text = value.to_str().unwrap_or("?/?");
        ranges.extend(text.split(',').filter(|range| !range.trim().is_empty()).map(Range::parse));
    }
    let first = offered.first().copied().unwrap_or(JSON);
    if ranges.is_empty() {
        return Ok(first);
    }
    let mut best: Option<(u32, &'static str)> = None;
    for name in offered.iter().copied() {
        let quality = quality(&ranges, name);
        if quality > best.map_or(0, |(quality, _)| quality) {
            best = Some((quality, name));
        }
    }
    best.map(|(_, name)| name).ok_or_else(|| {
        let detail = format!("the answer can be one of: {}", offered.join(", "));
        Problem::new(&NOT_ACCEPTABLE, detail)
    })
}

/// The quality that the most specific range gives a type, in thousandths.
fn quality(ranges: &[Range<'_>], name: &str) -> u32 {
    let fitting = ranges.iter().filter_map(|range| Some((range.specificity(name)?, range.quality)));
    fitting.max_by_key(|(specificity, _)| *specificity).map_or(0, |(_, quality)| quality)
}

/// One range of an `Accept` header.
struct Range<'a> {
    name: &'a str,
    quality: u32,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let quality = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        Self { name, quality: quality.map_or(1000, thousandths) }
    }

    fn specificity(&self, name: &str) -> Option<u8> {
        let wanted = self.name.to_ascii_lowercase();
        let kind = name.split('/').next().unwrap_or_default();
        match wanted.as_str() {
            _ if wanted == name => Some(2),
            "*/*" | "*" => Some(0),
            _ => (wanted.strip_suffix("/*") == Some(kind)).then_some(1),
        }
    }
}

/// `0.25` as 250; what is not a quality as 1000.
fn thousandths(text: &str) -> u32 {
    let Some((whole, fraction)) = text.split_once('.') else {
        return if text == "0" { 0 } else { 1000 };
    };
    if whole != "0" || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return 1000;
    }
    format!("{fraction:0<3.3}").parse().unwrap_or(1000)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn accepted(accept: &str) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_str(accept).unwrap());
        of_answer(&headers, &[JSON, CLOUD_EVENTS]).ok()
    }

    #[test]
    fn bodies_have_a_known_type_and_no_coding() {
        let body = |kind: &str, coding: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(kind).unwrap());
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_str(coding).unwrap());
            of_body(&headers, &[JSON, CLOUD_EVENT]).ok()
        };
        assert_eq!(body(JSON, "identity"), Some(JSON));
        assert_eq!(
            body("Application/CloudEvents+JSON; charset=utf-8", "Identity"),
            Some(CLOUD_EVENT)
        );
        assert_eq!(body("text/plain", "identity"), None);
        assert_eq!(body(JSON, "gzip"), None);
    }

    #[test]
    fn the_client_chooses() {
        assert_eq!(of_answer(&HeaderMap::new(), &[JSON]).ok(), Some(JSON));
        for (accept, answer) in [
            ("*/*", Some(JSON)),
            ("application/*", Some(JSON)),
            ("application/json; charset=utf-8", Some(JSON)),
            ("Application/CloudEvents-Batch+JSON", Some(CLOUD_EVENTS)),
            ("application/json;q=0.5, application/cloudevents-batch+json", Some(CLOUD_EVENTS)),
            ("application/json;q=0, */*", Some(CLOUD_EVENTS)),
            ("application/json;q=0.001, */*;q=0", Some(JSON)),
            ("text/html", None),
            ("*/*;q=0", None),
            ("", Some(JSON)),
        ] {
            assert_eq!(accepted(accept), answer, "{accept}");
        }
    }
}

//! Headers that keep browsers from doing with an answer what nobody wants.
//!
//! The service answers programs. What a browser is told here costs nothing, and keeps an answer from being run,
//! framed, guessed to be of another type, or kept.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// How a request came to the proxy before the service, as proxies say it.
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// What every answer has.
const ALWAYS: [(HeaderName, HeaderValue); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];
/// A year, for this host and no other.
const HTTPS_ONLY: HeaderValue = HeaderValue::from_static("max-age=31536000");
/// For answers that may be for one caller only: no cache keeps them. What may be kept says so itself, with
/// `private`: a shared cache does not know who may see it.
const NOT_KEPT: HeaderValue = HeaderValue::from_static("no-store");

/// Whether the client came by TLS, which ends at a proxy before the service.
pub(super) fn came_by_https(headers: &HeaderMap) -> bool {
    headers
        .get(FORWARDED_PROTO)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"https"))
}

/// Adds what an answer lacks.
///
/// Whoever sends `X-Forwarded-Proto` without TLS gets the order to use TLS without TLS, which browsers do not
/// take (RFC 6797), so the header need not be believed. Without access control the service is on this machine,
/// and nothing ends TLS for it.
pub(super) fn add(headers: &mut HeaderMap, is_controlled: bool, is_secure: bool) {
    for (name, value) in ALWAYS {
        headers.insert(name, value);
    }
    if !is_controlled {
        return;
    }
    headers.entry(header::CACHE_CONTROL).or_insert(NOT_KEPT);
    if is_secure {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HTTPS_ONLY);
    }
}

//! Paths of the service, as they stand in answers.

use std::fmt::Write as _;

use axum::http::HeaderValue;

/// The path of a stream.
pub(crate) fn stream(id: &str) -> String {
    format!("/streams/{}", encode(id))
}

/// The path of a quote.
pub(crate) fn quote(id: &str) -> String {
    format!("/quotes/{}", encode(id))
}

/// The path of a read model.
pub(crate) fn read_model(name: &str) -> String {
    format!("/read-models/{}", encode(name))
}

/// The path of an event.
pub(crate) fn event(id: &str, sequence_number: u64) -> String {
    format!("/streams/{}/events/{sequence_number}", encode(id))
}

/// Parameters of a query, those without a value left out.
pub(crate) type QueryParameters<'a> = Vec<(&'a str, Option<String>)>;

/// A path with a query of these parameters, without those that have no value.
pub(crate) fn with_query(path: &str, parameters: &[(&str, Option<String>)]) -> String {
    let mut link = path.to_owned();
    let mut before = '?';
    for (name, value) in parameters {
        if let Some(value) = value {
            link.push(before);
            link.push_str(name);
            link.push('=');
            link.push_str(&encode(value));
            before = '&';
        }
    }
    link
}

/// The value of a `Link` header.
pub(crate) fn header(links: &[(&str, &str)]) -> Option<HeaderValue> {
    let links: Vec<_> =
        links.iter().map(|(relation, link)| format!("<{link}>; rel=\"{relation}\"")).collect();
    // Encoded links are always valid values.
    HeaderValue::from_str(&links.join(", ")).ok()
}

/// Percent-encodes all but what has no meaning of its own anywhere in a URI.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _written = write!(encoded, "%{byte:02X}").is_ok();
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_one_segment() {
        assert_eq!(stream("a/b?c#d%e \u{e9}"), "/streams/a%2Fb%3Fc%23d%25e%20%C3%A9");
        assert_eq!(event("quote-1", 7), "/streams/quote-1/events/7");
        let parameters = [("from", Some("2".to_owned())), ("to", None), ("asOf", Some("+".into()))];
        assert_eq!(with_query("/a", &parameters), "/a?from=2&asOf=%2B");
    }
}

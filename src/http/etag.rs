//! Entity tags and the conditions on them.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use super::problem::Problem;
use crate::stream::{ExpectedVersion, SEQUENCE_NUMBER_MAX};

/// The tag of a version of a stream.
pub(crate) fn of_version(version: u64) -> HeaderValue {
    quoted(&version.to_string())
}

/// A tag with this text.
pub(crate) fn quoted(text: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{text}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Whether the client already has what the tag stands for.
pub(crate) fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let tag = tag.to_str().unwrap_or_default();
    let lists = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|list| list.to_str().ok());
    // Tags of the service have no comma.
    lists.flat_map(|list| list.split(',')).any(|known| {
        let known = known.trim();
        known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag
    })
}

/// What the conditions of a write require of the stream, if there are any.
pub(crate) fn required_version(headers: &HeaderMap) -> Result<Option<ExpectedVersion>, Problem> {
    let matching = single(headers, &header::IF_MATCH)?;
    let none_matching = single(headers, &header::IF_NONE_MATCH)?;
    match (matching, none_matching) {
        (None, None) => Ok(None),
        (Some("*"), None) => Ok(Some(ExpectedVersion::StreamExists)),
        (Some(tag), None) => version_of(tag).map(Some),
        (None, Some("*")) => Ok(Some(ExpectedVersion::NoStream)),
        (None, Some(_)) => {
            Err(Problem::header("if-none-match", "a write takes `*` only: the stream is empty"))
        }
        (Some(_), Some(_)) => {
            Err(Problem::header("if-none-match", "a write takes one condition, not two"))
        }
    }
}

fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match value.to_str() {
        Ok(text) if values.next().is_none() => Ok(Some(text.trim())),
        _ => Err(Problem::header(name.as_str(), "one value, in ASCII")),
    }
}

fn version_of(tag: &str) -> Result<ExpectedVersion, Problem> {
    let digits = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let version = digits.and_then(|digits| digits.parse().ok());
    match version.filter(|version| *version <= SEQUENCE_NUMBER_MAX) {
        Some(0) => Ok(ExpectedVersion::NoStream),
        Some(version) => Ok(ExpectedVersion::Exact(version)),
        None => Err(Problem::header("if-match", "a version in quotes, such as \"3\", or *")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let pair = |(name, value): &(HeaderName, &str)| (name.clone(), value.parse().unwrap());
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn known_tags_are_found_in_lists() {
        let tag = of_version(3);
        for (value, known) in [
            ("\"3\"", true),
            ("W/\"3\"", true),
            ("\"1\", \"3\"", true),
            ("*", true),
            ("3", false),
            ("\"33\"", false),
        ] {
            assert_eq!(is_known(&headers(&[(header::IF_NONE_MATCH, value)]), &tag), known);
        }
        assert!(!is_known(&HeaderMap::new(), &tag));
    }

    #[test]
    fn conditions_of_writes_are_versions() {
        let required = |pairs: &[_]| required_version(&headers(pairs)).ok();
        assert_eq!(required(&[]), Some(None));
        let exact = Some(Some(ExpectedVersion::Exact(3)));
        assert_eq!(required(&[(header::IF_MATCH, "\"3\"")]), exact);
        let exists = Some(Some(ExpectedVersion::StreamExists));
        assert_eq!(required(&[(header::IF_MATCH, "*")]), exists);
        let none = Some(Some(ExpectedVersion::NoStream));
        assert_eq!(required(&[(header::IF_NONE_MATCH, "*")]), none);
        assert_eq!(required(&[(header::IF_MATCH, "\"0\"")]), none);
        for wrong in ["3", "\"x\"", "W/\"3\"", "\"3\", \"4\"", "\"\"", "\"9007199254740992\""] {
            assert_eq!(required(&[(header::IF_MATCH, wrong)]), None, "{wrong}");
        }
        assert_eq!(required(&[(header::IF_NONE_MATCH, "\"3\"")]), None);
        let both = [(header::IF_MATCH, "*"), (header::IF_NONE_MATCH, "*")];
        assert_eq!(required(&both), None);
    }
}

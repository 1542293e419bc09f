//! Request ids: the name of a request in answers, problems and logs.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

use super::limits::REQUEST_ID_CHARS_MAX;

/// The header that has it, in requests and answers.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The name of one request: the client's own where it is fit to be repeated, or a new one.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        match headers.get(REQUEST_ID) {
            Some(value) if is_fit(value.as_bytes()) => Self(value.clone()),
            _ => Self::random(),
        }
    }

    fn random() -> Self {
        let mut buffer = Uuid::encode_buffer();
        let text = Uuid::new_v4().hyphenated().encode_lower(&mut buffer);
        // The digits of a UUID are always a valid value.
        Self(HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("none")))
    }

    pub(super) fn header(&self) -> &HeaderValue {
        &self.0
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

fn is_fit(value: &[u8]) -> bool {
    (1..=REQUEST_ID_CHARS_MAX).contains(&value.len())
        && value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_for(value: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_str(value).unwrap());
        RequestId::of(&headers).as_str().to_owned()
    }

    #[test]
    fn fit_ids_are_kept_and_others_replaced() {
        for fit in ["a", "A-1._z", &"x".repeat(REQUEST_ID_CHARS_MAX)] {
            assert_eq!(id_for(fit), fit);
        }
        for unfit in ["", "a b", "a/b", "\"", &"x".repeat(REQUEST_ID_CHARS_MAX + 1)] {
            let id = id_for(unfit);
            assert_ne!(id, unfit);
            assert!(id.parse::<Uuid>().is_ok(), "{id}");
        }
    }
}

//! What a writer gives to a reader, so that the reader sees what was written.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;

use crate::{
    store::{Receipt, SessionToken},
    stream::{SEQUENCE_NUMBER_MAX, StreamId},
};

/// The longest token that is read.
const TOKEN_BYTES_MAX: usize = 4096;

/// An append as an opaque text: give it to a read, and the read waits until the append is visible in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptToken {
    pub(super) stream: String,
    pub(super) last: u64,
    pub(super) session_token: Option<SessionToken>,
}

/// A text is not a token that can be used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("this is not a token that was given out for this")]
pub struct InvalidToken;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// The version of the form.
    v: u32,
    s: String,
    n: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    t: Option<String>,
}

impl ReceiptToken {
    /// The token of an append.
    pub fn of(receipt: &Receipt) -> Self {
        Self::new(receipt.stream.as_str(), receipt.last, receipt.session_token.clone())
    }

    /// The token of a place in a stream.
    pub fn new(stream: impl Into<String>, last: u64, session_token: Option<SessionToken>) -> Self {
        Self { stream: stream.into(), last, session_token }
    }

    /// Reads a token.
    ///
    /// # Errors
    ///
    /// [`InvalidToken`].
    pub fn parse(text: &str) -> Result<Self, InvalidToken> {
        let Written { v, s, n, t } = decode(text)?;
        if v != 1 || StreamId::new(s.as_str()).is_err() || !(1..=SEQUENCE_NUMBER_MAX).contains(&n) {
            return Err(InvalidToken);
        }
        Ok(Self { stream: s, last: n, session_token: t.map(SessionToken::new) })
    }

    /// The stream that was appended to.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// The sequence number of the last event that was appended.
    pub fn sequence_number(&self) -> u64 {
        self.last
    }

    /// What makes the append visible to a read of the events in another process, where the writer knew it.
    pub fn session_token(&self) -> Option<&SessionToken> {
        self.session_token.as_ref()
    }
}

impl std::fmt::Display for ReceiptToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let t = self.session_token.as_ref().map(ToString::to_string);
        f.write_str(&encode(&Written { v: 1, s: self.stream.clone(), n: self.last, t }))
    }
}

/// A value as a text that fits into a URL.
pub(super) fn encode(value: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).unwrap_or_default())
}

/// Reads such a text.
pub(super) fn decode<T: DeserializeOwned>(text: &str) -> Result<T, InvalidToken> {
    if text.len() > TOKEN_BYTES_MAX {
        return Err(InvalidToken);
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidToken)?;
    serde_json::from_slice(&bytes).map_err(|_| InvalidToken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_texts_for_urls() {
        let session = Some(SessionToken::new("0:1#2"));
        for token in
            [ReceiptToken::new("quote-1", 3, session), ReceiptToken::new("a/\u{e9}?", 1, None)]
        {
            let text = token.to_string();
            assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
            assert_eq!(ReceiptToken::parse(&text), Ok(token));
        }
        let other = encode(&Written { v: 2, s: "a".to_owned(), n: 1, t: None });
        let nowhere = encode(&Written { v: 1, s: "a".to_owned(), n: 0, t: None });
        let nobody = encode(&Written { v: 1, s: String::new(), n: 1, t: None });
        let long = "A".repeat(TOKEN_BYTES_MAX + 1);
        for wrong in ["", "x", "a=b", "eyJ2IjoxfQ", &other, &nowhere, &nobody, &long] {
            assert_eq!(ReceiptToken::parse(wrong), Err(InvalidToken), "{wrong}");
        }
    }
}

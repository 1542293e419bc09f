//! Verification of request signatures.
//!
//! Two kinds of token are accepted: the HMAC of the account key, and the unsigned-by-anyone token
//! of the emulator's credential, a JWT whose signature part is the account key. Comparisons take
//! the same time whatever differs.
//!
//! The date is part of what is signed, but its age is not checked: a replayed request on a
//! loopback interface gains nothing, and test clocks are often wrong.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::percent_decode_str;
use sha2::Sha256;

/// The key that Microsoft publishes for its emulators; a secret to nobody.
pub const EMULATOR_KEY: &str =
    "C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw==";

/// An account key that is not base64.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the account key is not valid base64")]
pub(crate) struct InvalidKey;

/// Why a request was not let in; the service answers 401 to all of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AuthError {
    /// No authorization header.
    #[error("the authorization header is missing")]
    Missing,
    /// The header is not `type=..&ver=..&sig=..`, or names a type that is not known.
    #[error("the authorization header is not valid: {0}")]
    Malformed(&'static str),
    /// Neither an `x-ms-date` nor a `date` header.
    #[error("the x-ms-date header is missing")]
    MissingDate,
    /// The signature does not belong to this request and this key.
    #[error(
        "the signature does not match; the server signed {payload:?}. \
         Check the account key and the clock of the client"
    )]
    Mismatch {
        /// What the server computed the signature of.
        payload: String,
    },
    /// The token's signature part is not this endpoint's key.
    #[error("the token was not issued for this endpoint's key")]
    ForeignToken,
}

/// What a signature covers, and the signature.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignedRequest<'a> {
    /// The HTTP method, any case.
    pub method: &'a str,
    /// The last keyword of the path (`docs`), empty for the account.
    pub resource_type: &'a str,
    /// The path to the resource, or to its parent for creates and feeds; empty for the account.
    /// Without leading or trailing slash, percent-encoded or not.
    pub resource_link: &'a str,
    /// The `x-ms-date` header.
    pub x_ms_date: Option<&'a str>,
    /// The `date` header.
    pub date: Option<&'a str>,
    /// The `authorization` header.
    pub authorization: Option<&'a str>,
}

/// Checks requests against one account key.
#[derive(Clone)]
pub(crate) struct Verifier {
    key: String,
    mac: Hmac<Sha256>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The key stays out of logs.
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

impl Verifier {
    /// A verifier for a key in base64, as connection strings carry it.
    pub(crate) fn new(key_base64: &str) -> Result<Self, InvalidKey> {
        let key = STANDARD.decode(key_base64).map_err(|_| InvalidKey)?;
        if key.is_empty() {
            return Err(InvalidKey);
        }
        let mac = Hmac::new_from_slice(&key).map_err(|_| InvalidKey)?;
        Ok(Self { key: key_base64.to_owned(), mac })
    }

    /// Lets a request in, or says why not.
    pub(crate) fn verify(&self, request: &SignedRequest<'_>) -> Result<(), AuthError> {
        let header = request.authorization.ok_or(AuthError::Missing)?;
        let header = percent_decode_str(header).decode_utf8_lossy();
        let (mut kind, mut signature) = (None, None);
        for field in header.split('&') {
            match field.split_once('=') {
                Some(("type", value)) => kind = Some(value),
                Some(("sig", value)) => signature = Some(value),
                _ => {}
            }
        }
        let signature = signature.ok_or(AuthError::Malformed("it has no sig"))?;
        match kind {
            Some("master") => self.verify_key(request, signature),
            Some("aad") => self.verify_token(signature),
            Some("resource") => Err(AuthError::Malformed("resource tokens are not supported")),
            _ => Err(AuthError::Malformed("its type is neither master nor aad")),
        }
    }

    fn verify_key(&self, request: &SignedRequest<'_>, signature: &str) -> Result<(), AuthError> {
        if request.x_ms_date.is_none() && request.date.is_none() {
            return Err(AuthError::MissingDate);
        }
        // A client that turned the plus signs of an unencoded header into spaces is still right.
        let signature = STANDARD
            .decode(signature.replace(' ', "+"))
            .map_err(|_| AuthError::Malformed("its sig is not base64"))?;
        let first = payload(request, request.resource_link);
        if self.is_signature(&first, &signature) || self.is_other_link(request, &signature) {
            Ok(())
        } else {
            Err(AuthError::Mismatch { payload: first })
        }
    }

    /// Tries the links that clients sign besides the plain one: with the ids decoded, and for
    /// addresses made of resource ids in lower case, either whole or only the last one.
    fn is_other_link(&self, request: &SignedRequest<'_>, signature: &[u8]) -> bool {
        let link = request.resource_link;
        let last = link.rsplit('/').next().unwrap_or_default();
        let decoded = percent_decode_str(link).decode_utf8_lossy();
        [decoded.as_ref(), &link.to_ascii_lowercase(), &last.to_ascii_lowercase()]
            .into_iter()
            .filter(|other| *other != link)
            .any(|other| self.is_signature(&payload(request, other), signature))
    }

    fn is_signature(&self, payload: &str, signature: &[u8]) -> bool {
        self.mac.clone().chain_update(payload).verify_slice(signature).is_ok()
    }

    /// Accepts what the emulator's credential makes: header, claims and the key, each base64url.
    fn verify_token(&self, token: &str) -> Result<(), AuthError> {
        let part = token.trim().rsplit('.').next().unwrap_or_default();
        let signature = URL_SAFE_NO_PAD
            .decode(part.trim_end_matches('='))
            .map_err(|_| AuthError::Malformed("the token is not a JWT"))?;
        if token.split('.').count() != 3 {
            return Err(AuthError::Malformed("the token is not a JWT"));
        }
        if is_equal(&signature, self.key.as_bytes()) {
            Ok(())
        } else {
            Err(AuthError::ForeignToken)
        }
    }
}

/// Five lines: all but the link in lower case.
fn payload(request: &SignedRequest<'_>, link: &str) -> String {
    format!(
        "{}\n{}\n{link}\n{}\n{}\n",
        request.method.to_ascii_lowercase(),
        request.resource_type.to_ascii_lowercase(),
        request.x_ms_date.unwrap_or_default().to_ascii_lowercase(),
        // Clients leave this line empty when they send the other date.
        if request.x_ms_date.is_some() { "" } else { request.date.unwrap_or_default() }
            .to_ascii_lowercase(),
    )
}

/// Compares without telling by its duration how much is equal.
fn is_equal(one: &[u8], two: &[u8]) -> bool {
    let differing = one.iter().zip(two).fold(0, |all, (one, two)| all | (one ^ two));
    one.len() == two.len() && std::hint::black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

    use super::*;

    const DATE: &str = "Tue, 01 Nov 1994 08:12:31 GMT";

    fn verifier() -> Verifier {
        Verifier::new(EMULATOR_KEY).unwrap()
    }

    fn request<'a>(link: &'a str, authorization: &'a str) -> SignedRequest<'a> {
        SignedRequest {
            method: "GET",
            resource_type: "docs",
            resource_link: link,
            x_ms_date: Some(DATE),
            date: None,
            authorization: Some(authorization),
        }
    }

    /// A header as a client makes it that signs `link`.
    fn signed(link: &str) -> String {
        let text = format!("get\ndocs\n{link}\n{}\n\n", DATE.to_lowercase());
        let signature = verifier().mac.chain_update(text).finalize().into_bytes();
        let token = format!("type=master&ver=1.0&sig={}", STANDARD.encode(signature));
        utf8_percent_encode(&token, NON_ALPHANUMERIC).to_string()
    }

    #[test]
    fn the_published_example_is_accepted() {
        // From the documentation of the REST interface.
        let key = "dsZQi3KtZmCv1ljt3VNWNm7sQUF1y5rJfC6kv5JiwvW0EndXdDku/dkKBp8/ufDToSxLzR4y+O/0H/t4bQtVNw==";
        let request = SignedRequest {
            method: "GET",
            resource_type: "dbs",
            resource_link: "dbs/ToDoList",
            x_ms_date: Some("Thu, 27 Apr 2017 00:51:12 GMT"),
            date: None,
            authorization: Some(
                "type%3dmaster%26ver%3d1.0%26sig%3dc09PEVJrgp2uQRkr934kFbTqhByc7TVr3OHyqlu%2bc%2bc%3d",
            ),
        };
        assert_eq!(Verifier::new(key).unwrap().verify(&request), Ok(()));
        assert!(matches!(verifier().verify(&request), Err(AuthError::Mismatch { .. })));
    }

    #[test]
    fn the_links_that_clients_sign_are_accepted() {
        let check = |link: &str, signs: &str| {
            assert_eq!(verifier().verify(&request(link, &signed(signs))), Ok(()), "{link} {signs}");
        };
        check("", "");
        check("dbs/Db/colls/C", "dbs/Db/colls/C");
        check("dbs/a%20b", "dbs/a b");
        check("dbs/a%20b", "dbs/a%20b");
        check("dbs/AAAAAQ==/colls/AAAAAYAAAAE=", "aaaaayaaaae=");
        check("offers/aBcD", "abcd");
        let other = verifier().verify(&request("dbs/Db", &signed("dbs/other")));
        assert!(matches!(other, Err(AuthError::Mismatch { .. })));
    }

    #[test]
    fn the_other_date_is_signed_when_it_is_the_only_one() {
        let text = format!("get\ndocs\n\n\n{}\n", DATE.to_lowercase());
        let signature = verifier().mac.chain_update(text).finalize().into_bytes();
        let header = format!("type=master&ver=1.0&sig={}", STANDARD.encode(signature));
        let mut request = request("", &header);
        (request.x_ms_date, request.date) = (None, Some(DATE));
        assert_eq!(verifier().verify(&request), Ok(()));
        request.date = None;
        assert_eq!(verifier().verify(&request), Err(AuthError::MissingDate));
    }

    #[test]
    fn malformed_headers_are_refused() {
        let with = |header| verifier().verify(&request("", header));
        let mut missing = request("", "");
        missing.authorization = None;
        assert_eq!(verifier().verify(&missing), Err(AuthError::Missing));
        for bad in ["", "type=master", "type=master&sig=%", "sig=AA==", "type=resource&sig=AA=="] {
            assert!(matches!(with(bad), Err(AuthError::Malformed(_))), "{bad}");
        }
        assert!(matches!(with("type=master&sig=AA=="), Err(AuthError::Mismatch { .. })));
    }

    #[test]
    fn the_emulators_token_must_carry_the_key() {
        let check = |token: &str, expected: Result<(), AuthError>| {
            let header = format!("type=aad&ver=1.0&sig={token}");
            assert_eq!(verifier().verify(&request("", &header)), expected, "{token}");
        };
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        check(&format!("{}.{}.{}", part("{}"), part("{}"), part(EMULATOR_KEY)), Ok(()));
        let foreign = format!("{}.{}.{}", part("{}"), part("{}"), part("other"));
        check(&foreign, Err(AuthError::ForeignToken));
        check(&part(EMULATOR_KEY), Err(AuthError::Malformed("the token is not a JWT")));
        check("a.b.!", Err(AuthError::Malformed("the token is not a JWT")));
    }

    #[test]
    fn keys_must_be_base64() {
        assert!(Verifier::new("no key").is_err() && Verifier::new("").is_err());
        assert!(!format!("{:?}", verifier()).contains("C2y6"));
    }
}

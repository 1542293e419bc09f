//! Why a caller is not let in: precisely for the log, and in few words for the caller.
//!
//! Nothing of what was presented is in either.

use std::time::Duration;

use axum::http::{HeaderValue, header};
use thiserror::Error;

use super::scope::Scope;
use crate::http::problem::{FORBIDDEN, IDENTITY_UNAVAILABLE, Problem, UNAUTHENTICATED};

/// Why a credential is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum Refusal {
    #[error("no key or token was presented")]
    Missing,
    #[error("the header has no key or token that could be one of ours")]
    Malformed,
    #[error("the key is none of the settings")]
    UnknownKey,
    #[error("neither a key of the settings nor a token is accepted in this form")]
    NotTaken,
    #[error("the token cannot be read")]
    Unreadable,
    #[error("the token has an algorithm other than RS256")]
    Algorithm,
    #[error("the token names no signing key, or has extensions that must be understood")]
    Header,
    #[error("the token names a signing key that the tenant does not have")]
    UnknownSigningKey,
    #[error("the signature is not one of the signing key")]
    Signature,
    #[error("a claim is missing or is of another type")]
    Claims,
    #[error("the token is of another issuer")]
    Issuer,
    #[error("the token is for another audience")]
    Audience,
    #[error("the token is of another tenant")]
    Tenant,
    #[error("no application asked for the token: it is no access token")]
    NoApplication,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the signing keys of the tenant cannot be had")]
    Unavailable { retry_after: Duration },
}

impl Refusal {
    /// What the caller is told.
    pub(super) fn problem(self) -> Problem {
        match self {
            Self::Missing => challenge("Bearer", "the request has no key or token"),
            Self::Expired => invalid("the token has expired"),
            Self::Unavailable { retry_after } => {
                let detail = "the service cannot have the keys that tokens are checked with";
                Problem::new(&IDENTITY_UNAVAILABLE, detail).retry_after(retry_after)
            }
            _ => invalid("the key or token is not accepted"),
        }
    }
}

fn invalid(detail: &'static str) -> Problem {
    challenge("Bearer error=\"invalid_token\"", detail)
}

fn challenge(challenge: &'static str, detail: &'static str) -> Problem {
    let challenge = HeaderValue::from_static(challenge);
    Problem::new(&UNAUTHENTICATED, detail).with_header(header::WWW_AUTHENTICATE, challenge)
}

/// What a caller is told who is known and may not do it.
pub(super) fn forbidden(scope: Scope) -> Problem {
    let challenge = match scope {
        Scope::Read => "Bearer error=\"insufficient_scope\", scope=\"read\"",
        Scope::Write => "Bearer error=\"insufficient_scope\", scope=\"write\"",
        Scope::Admin => "Bearer error=\"insufficient_scope\", scope=\"admin\"",
    };
    let detail = format!("the key or token does not have the scope {scope}");
    Problem::new(&FORBIDDEN, detail)
        .with("scope", scope.name())
        .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
}

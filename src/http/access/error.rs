//! What is wrong with settings of access. No key is ever in a text.

use thiserror::Error;

use crate::http::limits::{ACCESS_KEY_CHARS_MAX, ACCESS_KEY_CHARS_MIN, ACCESS_KEYS_MAX};

/// Why access cannot be controlled as it was asked for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AccessError {
    /// The list of keys is not JSON, or is no list.
    #[error(
        "the access keys are not a JSON list such as \
         [{{\"name\":\"ops\",\"sha256\":\"64 hex digits\",\"scopes\":[\"read\"]}}]: \
         line {line}, column {column}"
    )]
    KeysForm {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// There is no key, or there are too many.
    #[error("there must be 1 to {ACCESS_KEYS_MAX} access keys, not {found}")]
    KeysCount {
        /// How many there are.
        found: usize,
    },
    /// An entry of the list of keys cannot be used.
    #[error("access key {entry}: {problem}")]
    Key {
        /// Its place in the list, from 1, with its name where that can be read.
        entry: String,
        /// What is wrong with it.
        problem: KeyProblem,
    },
    /// The tenant is no GUID.
    #[error(
        "the Entra tenant is named by its id, a GUID (`az account show --query tenantId`), not by a domain"
    )]
    Tenant,
    /// There is no audience, or an empty one.
    #[error(
        "Entra tokens need at least one accepted audience, and none may be empty or have spaces"
    )]
    Audiences,
    /// The issuer is not a URL.
    #[error("the Entra issuer must be a URL with https, as it stands in the claim `iss`")]
    Issuer,
    /// The address of the signing keys cannot be used.
    #[error(
        "the URL of the Entra signing keys must have https, or http to this machine, and no user name, \
         password or fragment"
    )]
    KeysUrl,
    /// The name of a role cannot be used.
    #[error("the name of an Entra role must have 1 to 128 visible ASCII characters")]
    Role,
    /// The client for the signing keys cannot be made.
    #[error("the client that fetches the Entra signing keys cannot be made")]
    Client(#[source] reqwest::Error),
}

/// What is wrong with an entry of the list of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyProblem {
    /// Not an object with the members that an entry has.
    #[error(
        "not {{\"name\", \"sha256\" or \"key\", \"scopes\"}}: a member is missing, unknown, there \
             twice, or of another type"
    )]
    Form,
    /// The name cannot be used.
    #[error("the name must have 1 to 128 visible ASCII characters")]
    Name,
    /// Neither a key nor its digest, or both.
    #[error("it must have either `key` or `sha256`")]
    Secret,
    /// The digest is none.
    #[error("`sha256` must have 64 hex digits")]
    Digest,
    /// The key can be guessed, or cannot be sent.
    #[error(
        "`key` must have {ACCESS_KEY_CHARS_MIN} to {ACCESS_KEY_CHARS_MAX} visible ASCII characters, none \
         of them a dot"
    )]
    Key,
    /// It may do nothing.
    #[error("`scopes` must not be empty")]
    NoScope,
    /// A scope that there is not, or twice the same.
    #[error("`scopes` takes `read`, `write` and `admin`, each once")]
    Scope,
    /// The name is that of another entry.
    #[error("another entry has the same name")]
    SameName,
    /// The key is that of another entry.
    #[error("another entry has the same key")]
    SameKey,
}

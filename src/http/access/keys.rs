//! API keys: from settings, and compared.
//!
//! - Held as SHA-256 digests. A key has at least 32 characters that nobody thought up, so a slow hash would
//!   only cost.
//! - A presented key is compared with every entry, in a time that does not depend on what is equal.

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

use super::{
    error::{AccessError, KeyProblem},
    principal::{Caller, Principal},
    scope::{Scope, Scopes},
};
use crate::http::limits::{ACCESS_KEY_CHARS_MAX, ACCESS_KEY_CHARS_MIN, ACCESS_KEYS_MAX};

/// The bytes of a digest.
const DIGEST_BYTES: usize = 32;
type Digest = [u8; DIGEST_BYTES];

/// The keys that are accepted, each with its name and scopes. `Debug` shows names only.
#[derive(Clone)]
pub struct ApiKeys(Vec<Entry>);

#[derive(Clone)]
struct Entry {
    digest: Digest,
    caller: Caller,
}

/// An entry as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    sha256: Option<String>,
    key: Option<String>,
    scopes: Vec<String>,
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|entry| entry.caller.principal.as_str());
        f.debug_list().entries(names).finish()
    }
}

impl ApiKeys {
    /// Reads a JSON list of entries: `{"name":"ops","sha256":"64 hex digits","scopes":["read"]}`, or with
    /// `"key":"the key itself"` in place of `sha256`.
    ///
    /// ```
    /// use cosmos_event_store::http::access::ApiKeys;
    ///
    /// let digest = "ab".repeat(32);
    /// let keys = format!(r#"[{{"name":"ops","sha256":"{digest}","scopes":["read","admin"]}}]"#);
    /// assert!(ApiKeys::parse(&keys).is_ok());
    /// ```
    ///
    /// # Errors
    ///
    /// [`AccessError::KeysForm`], [`AccessError::KeysCount`], and [`AccessError::Key`], which names the entry.
    /// None shows a key.
    pub fn parse(json: &str) -> Result<Self, AccessError> {
        let written: Vec<&RawValue> = serde_json::from_str(json).map_err(|error| {
            // The text of the error may show a part of the settings.
            AccessError::KeysForm { line: error.line(), column: error.column() }
        })?;
        if !(1..=ACCESS_KEYS_MAX).contains(&written.len()) {
            return Err(AccessError::KeysCount { found: written.len() });
        }
        let mut entries: Vec<Entry> = Vec::with_capacity(written.len());
        for (written, number) in written.iter().zip(1_usize..) {
            let written = serde_json::from_str(written.get());
            let written: Written = written.map_err(|_| AccessError::Key {
                entry: number.to_string(),
                problem: KeyProblem::Form,
            })?;
            let entry = Entry::new(&written).and_then(|entry| entry.differing(&entries));
            entries.push(entry.map_err(|problem| refused(number, &written, problem))?);
        }
        Ok(Self(entries))
    }

    /// Whose key it is.
    pub(super) fn find(&self, key: &str) -> Option<Caller> {
        let digest = digest(key);
        let (mut found, mut place) = (Choice::from(0), 0_u64);
        for (entry, number) in self.0.iter().zip(0_u64..) {
            let is_it = entry.digest.ct_eq(&digest);
            place.conditional_assign(&number, is_it);
            found |= is_it;
        }
        // Who it is shows in the answer anyhow.
        let place = usize::try_from(place).ok().filter(|_| bool::from(found))?;
        self.0.get(place).map(|entry| entry.caller.clone())
    }
}

/// An entry is named by its number, and by its name where that can stand in a text.
fn refused(number: usize, written: &Written, problem: KeyProblem) -> AccessError {
    let entry = match Principal::new(&written.name) {
        Some(name) => format!("{number} (\"{}\")", name.as_str()),
        None => number.to_string(),
    };
    AccessError::Key { entry, problem }
}

impl Entry {
    fn new(written: &Written) -> Result<Self, KeyProblem> {
        let principal = Principal::new(&written.name).ok_or(KeyProblem::Name)?;
        let digest = match (&written.sha256, &written.key) {
            (Some(hex), None) => parse_digest(hex).ok_or(KeyProblem::Digest)?,
            (None, Some(key)) if is_fit(key) => digest(key),
            (None, Some(_)) => return Err(KeyProblem::Key),
            _ => return Err(KeyProblem::Secret),
        };
        if written.scopes.is_empty() {
            return Err(KeyProblem::NoScope);
        }
        let named = written.scopes.iter().map(|name| Scope::named(name));
        let scopes: Vec<Scope> = named.collect::<Option<_>>().ok_or(KeyProblem::Scope)?;
        if scopes.iter().enumerate().any(|(n, scope)| scopes.iter().take(n).any(|it| it == scope)) {
            return Err(KeyProblem::Scope);
        }
        let scopes = scopes.into_iter().collect::<Scopes>();
        Ok(Self { digest, caller: Caller { principal, scopes } })
    }

    /// Itself, if it has neither name nor key of those before it.
    fn differing(self, others: &[Self]) -> Result<Self, KeyProblem> {
        if others.iter().any(|other| other.caller.principal == self.caller.principal) {
            return Err(KeyProblem::SameName);
        }
        if others.iter().any(|other| bool::from(other.digest.ct_eq(&self.digest))) {
            return Err(KeyProblem::SameKey);
        }
        Ok(self)
    }
}

fn digest(key: &str) -> Digest {
    Sha256::digest(key.as_bytes()).into()
}

fn is_fit(key: &str) -> bool {
    // With two dots it would pass for a token.
    let is_fit = |byte: u8| byte.is_ascii_graphic() && byte != b'.';
    (ACCESS_KEY_CHARS_MIN..=ACCESS_KEY_CHARS_MAX).contains(&key.len()) && key.bytes().all(is_fit)
}

fn parse_digest(hex: &str) -> Option<Digest> {
    if hex.len() != 2 * DIGEST_BYTES || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut digest = [0; DIGEST_BYTES];
    for (byte, digits) in digest.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        let digits = std::str::from_utf8(digits).ok()?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests;

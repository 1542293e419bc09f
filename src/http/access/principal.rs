//! Who is behind a request.

use std::sync::Arc;

use super::{
    refusal::forbidden,
    scope::{Need, Scope, Scopes},
};
use crate::http::{limits::PRINCIPAL_CHARS_MAX, problem::Problem};

/// Who is behind a request: the name of a key, or the id of a user or an application. Never a name or an
/// address of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal(Arc<str>);

impl Principal {
    /// Takes 1 to 128 visible ASCII characters, so that it fits into logs and metadata as it is.
    pub(super) fn new(name: &str) -> Option<Self> {
        let is_fit = (1..=PRINCIPAL_CHARS_MAX).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_graphic());
        is_fit.then(|| Self(name.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A caller who is known, with what it may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http) struct Caller {
    pub(in crate::http) principal: Principal,
    pub(super) scopes: Scopes,
}

impl Caller {
    pub(super) const fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(scope)
    }

    /// Whether it may do what needs this.
    pub(in crate::http) fn check(&self, need: Need) -> Result<(), Problem> {
        match need {
            Need::Scope(scope) if !self.may(scope) => Err(forbidden(scope)),
            _ => Ok(()),
        }
    }
}

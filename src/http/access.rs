//! Who may use the service: nobody asks ([`Access::none`], on this machine only), API keys, tokens of
//! Microsoft Entra ID, or both.
//!
//! - The check comes before the body is read and before any handler, behind the bound on requests in flight.
//! - What is needed is said in one table, `scope`, and what that does not have is closed.
//! - What was presented is taken out of the request; no log, answer or error shows it.
//!
//! It keeps no sessions and no users, and issues nothing.

mod credential;
mod description;
mod entra;
mod error;
mod keys;
mod principal;
mod refusal;
mod scope;

use std::{fmt, sync::Arc};

use axum::http::HeaderMap;

#[cfg(test)]
pub(super) use self::scope::is_classified;
use self::{
    credential::{Presented, Unpresented},
    entra::Entra,
    refusal::Refusal,
};
pub(super) use self::{
    description::add as describe,
    principal::{Caller, Principal},
    scope::{Need, need},
};
pub use self::{
    entra::EntraOptions,
    error::{AccessError, KeyProblem},
    keys::ApiKeys,
    scope::Scope,
};
use super::problem::Problem;

/// The target of what is logged about refused requests.
const TARGET: &str = "cosmos_event_store::http::access";

/// Who may use the service. `Debug` shows no key.
///
/// ```
/// use cosmos_event_store::http::{ServiceOptions, access::{Access, ApiKeys}};
///
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let digest = "ab".repeat(32);
/// let keys = format!(r#"[{{"name":"ops","sha256":"{digest}","scopes":["read","write"]}}]"#);
/// let access = Access::none().with_keys(ApiKeys::parse(&keys)?);
/// let options = ServiceOptions::default().with_listen("0.0.0.0:8080".parse()?).with_access(access);
/// assert!(options.check_listen().is_ok());
/// # Ok(())
/// # }
/// # example().unwrap();
/// ```
#[derive(Clone, Default)]
pub struct Access {
    keys: Option<Arc<ApiKeys>>,
    entra: Option<Arc<Entra>>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("keys", &self.keys)
            .field("entra", &self.entra.is_some())
            .finish()
    }
}

impl Access {
    /// Whoever reaches the service may use it, so it listens on loopback only.
    pub fn none() -> Self {
        Self::default()
    }

    /// Accepts these keys.
    #[must_use]
    pub fn with_keys(mut self, keys: ApiKeys) -> Self {
        self.keys = Some(Arc::new(keys));
        self
    }

    /// Accepts these tokens. No request is sent before the first one comes.
    ///
    /// # Errors
    ///
    /// [`AccessError::Client`].
    pub fn with_entra(mut self, options: EntraOptions) -> Result<Self, AccessError> {
        self.entra = Some(Arc::new(Entra::new(options)?));
        Ok(self)
    }

    /// Whether callers must say who they are.
    pub fn is_controlled(&self) -> bool {
        self.keys.is_some() || self.entra.is_some()
    }

    /// Whether keys are accepted, and whether tokens are.
    pub(super) fn takes(&self) -> (bool, bool) {
        (self.keys.is_some(), self.entra.is_some())
    }

    /// Finds out who sends a request, and takes out of its headers what it presents. Nothing where nobody asks
    /// who it is.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(super) async fn caller(
        &self,
        headers: &mut HeaderMap,
        need: Need,
        request_id: &str,
    ) -> Result<Option<Caller>, Problem> {
        if !self.is_controlled() {
            return Ok(None);
        }
        let presented = credential::take(headers);
        if need == Need::Nothing {
            return Ok(None);
        }
        let caller = match presented {
            Ok(presented) => self.identify(presented).await,
            Err(Unpresented::Refused(refusal)) => Err(refusal),
            Err(Unpresented::Headers(problem)) => return Err(problem),
        };
        caller.map(Some).map_err(|refusal| {
            tracing::debug!(target: TARGET, reason = %refusal, request_id, "a caller is not known");
            refusal.problem()
        })
    }

    async fn identify(&self, presented: Presented) -> Result<Caller, Refusal> {
        match (presented, &self.entra, &self.keys) {
            (Presented::Token(token), Some(entra), _) => Box::pin(entra.check(&token)).await,
            (Presented::Key(key), _, Some(keys)) => keys.find(&key).ok_or(Refusal::UnknownKey),
            _ => Err(Refusal::NotTaken),
        }
    }
}

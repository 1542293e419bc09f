//! What a token says, after its signature, issuer and audience were found right.

use serde::Deserialize;
use uuid::Uuid;

use super::EntraOptions;
use crate::http::{
    access::{
        principal::{Caller, Principal},
        refusal::Refusal,
    },
    limits::CLOCK_SKEW_MAX,
};

/// The claims that count here.
#[derive(Deserialize)]
pub(super) struct Claims {
    /// The issuer. The library takes a list of them, too; here it is one.
    iss: String,
    /// When it ends, in seconds since 1970.
    exp: i64,
    /// When it begins.
    nbf: i64,
    /// The tenant.
    tid: String,
    /// The user, or the service principal of an application.
    oid: Option<String>,
    /// The application that asked for the token, in tokens of version 2.
    azp: Option<String>,
    /// The same in tokens of version 1.
    appid: Option<String>,
    sub: Option<String>,
    /// The roles of the application or of the user.
    #[serde(default)]
    roles: Vec<String>,
    /// What a user has let the application do, with spaces between; only in tokens of users.
    scp: Option<String>,
}

impl Claims {
    /// Who presents the token, and what it allows.
    pub(super) fn caller(self, options: &EntraOptions) -> Result<Caller, Refusal> {
        let now = options.clock.now().as_second();
        // A constant of seconds, far below the largest number.
        let skew = i64::try_from(CLOCK_SKEW_MAX.as_secs()).unwrap_or(0);
        if self.exp <= now.saturating_sub(skew) {
            return Err(Refusal::Expired);
        }
        if self.nbf > now.saturating_add(skew) {
            return Err(Refusal::NotYetValid);
        }
        if self.iss != options.issuer {
            return Err(Refusal::Issuer);
        }
        if Uuid::try_parse(&self.tid).ok() != Some(options.tenant) {
            return Err(Refusal::Tenant);
        }
        let application = self.azp.as_deref().or(self.appid.as_deref());
        let application = application.filter(|id| !id.is_empty()).ok_or(Refusal::NoApplication)?;
        let name = self.oid.as_deref().or(Some(application)).or(self.sub.as_deref());
        let principal = name.and_then(Principal::new).ok_or(Refusal::Claims)?;
        let of_roles = options.scopes(&self.roles.iter().map(String::as_str).collect::<Vec<_>>());
        let scopes = match &self.scp {
            None => of_roles,
            Some(scp) => {
                let granted = options.scopes(&scp.split_ascii_whitespace().collect::<Vec<_>>());
                // What an application may do for a user is bounded by what the user may do.
                if self.roles.is_empty() { granted } else { granted.and(of_roles) }
            }
        };
        Ok(Caller { principal, scopes })
    }
}

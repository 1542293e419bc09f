//! Which tokens are accepted, as settings say it.

use std::{sync::Arc, time::Duration};

use reqwest::Url;
use uuid::Uuid;

use crate::{
    clock::{Clock, SystemClock},
    http::{
        access::{
            error::AccessError,
            principal::Principal,
            scope::{Scope, Scopes},
        },
        host,
        limits::KEY_SET_TIME_MAX,
    },
};

/// Where Entra ID is, in its public cloud.
const AUTHORITY: &str = "https://login.microsoftonline.com";

/// Which tokens of Microsoft Entra ID are accepted, and what they allow.
///
/// ```
/// use cosmos_event_store::http::access::{Access, EntraOptions};
///
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let tenant = "8f5d1e06-1c2b-4a7d-9f3e-5b6c7d8e9f01";
/// let audience = "2b0c7a3e-4d5f-4c6b-8a9e-0f1e2d3c4b5a";
/// let entra = EntraOptions::new(tenant, [audience])?;
/// assert_eq!(entra.issuer(), format!("https://login.microsoftonline.com/{tenant}/v2.0"));
/// let access = Access::none().with_entra(entra)?;
/// assert!(access.is_controlled());
/// # Ok(())
/// # }
/// # example().unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct EntraOptions {
    pub(super) tenant: Uuid,
    pub(super) audiences: Vec<String>,
    pub(super) issuer: String,
    pub(super) keys_url: Url,
    pub(super) keys_time_max: Duration,
    pub(super) clock: Arc<dyn Clock>,
    roles: [(Scope, String); 3],
}

impl EntraOptions {
    /// Tokens of this tenant (its id) for one of these audiences: the client id of the application that
    /// stands for the service, or its application id URI.
    ///
    /// # Errors
    ///
    /// [`AccessError::Tenant`] and [`AccessError::Audiences`].
    pub fn new<A: Into<String>>(
        tenant: &str,
        audiences: impl IntoIterator<Item = A>,
    ) -> Result<Self, AccessError> {
        let tenant = Uuid::try_parse(tenant).map_err(|_| AccessError::Tenant)?;
        let audiences: Vec<String> = audiences.into_iter().map(Into::into).collect();
        let is_fit =
            |text: &String| !text.is_empty() && text.bytes().all(|it| it.is_ascii_graphic());
        if audiences.is_empty() || !audiences.iter().all(is_fit) {
            return Err(AccessError::Audiences);
        }
        let keys_url = format!("{AUTHORITY}/{tenant}/discovery/v2.0/keys");
        Ok(Self {
            tenant,
            audiences,
            issuer: format!("{AUTHORITY}/{tenant}/v2.0"),
            keys_url: Url::parse(&keys_url).map_err(|_| AccessError::KeysUrl)?,
            keys_time_max: KEY_SET_TIME_MAX,
            clock: Arc::new(SystemClock::new()),
            roles: [
                (Scope::Read, "EventStore.Read".to_owned()),
                (Scope::Write, "EventStore.Write".to_owned()),
                (Scope::Admin, "EventStore.Admin".to_owned()),
            ],
        })
    }

    /// Sets the issuer, letter by letter as in the claim `iss`. Unless it is set, it is that of tokens of
    /// version 2 in the public cloud, `https://login.microsoftonline.com/TENANT/v2.0`.
    ///
    /// # Errors
    ///
    /// [`AccessError::Issuer`] when it is not a URL with `https`.
    pub fn with_issuer(mut self, issuer: impl Into<String>) -> Result<Self, AccessError> {
        let issuer = issuer.into();
        parse(&issuer).ok_or(AccessError::Issuer)?;
        self.issuer = issuer;
        Ok(self)
    }

    /// Sets from where the signing keys come, a JSON Web Key Set. Unless it is set, that is
    /// `https://login.microsoftonline.com/TENANT/discovery/v2.0/keys`.
    ///
    /// # Errors
    ///
    /// [`AccessError::KeysUrl`] for anything but `https`, or `http` to this machine.
    pub fn with_keys_url(mut self, url: &str) -> Result<Self, AccessError> {
        self.keys_url = parse(url).ok_or(AccessError::KeysUrl)?;
        Ok(self)
    }

    /// Sets the name of the role, in the claims `roles` and `scp`, that grants a scope. Unless it is set, that
    /// is `EventStore.Read`, `EventStore.Write` or `EventStore.Admin`.
    ///
    /// # Errors
    ///
    /// [`AccessError::Role`] for a name that no role can have.
    pub fn with_role(mut self, scope: Scope, name: &str) -> Result<Self, AccessError> {
        let name = Principal::new(name).ok_or(AccessError::Role)?;
        for (granted, role) in &mut self.roles {
            if *granted == scope {
                name.as_str().clone_into(role);
            }
        }
        Ok(self)
    }

    /// Sets how long fetching the signing keys may take; 5 seconds unless it is set.
    #[must_use]
    pub fn with_keys_time_max(mut self, time: Duration) -> Self {
        self.keys_time_max = time;
        self
    }

    /// Sets the clock that tokens and the age of signing keys are measured by.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The tenant.
    pub fn tenant(&self) -> String {
        self.tenant.to_string()
    }

    /// The accepted audiences.
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// The accepted issuer.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// From where the signing keys come.
    pub fn keys_url(&self) -> &str {
        self.keys_url.as_str()
    }

    /// What these roles grant.
    pub(super) fn scopes(&self, roles: &[&str]) -> Scopes {
        let granted =
            |(scope, name): &(Scope, String)| roles.contains(&name.as_str()).then_some(*scope);
        self.roles.iter().filter_map(granted).collect()
    }
}

/// A URL that nobody on the way can read or change.
fn parse(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_safe = match url.scheme() {
        "https" => url.host_str().is_some(),
        "http" => url.host_str().is_some_and(host::is_loopback),
        _ => false,
    };
    let is_bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    (is_safe && is_bare).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "8f5d1e06-1c2b-4a7d-9f3e-5b6c7d8e9f01";

    fn options() -> EntraOptions {
        EntraOptions::new(TENANT, ["api"]).unwrap()
    }

    #[test]
    fn the_tenant_is_a_guid() {
        assert_eq!(EntraOptions::new(&TENANT.to_uppercase(), ["a"]).unwrap().tenant(), TENANT);
        for tenant in ["", "contoso.example", "common", "organizations"] {
            let error = EntraOptions::new(tenant, ["api"]).unwrap_err();
            assert!(matches!(error, AccessError::Tenant), "{tenant}: {error}");
        }
        let of = format!("{AUTHORITY}/{TENANT}");
        assert_eq!(options().issuer(), format!("{of}/v2.0"));
        assert_eq!(options().keys_url(), format!("{of}/discovery/v2.0/keys"));
    }

    #[test]
    fn there_is_an_audience() {
        for audiences in [&[][..], &[""], &["a", "b c"]] {
            let error = EntraOptions::new(TENANT, audiences.iter().copied()).unwrap_err();
            assert!(matches!(error, AccessError::Audiences), "{error}");
        }
    }

    #[test]
    fn keys_come_by_https_or_from_this_machine() {
        for url in [
            "https://login.example/keys",
            "http://127.0.0.1:1/k",
            "http://[::1]/",
            "http://localhost",
        ] {
            assert!(options().with_keys_url(url).is_ok(), "{url}");
        }
        for url in [
            "",
            "keys",
            "http://login.example/keys",
            "http://127.0.0.1.example/keys",
            "ftp://127.0.0.1/",
            "file:///keys",
            "https://user@login.example/keys",
            "https://:secret@login.example/keys",
            "https://login.example/keys#x",
        ] {
            let error = options().with_keys_url(url).unwrap_err();
            assert!(matches!(error, AccessError::KeysUrl), "{url}: {error}");
            assert!(options().with_issuer(url).is_err(), "{url}");
        }
    }

    #[test]
    fn roles_grant_scopes() {
        let options = options().with_role(Scope::Write, "Append").unwrap();
        let scopes = |roles: &[&str]| options.scopes(roles);
        assert_eq!(
            scopes(&["EventStore.Read", "Append", "x"]),
            [Scope::Read, Scope::Write].into_iter().collect()
        );
        assert_eq!(scopes(&["EventStore.Write", "eventstore.read", ""]), Scopes::default());
        assert_eq!(scopes(&["EventStore.Admin"]), [Scope::Admin].into_iter().collect());
        assert!(options.with_role(Scope::Read, "").is_err());
    }
}

//! The settings that say who may use what listens here.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::{
    cli::{CliError, args::usage},
    http::{
        ServiceOptions,
        access::{Access, ApiKeys, EntraOptions},
    },
};

/// The largest file of access keys: a few hundred bytes for each of the keys that there may be.
const KEYS_FILE_BYTES_MAX: u64 = 256 * 1024;

/// Whom the service answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Whoever reaches it; on loopback only
    None,
    /// Who has an API key
    Keys,
    /// Who has an access token of a tenant of Microsoft Entra ID
    Entra,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Keys => "keys",
            Self::Entra => "entra",
        }
    }
}

/// Who may use what listens here.
#[derive(Clone, Args)]
pub(in crate::cli) struct AccessSettings {
    /// Whom it answers: none (everybody, on loopback only), keys, entra, or keys,entra
    #[arg(
        long,
        env = "COSMOS_ES_ACCESS",
        value_enum,
        value_delimiter = ',',
        default_value = "none",
        value_name = "KINDS"
    )]
    access: Vec<Kind>,
    /// File with the API keys, a JSON list of {name, sha256, scopes}
    #[arg(long, env = "COSMOS_ES_ACCESS_KEYS_FILE", value_name = "FILE")]
    access_keys_file: Option<PathBuf>,
    /// The API keys themselves, as JSON, better given by the variable than on the command line
    #[arg(long, env = "COSMOS_ES_ACCESS_KEYS", hide_env_values = true, value_name = "JSON")]
    access_keys: Option<String>,
    /// Tenant of Entra tokens: its id
    #[arg(long, env = "COSMOS_ES_ENTRA_TENANT", value_name = "ID")]
    entra_tenant: Option<String>,
    /// Audiences that Entra tokens may be for
    #[arg(long, env = "COSMOS_ES_ENTRA_AUDIENCE", value_delimiter = ',', value_name = "AUDIENCES")]
    entra_audience: Vec<String>,
    /// Issuer of Entra tokens [default: that of the tenant in the public cloud]
    #[arg(long, env = "COSMOS_ES_ENTRA_ISSUER", value_name = "URL")]
    entra_issuer: Option<String>,
    /// Where the keys are that Entra tokens are signed with [default: those of the tenant in the public cloud]
    #[arg(long, env = "COSMOS_ES_ENTRA_KEYS_URL", value_name = "URL")]
    entra_keys_url: Option<String>,
    /// Host names that it answers for besides those of loopback, where callers are asked who they are
    /// [default: any]
    #[arg(long, env = "COSMOS_ES_HOSTS", value_delimiter = ',', value_name = "NAMES")]
    hosts: Vec<String>,
}

impl std::fmt::Debug for AccessSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessSettings").field("access", &self.access).finish_non_exhaustive()
    }
}

impl AccessSettings {
    /// A service that asks for what the settings say.
    ///
    /// # Errors
    ///
    /// [`CliError::Usage`], which names the settings.
    pub(in crate::cli) fn of(&self, options: ServiceOptions) -> Result<ServiceOptions, CliError> {
        self.check()?;
        let mut access = Access::none();
        if self.has(Kind::Keys) {
            access = access.with_keys(self.keys()?);
        }
        if self.has(Kind::Entra) {
            let wrong = |error| usage(format!("setting entra-...: {error}"));
            access = access.with_entra(self.entra()?).map_err(wrong)?;
        }
        Ok(options.with_access(access).with_hosts(self.hosts.clone()))
    }

    /// Whether callers are asked who they are.
    pub(in crate::cli) fn is_controlled(&self) -> bool {
        !self.has(Kind::None)
    }

    fn has(&self, kind: Kind) -> bool {
        self.access.contains(&kind)
    }

    /// Whether the settings go together.
    fn check(&self) -> Result<(), CliError> {
        if self.has(Kind::None) && self.access.len() > 1 {
            return Err(usage("the setting access is none or something else, not both"));
        }
        for (kind, setting, is_given) in [
            (Kind::Keys, "access-keys", self.access_keys.is_some()),
            (Kind::Keys, "access-keys-file", self.access_keys_file.is_some()),
            (Kind::Entra, "entra-tenant", self.entra_tenant.is_some()),
            (Kind::Entra, "entra-audience", !self.entra_audience.is_empty()),
            (Kind::Entra, "entra-issuer", self.entra_issuer.is_some()),
            (Kind::Entra, "entra-keys-url", self.entra_keys_url.is_some()),
        ] {
            if is_given && !self.has(kind) {
                let kind = kind.name();
                return Err(usage(format!("the setting {setting} goes with access {kind}")));
            }
        }
        if !self.is_controlled() && !self.hosts.is_empty() {
            return Err(usage(
                "the setting hosts goes with access keys or entra: without them only names of loopback are \
                 answered for",
            ));
        }
        Ok(())
    }

    fn keys(&self) -> Result<ApiKeys, CliError> {
        let (name, text) = match (&self.access_keys, &self.access_keys_file) {
            (Some(_), Some(_)) => {
                return Err(usage("of the settings access-keys and access-keys-file take one"));
            }
            (Some(text), None) => ("access-keys", text.clone()),
            (None, Some(path)) => {
                let wrong = |error: String| {
                    usage(format!("setting access-keys-file: {}: {error}", path.display()))
                };
                let size = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
                if size > KEYS_FILE_BYTES_MAX {
                    return Err(wrong(format!("{size} bytes are too many for a list of keys")));
                }
                let text = std::fs::read_to_string(path);
                ("access-keys-file", text.map_err(|error| wrong(error.to_string()))?)
            }
            (None, None) => {
                return Err(usage(
                    "the setting access is keys, and there is neither access-keys nor access-keys-file",
                ));
            }
        };
        ApiKeys::parse(&text).map_err(|error| usage(format!("setting {name}: {error}")))
    }

    fn entra(&self) -> Result<EntraOptions, CliError> {
        let needs =
            |setting| usage(format!("the setting access is entra, and there is no {setting}"));
        let tenant = self.entra_tenant.as_deref().ok_or_else(|| needs("entra-tenant"))?;
        if self.entra_audience.is_empty() {
            return Err(needs("entra-audience"));
        }
        let of = |setting| move |error| usage(format!("setting {setting}: {error}"));
        let mut options = EntraOptions::new(tenant, self.entra_audience.clone())
            .map_err(of("entra-tenant or entra-audience"))?;
        if let Some(issuer) = &self.entra_issuer {
            options = options.with_issuer(issuer).map_err(of("entra-issuer"))?;
        }
        if let Some(url) = &self.entra_keys_url {
            options = options.with_keys_url(url).map_err(of("entra-keys-url"))?;
        }
        Ok(options)
    }
}

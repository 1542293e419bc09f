//! The arguments that commands share: where the store is, and what the output looks like.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use reqwest::Url;

use super::{CliError, secret::Secret};
use crate::{
    config::{Credential, StoreOptions},
    cosmos::is_loopback,
};

/// The data folder unless another is named.
pub(super) const DATA_DIR_DEFAULT: &str = "./data";
/// The database unless another is named.
pub(super) const DATABASE_DEFAULT: &str = "event-store";
/// The processor unless another is named.
const PROCESSOR_DEFAULT: &str = "default";
/// The longest name of a processor: it is a partition key, and stands in every document.
const NAME_CHARACTERS_MAX: usize = 128;

/// What the output is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
}

/// How a result is printed.
#[derive(Debug, Clone, Args)]
pub struct FormatArgs {
    /// Output for people (table) or for programs (json)
    #[arg(
        long,
        env = "COSMOS_ES_OUTPUT",
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        global = true
    )]
    pub output: Format,
}

/// Which processor it is.
#[derive(Debug, Clone, Args)]
pub(super) struct ProcessorArg {
    /// Name of the processor; workers with the same name share its events
    #[arg(
        long = "processor",
        id = "processor",
        env = "COSMOS_ES_PROCESSOR",
        default_value = PROCESSOR_DEFAULT,
        value_name = "NAME",
        value_parser = parse_name
    )]
    pub(super) name: String,
}

impl ProcessorArg {
    /// Whether it is another one than the default.
    pub(super) fn is_named(&self) -> bool {
        self.name != PROCESSOR_DEFAULT
    }
}

/// Who signs requests to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum CredentialKind {
    /// The managed identity of the machine: the system-assigned one, or the one of --client-id
    ManagedIdentity,
    /// The federated identity of a Kubernetes workload
    WorkloadIdentity,
    /// Whoever is signed in to the Azure CLI or the Azure Developer CLI
    DeveloperTools,
    /// The key of the endpoint; on loopback only
    Key,
}

impl CredentialKind {
    /// Who signs where nobody says who does.
    fn default_at(is_loopback: bool) -> Self {
        if is_loopback { Self::Key } else { Self::DeveloperTools }
    }
}

/// Where the store is.
#[derive(Debug, Clone, Args)]
pub struct TargetArgs {
    /// Folder of the embedded store; joins the process that already runs an endpoint on it [default: ./data]
    #[arg(long, env = "COSMOS_ES_DATA_DIR", value_name = "DIR", conflicts_with = "endpoint")]
    data_dir: Option<PathBuf>,
    /// Endpoint of a Cosmos DB account, instead of the embedded store
    #[arg(long, env = "COSMOS_ES_ENDPOINT", value_name = "URL")]
    endpoint: Option<String>,
    /// Key of an endpoint on loopback, better given by the variable than on the command line [default: the
    /// published emulator key]
    #[arg(long, env = "COSMOS_ES_KEY", hide_env_values = true, value_name = "BASE64")]
    key: Option<Secret>,
    /// Who signs requests to the account [default: developer-tools, and key on loopback]
    #[arg(long, env = "COSMOS_ES_CREDENTIAL", value_enum, value_name = "KIND")]
    credential: Option<CredentialKind>,
    /// Client id of a user-assigned managed identity
    #[arg(long, env = "COSMOS_ES_CLIENT_ID", value_name = "ID")]
    client_id: Option<String>,
    /// Azure region that this process runs in, for reads of an account with several
    #[arg(long, env = "COSMOS_ES_REGION", value_name = "NAME")]
    region: Option<String>,
    /// Database; a tenant is a database
    #[arg(long, env = "COSMOS_ES_DATABASE", default_value = DATABASE_DEFAULT, value_name = "NAME")]
    database: String,
}

/// Where the store is, settled.
#[derive(Debug, Clone)]
pub(super) enum Target {
    /// In a folder on this machine.
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The database.
        database: String,
    },
    /// At an endpoint.
    Endpoint(StoreOptions),
}

impl TargetArgs {
    /// Settles where the store is.
    ///
    /// # Errors
    ///
    /// [`CliError::Usage`] where settings do not go together; it names them.
    pub(super) fn target(&self) -> Result<Target, CliError> {
        let Some(endpoint) = &self.endpoint else {
            self.needs_endpoint()?;
            let folder = self.data_dir.clone();
            return Ok(Target::Folder {
                folder: folder.unwrap_or_else(|| Path::new(DATA_DIR_DEFAULT).to_owned()),
                database: self.database.clone(),
            });
        };
        check_endpoint(endpoint)
            .map_err(|problem| usage(format!("the setting endpoint {problem}")))?;
        let credential = self.credential(is_loopback(endpoint))?;
        let options = StoreOptions::new(endpoint, credential, &self.database);
        Ok(Target::Endpoint(match &self.region {
            Some(region) => options.with_region(region),
            None => options,
        }))
    }

    /// Whether an account is named, and not the embedded store.
    pub(super) fn has_endpoint(&self) -> bool {
        self.endpoint.is_some()
    }

    /// What settings are that nobody has given and that have no fixed default.
    pub(super) fn defaults(&self) -> Vec<(&'static str, String)> {
        let Some(endpoint) = &self.endpoint else {
            return vec![("data-dir", DATA_DIR_DEFAULT.to_owned())];
        };
        let kind = CredentialKind::default_at(is_loopback(endpoint)).to_possible_value();
        kind.map(|kind| ("credential", kind.get_name().to_owned())).into_iter().collect()
    }

    /// What says something about an account says nothing about the embedded store.
    fn needs_endpoint(&self) -> Result<(), CliError> {
        let given = [
            ("key", self.key.is_some()),
            ("credential", self.credential.is_some()),
            ("client-id", self.client_id.is_some()),
            ("region", self.region.is_some()),
        ];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            Some((name, _)) => Err(usage(format!(
                "the setting {name} is about an account, and there is no setting endpoint"
            ))),
            None => Ok(()),
        }
    }

    fn credential(&self, is_loopback: bool) -> Result<Credential, CliError> {
        let kind = match self.credential {
            Some(kind) => kind,
            None if !is_loopback && self.key.is_some() => {
                // A key opens everything to whoever has it, and nobody can say who that was.
                return Err(usage(
                    "the setting key is for endpoints on loopback: elsewhere take the setting credential, and \
                     switch the keys of the account off",
                ));
            }
            None => CredentialKind::default_at(is_loopback),
        };
        if self.client_id.is_some() && kind != CredentialKind::ManagedIdentity {
            return Err(usage("the setting client-id goes with credential managed-identity"));
        }
        if self.key.is_some() && kind != CredentialKind::Key {
            return Err(usage("the setting key goes with credential key"));
        }
        match (kind, is_loopback) {
            (CredentialKind::Key, true) => {
                let key = self.key.as_ref().map_or(cosmos_local::EMULATOR_KEY, Secret::as_str);
                Ok(Credential::key(key))
            }
            (CredentialKind::Key, false) => {
                Err(usage("the setting credential is key, and endpoint is not on loopback"))
            }
            (_, true) => Err(usage(
                "the setting credential is for accounts in Azure: an endpoint on loopback takes a key",
            )),
            (CredentialKind::ManagedIdentity, false) => {
                Ok(Credential::ManagedIdentity { client_id: self.client_id.clone() })
            }
            (CredentialKind::WorkloadIdentity, false) => Ok(Credential::WorkloadIdentity),
            (CredentialKind::DeveloperTools, false) => Ok(Credential::DeveloperTools),
        }
    }
}

/// Whether this is the address of an account and nothing more. What is wrong is said without showing it:
/// whoever takes a connection string for it has given a key.
fn check_endpoint(endpoint: &str) -> Result<(), &'static str> {
    let url = Url::parse(endpoint).ok().filter(|url| ["http", "https"].contains(&url.scheme()));
    let Some(url) = url.filter(Url::has_host) else {
        return Err(
            "is no URL such as https://ACCOUNT.documents.azure.com (a connection string is not taken)",
        );
    };
    let is_bare = url.username().is_empty()
        && url.password().is_none()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none();
    match () {
        () if !is_bare => Err("has more than scheme, host and port"),
        () if url.scheme() == "http" && !is_loopback(endpoint) => {
            Err("is http, and not on loopback: everybody on the way could read tokens and events")
        }
        () => Ok(()),
    }
}

/// A command line that contradicts itself.
pub(super) fn usage(text: impl Into<String>) -> CliError {
    CliError::Usage(text.into())
}

/// Reads a time of the command line: RFC 3339 with an offset.
pub(super) fn parse_time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "expected a time such as 2026-11-20T10:00:00Z".to_owned())
}

/// Reads the name of a processor.
pub(super) fn parse_name(text: &str) -> Result<String, String> {
    let characters = text.chars().count();
    if (1..=NAME_CHARACTERS_MAX).contains(&characters) && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(format!("expected 1 to {NAME_CHARACTERS_MAX} characters without control characters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_an_address_and_has_no_secrets() {
        for fine in [
            "https://a.documents.azure.com",
            "https://a.documents.azure.com:443/",
            "http://localhost:1",
            "http://127.0.0.1:1/",
            "http://[::1]:1",
        ] {
            assert_eq!(check_endpoint(fine), Ok(()), "{fine}");
        }
        for (wrong, what) in [
            ("", "is no URL"),
            ("a.documents.azure.com", "is no URL"),
            ("localhost:8081", "is no URL"),
            ("AccountEndpoint=https://a.documents.azure.com/;AccountKey=c2VjcmV0;", "is no URL"),
            ("https://c2VjcmV0@a.documents.azure.com/", "has more"),
            ("https://u:c2VjcmV0@a.documents.azure.com/", "has more"),
            ("https://a.documents.azure.com/;AccountKey=c2VjcmV0", "has more"),
            ("https://a.documents.azure.com/?key=c2VjcmV0", "has more"),
            ("https://a.documents.azure.com/#c2VjcmV0", "has more"),
            ("http://a.documents.azure.com/", "is http"),
            ("http://127.0.0.1.example.com/", "is http"),
        ] {
            let said = check_endpoint(wrong).unwrap_err();
            assert!(said.starts_with(what) && !said.contains("c2VjcmV0"), "{wrong}: {said}");
        }
    }

    #[test]
    fn names_of_processors_are_short_and_plain() {
        assert_eq!(parse_name("mails").as_deref(), Ok("mails"));
        assert!(parse_name("").is_err() && parse_name("a\nb").is_err());
        assert!(parse_name(&"a".repeat(129)).is_err());
    }
}

//! The arguments that commands share: where the store is, and what the output looks like.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use jiff::Timestamp;

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

/// Where the store is.
#[derive(Debug, Clone, Args)]
pub struct TargetArgs {
    /// Folder of the embedded store; joins the process that already runs an endpoint on it [default: ./data]
    #[arg(long, env = "COSMOS_ES_DATA_DIR", value_name = "DIR", conflicts_with = "endpoint")]
    data_dir: Option<PathBuf>,
    /// Endpoint of a Cosmos DB account, instead of the embedded store
    #[arg(long, env = "COSMOS_ES_ENDPOINT", value_name = "URL")]
    endpoint: Option<String>,
    /// Key of the account, better given by the variable than on the command line [default: on
    /// loopback the published emulator key, elsewhere whoever is signed in to the Azure CLI]
    #[arg(long, env = "COSMOS_ES_KEY", hide_env_values = true, value_name = "BASE64")]
    key: Option<String>,
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
    pub(super) fn target(&self) -> Target {
        let Some(endpoint) = &self.endpoint else {
            let folder = self.data_dir.clone();
            return Target::Folder {
                folder: folder.unwrap_or_else(|| Path::new(DATA_DIR_DEFAULT).to_owned()),
                database: self.database.clone(),
            };
        };
        let credential = match &self.key {
            Some(key) => Credential::key(key),
            None if is_loopback(endpoint) => Credential::key(cosmos_local::EMULATOR_KEY),
            None => Credential::DeveloperTools,
        };
        Target::Endpoint(StoreOptions::new(endpoint, credential, &self.database))
    }
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
    fn names_of_processors_are_short_and_plain() {
        assert_eq!(parse_name("mails").as_deref(), Ok("mails"));
        assert!(parse_name("").is_err() && parse_name("a\nb").is_err());
        assert!(parse_name(&"a".repeat(129)).is_err());
    }
}

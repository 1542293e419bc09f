//! The command line of the binary.

use std::path::PathBuf;

use clap::Parser;
use cosmos_local::{Durability, EMULATOR_KEY, LocalCosmos, LocalCosmosBuilder, Mode};

const EXAMPLES: &str = "\
Examples:
  cosmos-local                               data in ./cosmos-local-data, port 8081
  cosmos-local --data-dir D --port 0         data in D, a free port
  cosmos-local --ephemeral --port 0          data in memory; prints one line of JSON when ready

The endpoint binds 127.0.0.1 only. Ctrl-C ends it; a second Ctrl-C ends it at once.";

/// A local Azure Cosmos DB endpoint for development and tests
#[derive(Parser)]
#[command(name = "cosmos-local", version, after_help = EXAMPLES)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Command {
    /// Folder that keeps the data; it is made when it is missing
    #[arg(long, env = "COSMOS_LOCAL_DATA_DIR", default_value = "./cosmos-local-data")]
    data_dir: PathBuf,
    /// Keep the data in memory, and print one line of JSON (endpoint, key, managementEndpoint)
    #[arg(long, env = "COSMOS_LOCAL_EPHEMERAL")]
    ephemeral: bool,
    /// Port of the endpoint; 0 takes a free one
    #[arg(long, env = "COSMOS_LOCAL_PORT", default_value_t = 8081)]
    port: u16,
    /// Port of the management interface; 0 takes a free one
    #[arg(long, env = "COSMOS_LOCAL_MANAGEMENT_PORT", default_value_t = 0)]
    management_port: u16,
    /// Physical partitions of each new container [default: one for each 10,000 RU/s]
    #[arg(long, env = "COSMOS_LOCAL_PARTITIONS", value_parser = clap::value_parser!(u32).range(1..))]
    partitions: Option<u32>,
    /// Refuse what the service would refuse (cross-partition queries without a plan, parts of a
    /// partition) and shuffle the items of a transaction in the change feed
    #[arg(long, env = "COSMOS_LOCAL_STRICT")]
    strict: bool,
    /// Acknowledge writes before they are on the disk: a power loss or kill -9 may lose the last
    /// second of acknowledged writes. For tests
    #[arg(long, env = "COSMOS_LOCAL_RELAXED_DURABILITY")]
    relaxed_durability: bool,
    /// Account key in base64 [default: the published emulator key]
    #[arg(long, env = "COSMOS_LOCAL_KEY", hide_env_values = true, value_name = "BASE64")]
    key: Option<String>,
    /// Print one line of JSON when ready, also without --ephemeral
    #[arg(long)]
    json: bool,
}

impl Command {
    /// The endpoint that the command asks for.
    pub(crate) fn builder(&self) -> LocalCosmosBuilder {
        let durability =
            if self.relaxed_durability { Durability::Relaxed } else { Durability::Durable };
        let mut builder = LocalCosmos::builder()
            .mode(if self.strict { Mode::Strict } else { Mode::Lenient })
            .durability(durability)
            .port(self.port)
            .management_port(self.management_port)
            .key(self.key.as_deref().unwrap_or(EMULATOR_KEY));
        if !self.ephemeral {
            builder = builder.data_dir(&self.data_dir);
        }
        match self.partitions {
            Some(partitions) => builder.partitions(partitions),
            None => builder,
        }
    }

    /// What is printed when the endpoint is ready.
    pub(crate) fn announcement(&self, endpoint: &LocalCosmos) -> String {
        if self.ephemeral || self.json {
            return serde_json::json!({
                "endpoint": endpoint.endpoint(),
                "key": endpoint.key(),
                "managementEndpoint": endpoint.management_endpoint(),
            })
            .to_string();
        }
        let mode = if self.strict { "strict" } else { "lenient" };
        format!(
            "cosmos-local is ready ({mode}, data in {})\n\
             \n\
             endpoint           {}\n\
             key                {}\n\
             management         {}\n\
             connection string  {}\n\
             \n\
             Ctrl-C stops it.",
            self.data_dir.display(),
            endpoint.endpoint(),
            endpoint.key(),
            endpoint.management_endpoint(),
            endpoint.connection_string(),
        )
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Command::command().debug_assert();
    }

    #[test]
    fn the_help_says_what_relaxed_durability_loses() {
        let help = Command::command().render_long_help().to_string();
        assert!(help.contains("last second of acknowledged writes") || help.contains("last\n"));
    }
}

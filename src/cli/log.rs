//! The settings of logs, which all commands have.

use clap::{ArgAction, Args, ValueEnum};

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// An object of JSON a line, for programs
    Json,
}

/// What is logged and how.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// Log to standard error: -v says what is done, -vv says every operation
    #[arg(short, long, env = "COSMOS_ES_VERBOSE", action = ArgAction::Count, global = true)]
    pub verbose: u8,
    /// What is logged, more precisely than -v says it, such as `info,cosmos_event_store=debug` [default:
    /// `RUST_LOG`]
    #[arg(long, env = "COSMOS_ES_LOG", value_name = "FILTER", global = true)]
    pub log: Option<String>,
    /// Log as text or as JSON, an object a line
    #[arg(
        long,
        env = "COSMOS_ES_LOG_FORMAT",
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        global = true
    )]
    pub log_format: LogFormat,
    /// Collector that gets traces and metrics by OTLP over HTTP, such as <http://127.0.0.1:4318>; in programs that
    /// were built with the feature otlp
    #[arg(long, env = "COSMOS_ES_OTLP_ENDPOINT", value_name = "URL", global = true)]
    pub otlp_endpoint: Option<String>,
}

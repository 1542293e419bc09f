//! Where logs go, for the programs of this package. A library that is used by another program leaves that
//! to it.

use std::io::{self, IsTerminal as _};

use thiserror::Error;
use tracing_subscriber::{
    EnvFilter, Layer, Registry, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// What is logged where nothing more precise is said: what a person must look at; with -v the life cycle;
/// with -vv every operation.
const LOGGED: [&str; 3] = [
    "error,cosmos_event_store=warn,cosmos_local=warn",
    "warn,cosmos_event_store=info,cosmos_local=info",
    "info,cosmos_event_store=debug,cosmos_local=debug",
];
/// The variable of the ecosystem, where there is no setting of this program's own.
const FILTER_VARIABLE: &str = "RUST_LOG";

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogForm {
    /// A line for people.
    #[default]
    Text,
    /// An object of JSON, with the fields of the event beside `timestamp`, `level`, `target` and `message`.
    Json,
}

/// Where the lines go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogPlace {
    /// Standard error: standard output is for results.
    #[default]
    StandardError,
    /// Standard output, where a host takes every line of standard error for a failure.
    StandardOutput,
}

/// What is logged, how, and where to.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct LogOptions {
    /// How much is logged where there is no filter: 0 warnings, 1 the life cycle, 2 every operation.
    pub verbosity: u8,
    /// What is logged, in the syntax of `tracing_subscriber::EnvFilter`; the variable `RUST_LOG` otherwise.
    pub filter: Option<String>,
    /// How a line looks.
    pub form: LogForm,
    /// Where the lines go.
    pub place: LogPlace,
    /// Where traces and metrics go by OTLP over HTTP, where they go anywhere.
    pub otlp_endpoint: Option<String>,
}

/// Why nothing is logged.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LogError {
    /// The filter cannot be read.
    #[error("the setting log cannot be read: {0}")]
    Filter(String),
    /// The program cannot send traces and metrics.
    #[error("the setting otlp-endpoint needs a program that was built with the feature otlp")]
    NoExporter,
    /// The process logs already.
    #[error("the process has a log already")]
    Twice,
}

impl LogOptions {
    fn filter(&self) -> Result<EnvFilter, LogError> {
        let wrong =
            |error: tracing_subscriber::filter::ParseError| LogError::Filter(error.to_string());
        if let Some(filter) = &self.filter {
            return EnvFilter::try_new(filter).map_err(wrong);
        }
        if let Ok(filter) = std::env::var(FILTER_VARIABLE)
            && !filter.is_empty()
        {
            return EnvFilter::try_new(filter).map_err(wrong);
        }
        let default = LOGGED.get(usize::from(self.verbosity)).unwrap_or(&LOGGED[2]);
        EnvFilter::try_new(default).map_err(wrong)
    }

    /// The layer that writes lines.
    fn lines(&self) -> Box<dyn Layer<Registry> + Send + Sync> {
        let lines = tracing_subscriber::fmt::layer();
        let is_terminal = match self.place {
            LogPlace::StandardError => io::stderr().is_terminal(),
            LogPlace::StandardOutput => io::stdout().is_terminal(),
        };
        match (self.form, self.place) {
            (LogForm::Text, LogPlace::StandardError) => {
                Box::new(lines.with_ansi(is_terminal).with_writer(io::stderr))
            }
            (LogForm::Text, LogPlace::StandardOutput) => Box::new(lines.with_ansi(is_terminal)),
            (LogForm::Json, LogPlace::StandardError) => {
                Box::new(lines.json().flatten_event(true).with_writer(io::stderr))
            }
            (LogForm::Json, LogPlace::StandardOutput) => Box::new(lines.json().flatten_event(true)),
        }
    }

    /// Logs from now on, for the whole process.
    ///
    /// # Errors
    ///
    /// [`LogError`].
    pub fn start(&self) -> Result<(), LogError> {
        if self.otlp_endpoint.is_some() {
            return Err(LogError::NoExporter);
        }
        let lines = self.lines().with_filter(self.filter()?);
        Registry::default().with(lines).try_init().map_err(|_| LogError::Twice)
    }
}

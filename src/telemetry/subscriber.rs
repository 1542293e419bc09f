//! Where logs go, for the programs of this package. A library that is used by another program leaves that
//! to it.

use std::io::{self, IsTerminal as _};

use thiserror::Error;
use tracing::{Metadata, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt as _, filter_fn},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use super::{
    exporting::{Exporting, FigureSource},
    figures::Named,
    spans,
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
/// Whose targets are logged as precisely as is asked for: those that are known to log no payload, key or token.
const OWN: [&str; 2] = ["cosmos_event_store", "cosmos_local"];
/// The most that is logged of anybody else, whatever is asked for. What libraries log more precisely than that nobody
/// promises: the SDK what it signs and the names of documents today, and perhaps headers and bodies tomorrow.
const FOREIGN_MAX: LevelFilter = LevelFilter::INFO;

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
    /// The names of the figures that are exported as metrics.
    pub figures: Vec<Named>,
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
    /// It is no address of a collector. It is not repeated: it may have a secret in it.
    #[error(
        "the setting otlp-endpoint takes an http(s) URL without user, password, ? and #, such as http://127.0.0.1:4318"
    )]
    Endpoint,
    /// What the variables of OpenTelemetry say cannot be done.
    #[error("the setting otlp-endpoint, with the variables OTEL_*, cannot be used: {0}")]
    Exporter(String),
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

    /// Logs and exports from now on, for the whole process. Not for asynchronous code: exporters block when they
    /// are made.
    ///
    /// # Errors
    ///
    /// [`LogError`].
    pub fn start(&self) -> Result<Exporting, LogError> {
        let mut layers =
            vec![self.lines().with_filter(self.filter()?.and(filter_fn(is_logged))).boxed()];
        let exporting = self.export(FigureSource::default(), &mut layers)?;
        Registry::default().with(layers).try_init().map_err(|_| LogError::Twice)?;
        Ok(exporting)
    }

    #[cfg(feature = "otlp")]
    fn export(&self, figures: FigureSource, layers: &mut Layers) -> Result<Exporting, LogError> {
        let Some(endpoint) = &self.otlp_endpoint else {
            return Ok(Exporting { figures, exporters: None });
        };
        let exporters = super::otlp::Exporters::start(endpoint, &self.figures, &figures)?;
        layers.push(exporters.layer());
        Ok(Exporting { figures, exporters: Some(exporters) })
    }

    #[cfg(not(feature = "otlp"))]
    fn export(&self, figures: FigureSource, _: &mut Layers) -> Result<Exporting, LogError> {
        if self.otlp_endpoint.is_some() {
            Err(LogError::NoExporter)
        } else {
            Ok(Exporting { figures })
        }
    }
}

/// Where everything goes.
type Layers = Vec<Box<dyn Layer<Registry> + Send + Sync>>;

/// Whether a target is one of this package and of what it has inside.
pub(super) fn is_own(target: &str) -> bool {
    let is_below = |own: &str| {
        target.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    OWN.into_iter().any(is_below)
}

/// Whether lines may have something, besides what the filter says.
fn is_logged(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    if is_own(target) { target != spans::TARGET } else { *metadata.level() <= FOREIGN_MAX }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_own_by_whole_names() {
        for own in
            ["cosmos_event_store", "cosmos_event_store::http", "cosmos_local::server::dispatch"]
        {
            assert!(is_own(own), "{own}");
        }
        for foreign in
            ["", "hyper", "cosmos_event_store_else", "cosmos_local2::x", "my::cosmos_local"]
        {
            assert!(!is_own(foreign), "{foreign}");
        }
    }
}

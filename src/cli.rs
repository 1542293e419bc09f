//! The command line: commands and their output.
//!
//! Every command prints its result to standard output, for people or as JSON, and says what went
//! wrong in one line on standard error. Commands know nothing of domain rules: they are thin clients
//! of the event store.

mod append;
mod args;
mod config;
mod demo;
mod doctor;
mod error;
mod export;
mod functions;
mod import;
mod lag;
mod line;
mod local;
mod log;
mod output;
mod package;
mod parked;
mod processors;
mod projections;
mod provision;
mod read;
mod sample;
mod secret;
mod serve;
mod settings;
mod stats;
mod streams;
mod table;
mod tail;
mod target;
mod worker;

use std::{io::Write, path::PathBuf};

use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;

pub use self::{
    append::AppendArgs,
    args::{Format, FormatArgs, TargetArgs},
    config::ConfigArgs,
    demo::DemoArgs,
    doctor::DoctorArgs,
    error::{CliError, EXIT_CONFLICT, EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_UNKNOWN, EXIT_USAGE},
    export::ExportArgs,
    functions::FunctionsArgs,
    import::ImportArgs,
    lag::LagArgs,
    line::EVENT_ID_NAMESPACE,
    local::LocalArgs,
    log::{LogArgs, LogFormat},
    package::PackageArgs,
    parked::ParkedArgs,
    processors::ProcessorsArgs,
    projections::ProjectionsArgs,
    provision::ProvisionArgs,
    read::ReadArgs,
    sample::SampleArgs,
    serve::ServeArgs,
    settings::{Refusal, parse, variables},
    stats::StatsArgs,
    streams::StreamsArgs,
    tail::TailArgs,
    worker::WorkerArgs,
};
use self::{output::Output, settings::Shown};
use crate::{
    feed, http, projection,
    telemetry::{
        LogForm, LogOptions, LogPlace, exporting::FigureSource, figures::Named, operations,
    },
};

const EXAMPLES: &str = "\
Without --endpoint a command works on the embedded store in --data-dir, and joins the process that
already runs it. Every flag has an environment variable, shown in the help of each command.

Exit codes: 0 done, 1 failed, 2 wrong input, 3 the stream is not as expected, 4 it is not known whether
the events were stored, 130 stopped by Ctrl-C.

Examples:
  cosmos-es serve
  cosmos-es import samples/quotes.jsonl
  cosmos-es stats
  cosmos-es read quote-1
  cosmos-es tail --from-start";

/// An event store on Azure Cosmos DB, embedded or in the cloud
#[derive(Debug, Parser)]
#[command(name = "cosmos-es", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    output: FormatArgs,
    /// Settings file: TOML, a line a setting; flags and variables come before it
    #[arg(long, env = "COSMOS_ES_CONFIG", value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// What is logged and how.
    #[command(flatten)]
    pub log: LogArgs,
    #[command(subcommand)]
    command: Command,
    /// The settings of the command, with where they are from.
    #[arg(skip)]
    shown: Vec<Shown>,
    /// Where the figures are told to who exports them.
    #[arg(skip)]
    figures: FigureSource,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(ServeArgs),
    Import(ImportArgs),
    Export(ExportArgs),
    Append(AppendArgs),
    Read(ReadArgs),
    Streams(StreamsArgs),
    Stats(StatsArgs),
    Tail(TailArgs),
    Worker(WorkerArgs),
    Functions(FunctionsArgs),
    Package(PackageArgs),
    Lag(LagArgs),
    Processors(ProcessorsArgs),
    Parked(ParkedArgs),
    Projections(ProjectionsArgs),
    Provision(ProvisionArgs),
    Config(ConfigArgs),
    Doctor(DoctorArgs),
    Local(LocalArgs),
    Sample(SampleArgs),
    Demo(DemoArgs),
}

/// The figures that there may be, as `serve` and `worker` have them at `/metrics`.
const FIGURES: [&[Named]; 4] =
    [&operations::NAMES, &http::figures::NAMES, &feed::metrics::NAMES, &projection::metrics::NAMES];

impl Cli {
    /// What is logged and where to.
    pub fn log_options(&self) -> LogOptions {
        // Its host takes standard error for a list of errors, and shows people nothing else.
        let is_hosted = matches!(self.command, Command::Functions(_));
        let form = match self.log.log_format {
            LogFormat::Text => LogForm::Text,
            LogFormat::Json => LogForm::Json,
        };
        LogOptions {
            verbosity: self.log.verbose.max(u8::from(is_hosted)),
            filter: self.log.log.clone(),
            form,
            place: if is_hosted { LogPlace::StandardOutput } else { LogPlace::default() },
            otlp_endpoint: self.log.otlp_endpoint.clone(),
            figures: FIGURES.concat(),
        }
    }

    /// Tells the figures of what runs here at this place.
    #[must_use]
    pub fn with_figures(mut self, figures: FigureSource) -> Self {
        self.figures = figures;
        self
    }
}

/// Runs a command to its end, or until it is told to stop.
///
/// # Errors
///
/// [`CliError`], which has the exit code and the line to print. Output that nobody reads any more
/// (`cosmos-es read q-1 | head -1`) is not an error.
///
/// # Cancel safety
///
/// Cancel `stop` instead of dropping the future: what was begun is finished or taken back, and the
/// embedded endpoint is closed.
pub async fn run(
    cli: Cli,
    writer: &mut (dyn Write + Send),
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let mut out = Output::new(cli.output.output, writer);
    let done = match cli.command {
        Command::Serve(args) => Box::pin(serve::run(args, &cli.figures, &mut out, stop)).await,
        Command::Import(args) => Box::pin(import::run(args, &mut out, stop)).await,
        Command::Export(args) => Box::pin(export::run(args, &mut out, stop)).await,
        Command::Append(args) => Box::pin(append::run(args, &mut out, stop)).await,
        Command::Read(args) => Box::pin(read::run(args, &mut out, stop)).await,
        Command::Streams(args) => Box::pin(streams::run(args, &mut out, stop)).await,
        Command::Stats(args) => Box::pin(stats::run(args, &mut out, stop)).await,
        Command::Tail(args) => Box::pin(tail::run(args, &mut out, stop)).await,
        Command::Worker(args) => Box::pin(worker::run(args, &cli.figures, &mut out, stop)).await,
        Command::Functions(args) => {
            Box::pin(functions::run(args, &cli.figures, &mut out, stop)).await
        }
        Command::Package(args) => package::run(&args, &mut out),
        Command::Lag(args) => Box::pin(lag::run(args, &mut out, stop)).await,
        Command::Processors(args) => Box::pin(processors::run(args, &mut out, stop)).await,
        Command::Parked(args) => Box::pin(parked::run(args, &mut out, stop)).await,
        Command::Projections(args) => Box::pin(projections::run(args, &mut out, stop)).await,
        Command::Provision(args) => Box::pin(provision::run(args, &mut out)).await,
        Command::Config(args) => config::run(&args, cli.shown, &mut out),
        Command::Doctor(args) => Box::pin(doctor::run(args, &mut out, stop)).await,
        Command::Local(args) => Box::pin(local::run(args, &mut out, stop)).await,
        Command::Sample(args) => sample::run(&args, &mut out),
        Command::Demo(args) => Box::pin(demo::run(args, &mut out, stop)).await,
    };
    match done.and_then(|()| out.flush()) {
        Err(error) if error.is_closed_output() => Ok(()),
        done => done,
    }
}

/// Does something that may be given up at any point: reading.
async fn until_stopped<T>(
    work: impl Future<Output = Result<T, CliError>>,
    stop: &CancellationToken,
) -> Result<T, CliError> {
    tokio::select! {
        biased;
        done = work => done,
        () = stop.cancelled() => Err(CliError::Interrupted),
    }
}

/// Says something to people, on standard error.
fn say(text: &str) {
    // When standard error is closed, there is nobody to say it to.
    let _said = writeln!(std::io::stderr().lock(), "{text}").is_ok();
}

#[cfg(test)]
mod tests;

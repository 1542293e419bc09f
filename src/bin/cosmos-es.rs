//! The `cosmos-es` binary: parses, sets up logging, runs one command, and says how it ended.
#![forbid(unsafe_code)]

use std::{
    io::{self, BufWriter, Write as _},
    process::ExitCode,
    time::Duration,
};

use cosmos_event_store::cli::{
    self, Cli, CliError, EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_USAGE, Refusal,
};
use cosmos_event_store::telemetry::exporting::EXPORT_TIME_MAX;
use tokio_util::sync::CancellationToken;

/// The SDK and JSON make many small, short-lived allocations on several threads; the system's allocator
/// spends a fifth of an append on them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    let cli = match cli::parse(&args, std::env::vars_os().map(|(name, _)| name)) {
        Ok(cli) => cli,
        Err(Refusal::Arguments(error)) => return answer(&error),
        Err(Refusal::Settings(text)) => return fail(EXIT_USAGE, &text),
        Err(other) => return fail(EXIT_USAGE, &other.to_string()),
    };
    let exporting = match cli.log_options().start() {
        Ok(exporting) => exporting,
        Err(error) => return fail(EXIT_USAGE, &error.to_string()),
    };
    let cli = cli.with_figures(exporting.figures());
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(EXIT_FAILURE, &error.to_string()),
    };
    let ended = runtime.block_on(Box::pin(run(cli)));
    // A thread that waits for standard input is not waited for.
    runtime.shutdown_background();
    let time_max = if matches!(ended, Ok(Ended::Cut)) { Duration::ZERO } else { EXPORT_TIME_MAX };
    // What is wrong is said first: a collector that is away must not keep it back.
    let code = match ended {
        Ok(Ended::Done) => ExitCode::SUCCESS,
        Ok(Ended::Cut) => ExitCode::from(EXIT_INTERRUPTED),
        Err(error) => fail(error.exit_code(), &error.one_line()),
    };
    exporting.end(time_max);
    code
}

/// How a command ended that did not fail.
enum Ended {
    Done,
    /// By a second Ctrl-C, which waits for nothing.
    Cut,
}

/// Runs the command. The first Ctrl-C asks it to stop; a second one ends the process at once, also
/// when the command waits for somebody to read its output.
async fn run(cli: Cli) -> Result<Ended, CliError> {
    let mut signals = Signals::new().map_err(CliError::Output)?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let mut running = tokio::spawn(async move {
        let mut out = BufWriter::new(io::stdout());
        cli::run(cli, &mut out, &stopped).await
    });
    loop {
        tokio::select! {
            biased;
            done = &mut running => {
                done.unwrap_or_else(|error| Err(CliError::Output(io::Error::other(error))))?;
                return Ok(Ended::Done);
            }
            () = signals.next() => {
                if stop.is_cancelled() {
                    return Ok(Ended::Cut);
                }
                stop.cancel();
            }
        }
    }
}

/// Help and version on standard output, and what is wrong with the arguments on standard error.
fn answer(error: &clap::Error) -> ExitCode {
    // Nothing is left to be done when nobody reads it.
    let _said = error.print().is_ok();
    if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS }
}

fn fail(code: u8, text: &str) -> ExitCode {
    // Nothing is left to be done when standard error is closed.
    let _said = writeln!(io::stderr().lock(), "cosmos-es: {text}").is_ok();
    ExitCode::from(code)
}

/// Ctrl-C and, where there is one, the signal to terminate.
#[derive(Debug)]
struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())? })
    }

    #[cfg(unix)]
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    #[cfg(not(unix))]
    fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

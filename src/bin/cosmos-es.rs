//! The `cosmos-es` binary: parses, sets up logging, runs one command, and says how it ended.
#![forbid(unsafe_code)]

use std::{
    io::{self, BufWriter, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use cosmos_event_store::cli::{self, Cli, CliError, EXIT_FAILURE, EXIT_INTERRUPTED};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// The SDK and JSON make many small, short-lived allocations on several threads; the system's allocator
/// spends a fifth of an append on them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is logged, unless `RUST_LOG` says otherwise: what a person must look at; with -v the life
/// cycle; with -vv every operation.
const LOGGED: [&str; 3] = [
    "error,cosmos_event_store=warn,cosmos_local=warn",
    "warn,cosmos_event_store=info,cosmos_local=info",
    "info,cosmos_event_store=debug,cosmos_local=debug",
];

fn main() -> ExitCode {
    let cli = Cli::parse();
    log(cli.verbose, cli.logs_to_output());
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(EXIT_FAILURE, &error.to_string()),
    };
    let code = match runtime.block_on(Box::pin(run(cli))) {
        Ok(code) => code,
        Err(error) => fail(error.exit_code(), &error.one_line()),
    };
    // A thread that waits for standard input is not waited for.
    runtime.shutdown_background();
    code
}

/// Runs the command. The first Ctrl-C asks it to stop; a second one ends the process at once, also
/// when the command waits for somebody to read its output.
async fn run(cli: Cli) -> Result<ExitCode, CliError> {
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
                return Ok(ExitCode::SUCCESS);
            }
            () = signals.next() => {
                if stop.is_cancelled() {
                    return Ok(ExitCode::from(EXIT_INTERRUPTED));
                }
                stop.cancel();
            }
        }
    }
}

fn log(verbose: u8, to_output: bool) {
    let verbose = verbose.max(u8::from(to_output));
    let default = LOGGED.get(usize::from(verbose)).unwrap_or(&LOGGED[2]);
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let logging = tracing_subscriber::fmt().with_env_filter(filter);
    if to_output {
        let is_terminal = io::IsTerminal::is_terminal(&io::stdout());
        logging.with_writer(io::stdout).with_ansi(is_terminal).init();
    } else {
        let is_terminal = io::IsTerminal::is_terminal(&io::stderr());
        logging.with_writer(io::stderr).with_ansi(is_terminal).init();
    }
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

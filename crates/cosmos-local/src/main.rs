//! The `cosmos-local` binary: starts an endpoint, says where it is, and runs it until it is told to
//! stop.
#![forbid(unsafe_code)]

mod command;

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use command::Command;
use cosmos_local::LocalCosmos;

/// Ended by a second Ctrl-C, as shells number it.
const EXIT_INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let command = Command::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let code = match runtime.block_on(run(&command)) {
        Ok(code) => code,
        Err(error) => fail(&*error),
    };
    // After a second Ctrl-C nothing is waited for.
    runtime.shutdown_background();
    code
}

async fn run(command: &Command) -> Result<ExitCode, Box<dyn Error>> {
    let mut signals = Signals::new()?;
    let endpoint = command.builder().start().await?;
    say(&command.announcement(&endpoint))?;
    tokio::select! {
        biased;
        () = signals.next() => {}
        () = endpoint.stopping() => {}
    }
    stop(endpoint, &mut signals).await
}

async fn stop(endpoint: LocalCosmos, signals: &mut Signals) -> Result<ExitCode, Box<dyn Error>> {
    tokio::select! {
        biased;
        ended = endpoint.shutdown() => {
            ended?;
            Ok(ExitCode::SUCCESS)
        }
        () = signals.next() => Ok(ExitCode::from(EXIT_INTERRUPTED)),
    }
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
            // Without the signal the management port is the way to stop.
            std::future::pending::<()>().await;
        }
    }
}

fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

fn fail(error: &dyn Error) -> ExitCode {
    // Nothing is left to be done when standard error is closed.
    let _written = writeln!(io::stderr().lock(), "cosmos-local: {error}").is_ok();
    ExitCode::FAILURE
}

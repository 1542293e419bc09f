//! `cosmos-es functions`: the program as a custom handler of Azure Functions.
//!
//! The Functions host starts it, waits until it listens, and sends it requests and triggers. So it listens first
//! and connects to the store then. Its log goes to standard output: the host takes every line of standard error
//! for an error.

mod lag;
mod work;

use std::{
    panic::{self, PanicHookInfo},
    sync::Arc,
    time::Duration,
};

use clap::Args;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use self::work::ReadModelWork;
use super::{
    CliError,
    args::{Format, Target, TargetArgs},
    lag as feed_lag,
    output::Output,
    settings::AccessSettings,
    target::{Account, Missing},
    worker::{figures::Figures, host::default_instance, views},
};
use crate::{
    cosmos::is_loopback,
    feed::ProcessorOptions,
    http::{
        ServiceOptions,
        functions::{FunctionsService, Store},
    },
    projection::pump::{Pump, RUN_TIME_DEFAULT, RUN_TIME_MAX, RUN_TIME_MIN},
    telemetry::exporting::FigureSource,
};

/// The variable in which the host says on which port it comes.
const HOST_PORT: &str = "FUNCTIONS_CUSTOMHANDLER_PORT";
/// Before the first further attempt to connect; it doubles up to the next.
const CONNECT_WAIT_MIN: Duration = Duration::from_millis(500);
/// The longest time between two attempts: less than an invocation waits for a connection.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(8);
const EXAMPLES: &str = "\
The Functions host starts it with the port in FUNCTIONS_CUSTOMHANDLER_PORT (host.json says how). It answers at once
that it is there, and connects to the store meanwhile. Requests that the host passes on are answered as `cosmos-es
serve` answers them; the triggers pump and wakeup keep the read models up to date for a bounded time, and give their
leases away then; lag tells how far they are behind. All of it may be ended at any time, and loses nothing.

`cosmos-es package functions` makes what is deployed. With --output json one line is printed when it listens: http,
store and instance.

Examples:
  cosmos-es functions --port 7072 --endpoint http://127.0.0.1:8081";

/// Serve as a custom handler of Azure Functions, until the host ends it
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct FunctionsArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    access: AccessSettings,
    /// Port to listen on, on loopback; 0 takes a free one [default: what the host says in
    /// `FUNCTIONS_CUSTOMHANDLER_PORT`]
    #[arg(long, env = "COSMOS_ES_FUNCTIONS_PORT", value_name = "PORT")]
    port: Option<u16>,
    /// How long a trigger keeps read models up to date, in seconds
    #[arg(
        long,
        env = "COSMOS_ES_PUMP_SECONDS",
        default_value_t = RUN_TIME_DEFAULT.as_secs(),
        value_parser = clap::value_parser!(u64).range(RUN_TIME_MIN.as_secs()..=RUN_TIME_MAX.as_secs()),
        value_name = "SECONDS"
    )]
    pump_seconds: u64,
    /// Name of this process, for people [default: name of the machine and number of the process]
    #[arg(long, env = "COSMOS_ES_WORKER_INSTANCE", value_name = "NAME")]
    instance: Option<String>,
}

/// Where it is, for programs.
#[derive(Debug, Serialize)]
struct Listening<'a> {
    http: &'a str,
    store: &'a str,
    instance: &'a str,
}

pub(super) async fn run(
    args: FunctionsArgs,
    exported: &FigureSource,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let target = args.target.target()?;
    let Target::Endpoint(options) = &target else {
        return Err(CliError::Usage(
            "functions need --endpoint or COSMOS_ES_ENDPOINT: instances come and go, and a store in a folder \
             of theirs would go with them"
                .to_owned(),
        ));
    };
    check_access(&options.endpoint, &args.access)?;
    let port = port(args.port)?;
    let instance = args.instance.unwrap_or_else(default_instance);
    ProcessorOptions::new(&instance).check()?;
    panic::set_hook(Box::new(tell_place));
    let figures = Figures::default();
    let measured = figures.clone();
    let service = args.access.of(ServiceOptions::default())?.with_figures(move || measured.now());
    let service = FunctionsService::bind(port, service).await?;
    exported.put(service.figures());
    let http = format!("http://{}", service.address());
    let store = options.endpoint.trim_end_matches('/');
    match out.format() {
        Format::Json => out.json(&Listening { http: &http, store, instance: &instance })?,
        Format::Table => {
            out.line(&format!("  functions  {http}   store {store}   instance {instance}"))?;
        }
    }
    out.flush()?;
    let account = Account::open(target.clone(), Missing::Refuse).await?;
    let run_time = Duration::from_secs(args.pump_seconds);
    let connecting = Connecting { account: &account, instance: &instance, run_time, figures };
    let connecting = connecting.connect(service.store(), stop);
    let (served, ()) = tokio::join!(service.serve(stop.clone()), Box::pin(connecting));
    exported.keep();
    let closed = account.close().await;
    served.map_err(CliError::from).and(closed)
}

/// Whether the service may run with the access that it has. Where nobody is asked who they are it is for a store
/// on this machine only: the host lets everybody in.
fn check_access(endpoint: &str, access: &AccessSettings) -> Result<(), CliError> {
    if access.is_controlled() || is_loopback(endpoint) {
        return Ok(());
    }
    Err(CliError::Usage(format!(
        "{endpoint} is not on this machine, and the functions let everybody in: access none is for a store on \
         loopback only"
    )))
}

/// What is said of a panic: its place. Its text may have anything in it that was worked on.
fn tell_place(panicked: &PanicHookInfo<'_>) {
    let place = panicked.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(place, "a fault of the program");
}

/// The port that was asked for, or the one that the host comes to.
fn port(asked: Option<u16>) -> Result<u16, CliError> {
    if let Some(port) = asked {
        return Ok(port);
    }
    let Some(said) = std::env::var_os(HOST_PORT) else {
        return Err(CliError::Usage(format!(
            "{HOST_PORT} is not set: the Functions host starts this command (--port names a port without it)"
        )));
    };
    let port = said.to_str().and_then(|said| said.trim().parse().ok());
    port.filter(|port| *port != 0).ok_or_else(|| {
        CliError::Usage(format!("{HOST_PORT} is {}, which is no port", said.display()))
    })
}

/// What the store is connected for.
struct Connecting<'a> {
    account: &'a Account,
    instance: &'a str,
    run_time: Duration,
    figures: Figures,
}

impl Connecting<'_> {
    /// Connects to the store, again and again until it is there.
    async fn connect(self, place: Store, stop: &CancellationToken) {
        let (mut wait, mut said) = (CONNECT_WAIT_MIN, None);
        loop {
            let tried = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                tried = Box::pin(self.once(&place)) => tried,
            };
            let Err(error) = tried else {
                tracing::info!("the store is connected");
                return;
            };
            let reason = error.one_line();
            if said.as_ref() != Some(&reason) {
                tracing::warn!(reason, "the store cannot be connected, and is tried again");
            }
            said = Some(reason);
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            wait = wait.saturating_mul(2).min(CONNECT_WAIT_MAX);
        }
    }

    async fn once(&self, place: &Store) -> Result<(), CliError> {
        let (store, _) = self.account.provision_and_connect().await?;
        let read_models = views::open(self.account, store.clone()).await?;
        let pump = Pump::new(read_models.clone(), self.instance, self.run_time);
        let lag = feed_lag::open(self.account).await?;
        let work = ReadModelWork::new(pump, lag.clone(), read_models.clone(), &self.figures);
        place.attach(store, read_models, lag, Arc::new(work));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Mutex};

    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn everybody_is_let_in_to_a_store_on_this_machine_only() {
        let access = |args: &[&str]| {
            let args = ["cosmos-es", "functions"].iter().chain(args);
            match Cli::try_parse_from(args).unwrap().command {
                Command::Functions(args) => args.access,
                other => panic!("{other:?}"),
            }
        };
        let (none, keys) = (access(&[]), access(&["--access", "keys"]));
        for here in ["http://127.0.0.1:8081", "http://localhost:8081/"] {
            assert!(check_access(here, &none).is_ok(), "{here}");
        }
        for elsewhere in ["https://account.documents.azure.com/", "http://10.0.0.1:8081", ""] {
            assert!(check_access(elsewhere, &none).is_err(), "{elsewhere}");
            assert!(check_access(elsewhere, &keys).is_ok(), "{elsewhere}");
        }
    }

    /// What is logged, as bytes.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn of_a_panic_the_log_has_the_place_and_not_the_text() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        let before = panic::take_hook();
        panic::set_hook(Box::new(tell_place));
        let panicked = tracing::subscriber::with_default(subscriber, || {
            panic::catch_unwind(|| panic!("payload-of-a-customer"))
        });
        panic::set_hook(before);
        assert!(panicked.is_err());
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(log.contains("src/cli/functions.rs:"), "{log}");
        assert!(!log.contains("payload-of-a-customer"), "{log}");
    }

    #[test]
    fn a_port_that_is_asked_for_counts() {
        assert_eq!(port(Some(7072)).unwrap(), 7072);
        assert_eq!(port(Some(0)).unwrap(), 0);
    }
}

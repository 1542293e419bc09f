//! `cosmos-es worker`: a host of read models, or of a change-feed processor over the events.

pub(super) mod counting;
pub(super) mod figures;
pub(super) mod host;
mod posting;
mod printing;
pub(super) mod receiver;
pub(super) mod views;
mod watched;

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use clap::Args;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use self::{
    counting::Tally,
    figures::Figures,
    host::{Host, SHUTDOWN_TIME_MAX, Work, default_instance},
    printing::{Lines, lines},
    receiver::{EXPECTED, Receiver},
    watched::Watched,
};
use super::{
    CliError,
    args::{Format, ProcessorArg, TargetArgs, parse_time},
    lag,
    output::Output,
    say,
    settings::AccessSettings,
    target::{Account, Missing},
};
use crate::{
    feed::{Handler, ProcessorOptions, documents::Start},
    http::ServiceOptions,
    store::EventStore,
    telemetry::{exporting::FigureSource, figures::merged},
};

/// How long a host may finish what it has begun when nobody reads the output any more: nothing can be then.
const UNREAD_TIME_MAX: Duration = Duration::from_secs(1);
/// How long a line may wait until it is read: who reads slowly, or in a pager, is no fault of a stream.
const PRINTING_TIME_MAX: Duration = Duration::from_hours(365 * 24);
const EXAMPLES: &str = "\
Any number of workers with the same --processor share the events: each stream is handled by one of them,
in order, and every event at least once. The places are kept in the store, so a worker that is started
again goes on where the processor was; --from counts only when the processor is made.

--to views keeps the read models up to date: each has a processor of its own (`cosmos-es projections list`),
so --processor and --from are for the others. --to count only counts events, and says at the end how many there were. --to stdout prints a line of JSON for
each run of events of a stream: stream, epoch and events. --to URL posts the same with the number of the
attempt, and the header idempotency-key; 2xx is handled, 408, 425, 429 and 5xx are tried again, and any
other 4xx parks the stream (`cosmos-es parked`). With --output json one line says first: processor, instance,
to, and metrics where it is served; after --to count a last one says events and streams, after --to views
events, documents and readModels.

--metrics serves /healthz and /readyz for probes, /metrics for Prometheus, and /lag for autoscalers at that
address. Off loopback --access says whom /metrics and /lag answer.

All workers of a processor do the same: one with another --to needs a --processor of its own. `cosmos-es
serve` has a worker inside, for views unless it is told otherwise.

Examples:
  cosmos-es worker
  cosmos-es worker --to count
  cosmos-es worker --processor lines --to stdout
  cosmos-es worker --processor mails --from now --to http://127.0.0.1:9000/events
  cosmos-es worker --metrics 127.0.0.1:9464
  cosmos-es worker --instance a --endpoint https://my-account.documents.azure.com";

/// Keep read models up to date, or deliver every event at least once, shared with other workers, until Ctrl-C
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct WorkerArgs {
    #[command(flatten)]
    processor: ProcessorArg,
    /// Name of this worker, for people [default: name of the machine and number of the process]
    #[arg(long, env = "COSMOS_ES_WORKER_INSTANCE", value_name = "NAME")]
    instance: Option<String>,
    /// Where a new processor begins: beginning, now, or a time (RFC 3339)
    #[arg(
        long,
        env = "COSMOS_ES_WORKER_FROM",
        default_value = "beginning",
        value_name = "PLACE",
        value_parser = parse_start
    )]
    from: Start,
    /// What becomes of events: views for read models, count, stdout, or a URL to post them to
    #[arg(
        long,
        env = "COSMOS_ES_WORKER_TO",
        default_value = "views",
        value_name = "PLACE",
        value_parser = parse_to
    )]
    to: To,
    /// Serve probes, figures and lag on this address; without --access on loopback only; port 0 takes a free one
    #[arg(long, env = "COSMOS_ES_WORKER_METRICS", value_name = "ADDRESS:PORT")]
    metrics: Option<SocketAddr>,
    #[command(flatten)]
    access: AccessSettings,
    #[command(flatten)]
    target: TargetArgs,
}

/// Who gets the events.
#[derive(Debug, Clone, PartialEq, Eq)]
enum To {
    Views,
    Stdout,
    Receiver(Receiver),
}

impl To {
    /// For people and logs.
    fn shown(&self) -> String {
        match self {
            Self::Views => "views".to_owned(),
            Self::Stdout => "stdout".to_owned(),
            Self::Receiver(receiver) => receiver.shown(),
        }
    }

    fn options(&self, instance: &str) -> ProcessorOptions {
        match self {
            Self::Views => ProcessorOptions::new(instance),
            Self::Stdout => ProcessorOptions::new(instance).with_handler_name("stdout"),
            Self::Receiver(receiver) => receiver.options(instance),
        }
    }
}

fn parse_to(text: &str) -> Result<To, String> {
    match text {
        "views" => Ok(To::Views),
        "stdout" => Ok(To::Stdout),
        "none" => Err("none is for `cosmos-es serve`: a worker delivers somewhere".to_owned()),
        other => match Receiver::parse(other) {
            Some(receiver) => Ok(To::Receiver(receiver)),
            None => Err(format!("expected views, count, stdout, or {EXPECTED}")),
        },
    }
}

fn parse_start(text: &str) -> Result<Start, String> {
    match text {
        "beginning" => Ok(Start::Beginning),
        "now" => Ok(Start::Now),
        time => parse_time(time)
            .map(|time| Start::Time(time.as_second()))
            .map_err(|error| format!("{error}, or beginning, or now")),
    }
}

/// What runs, for programs.
#[derive(Debug, Serialize)]
struct Working<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    processor: Option<&'a str>,
    instance: &'a str,
    to: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<&'a str>,
}

pub(super) async fn run(
    args: WorkerArgs,
    exported: &FigureSource,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let instance = args.instance.clone().unwrap_or_else(default_instance);
    // Before a data folder is made for a worker that will not be.
    args.to.options(&instance).check()?;
    if args.to == To::Views && (args.processor.is_named() || args.from != Start::Beginning) {
        return Err(CliError::Usage(
            "every read model has a processor of its own and begins at the beginning: --processor and \
             --from go with --to count, stdout or a URL"
                .to_owned(),
        ));
    }
    let watched = args.metrics.map(|address| watched::options(address, &args.access));
    let watched = watched.transpose()?;
    let account = Account::open(args.target.target()?, Missing::Create).await?;
    let result = work(&args, &instance, (watched, exported), &account, out, stop).await;
    exported.keep();
    let closed = account.close().await;
    result.and(closed)
}

async fn work(
    args: &WorkerArgs,
    instance: &str,
    (watched, exported): (Option<ServiceOptions>, &FigureSource),
    account: &Account,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    // An account that does not answer is waited for, and nothing has begun that could be lost.
    let connected = tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()),
        connected = Box::pin(account.check_and_connect()) => connected,
    };
    let store = connected?;
    let figures = Figures::default();
    let (counted, measured) = (store.clone(), figures.clone());
    exported.put(move || merged(counted.figures().into_iter().chain(measured.now())));
    let lag = lag::open(account).await?;
    let watched = match watched {
        Some(options) => {
            let lag = lag.clone();
            Some(Watched::start(options, store.clone(), figures.clone(), lag).await?)
        }
        None => None,
    };
    let url = watched.as_ref().map(Watched::url);
    let working = async {
        if args.to == To::Views {
            keep(args, instance, (store, url), account, &figures, out, stop).await
        } else {
            handle(args, instance, url, account, figures.clone(), out, stop).await
        }
    };
    let worked = lag::telling::telling(&lag, Box::pin(working)).await;
    if let Some(watched) = watched {
        watched.end().await;
    }
    worked
}

/// Keeps read models up to date.
async fn keep(
    args: &WorkerArgs,
    instance: &str,
    (store, url): (EventStore, Option<&str>),
    account: &Account,
    figures: &Figures,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let read_models = views::open(account, store).await?;
    announce(args, instance, url, out)?;
    let stop = stop.child_token();
    let mut keeping = pin!(views::keep(&read_models, instance, figures, None, &stop));
    let kept = tokio::select! {
        biased;
        kept = &mut keeping => kept,
        () = account.ended() => {
            stop.cancel();
            keeping.await
        }
    };
    let kept = kept?;
    tracing::info!("stopped");
    match out.format() {
        Format::Json => out.json(&kept),
        Format::Table => out.line(&kept.shown()),
    }
}

/// Delivers events somewhere.
async fn handle(
    args: &WorkerArgs,
    instance: &str,
    url: Option<&str>,
    account: &Account,
    figures: Figures,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let (printing, mut lines) = lines();
    let counting = Arc::default();
    let handler: Arc<dyn Handler> = match &args.to {
        To::Receiver(receiver) => receiver.handler(&counting)?,
        To::Stdout | To::Views => Arc::new(printing),
    };
    let mut options = args.to.options(instance).with_start(args.from);
    if args.to == To::Stdout {
        (options.attempt_time_max, options.run_time_max) = (PRINTING_TIME_MAX, PRINTING_TIME_MAX);
    }
    let work = Work { processor: args.processor.name.clone(), options, figures }.at(account);
    let host = Box::pin(work.start(account, handler, None)).await?;
    announce(args, instance, url, out)?;
    deliver(host, &mut lines, account, out, stop).await?;
    tracing::info!("stopped");
    if args.to == To::Receiver(Receiver::Count) {
        tell(counting.tally(), out)?;
    }
    Ok(())
}

/// Prints what the host hands out until it is told to stop, and then what it still finishes.
async fn deliver(
    mut host: Host,
    lines: &mut Lines,
    account: &Account,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = account.ended() => break,
            line = lines.next() => {
                if let Err(error) = lines.print(line, out) {
                    host.shutdown(UNREAD_TIME_MAX).await?;
                    return Err(error);
                }
            }
            error = host.failed() => return Err(error),
        }
    }
    let mut ending = std::pin::pin!(host.shutdown(SHUTDOWN_TIME_MAX));
    loop {
        tokio::select! {
            biased;
            line = lines.next() => lines.print(line, out)?,
            ended = &mut ending => return ended,
        }
    }
}

/// Says what was counted.
fn tell(tally: Tally, out: &mut Output<'_>) -> Result<(), CliError> {
    match out.format() {
        Format::Json => out.json(&tally),
        Format::Table => out.line(&tally.shown()),
    }
}

fn announce(
    args: &WorkerArgs,
    instance: &str,
    metrics: Option<&str>,
    out: &mut Output<'_>,
) -> Result<(), CliError> {
    let processor = Some(args.processor.name.as_str()).filter(|_| args.to != To::Views);
    let to = args.to.shown();
    if out.format() == Format::Json {
        out.json(&Working { processor, instance, to: &to, metrics })?;
    } else {
        // Standard output has nothing but events when they go there.
        let mut tell = |text: String| match args.to {
            To::Stdout => {
                say(&text);
                Ok(())
            }
            To::Receiver(_) | To::Views => out.line(&text),
        };
        match processor {
            Some(processor) => {
                tell(format!("  processor  {processor}   instance {instance}"))?;
            }
            None => tell(format!("  instance   {instance}"))?,
        }
        tell(format!("  to         {to}"))?;
        if let Some(url) = metrics {
            tell(format!("  metrics    {url}"))?;
        }
        tell("  working - Ctrl-C stops cleanly".to_owned())?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_delivers_to_words_or_a_url() {
        assert_eq!(parse_to("views"), Ok(To::Views));
        assert_eq!(parse_to("stdout"), Ok(To::Stdout));
        assert_eq!(parse_to("count"), Ok(To::Receiver(Receiver::Count)));
        assert!(parse_to("none").unwrap_err().contains("serve"));
        assert!(parse_to("http://u:p@a/").is_err());
        let name = |text| parse_to(text).unwrap().options("a").handler_name.unwrap();
        assert_eq!([name("stdout"), name("count"), name("http://a/")], ["stdout", "count", "url"]);
    }

    #[test]
    fn places_to_begin_are_words_or_a_time() {
        assert_eq!(parse_start("beginning"), Ok(Start::Beginning));
        assert_eq!(parse_start("now"), Ok(Start::Now));
        assert_eq!(parse_start("1970-01-01T00:01:00Z"), Ok(Start::Time(60)));
        assert!(parse_start("yesterday").is_err());
    }
}

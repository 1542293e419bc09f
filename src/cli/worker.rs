//! `cosmos-es worker`: one host of a change-feed processor over the events.

mod posting;
mod printing;

use std::{sync::Arc, time::Duration};

use clap::Args;
use reqwest::Url;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use self::{
    posting::Posting,
    printing::{Lines, lines},
};
use super::{
    CliError,
    args::{Format, ProcessorArg, TargetArgs, parse_time},
    output::Output,
    processors::LEASES_CONTAINER,
    say,
    target::{Account, Missing},
};
use crate::{
    cosmos::is_loopback,
    feed::{
        CosmosFeed, CosmosLeases, Feed, FeedFields, Handler, Processor, ProcessorOptions,
        RunningProcessor, documents::Start, options::POLL_MIN,
    },
};

/// How long a host that is told to stop may finish what it has begun.
const SHUTDOWN_TIME_MAX: Duration = Duration::from_secs(10);
/// The same when nobody reads the output any more: nothing can be finished then.
const UNREAD_TIME_MAX: Duration = Duration::from_secs(1);
/// How often it is looked whether the host is in trouble.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// The container that is watched.
const EVENTS_CONTAINER: &str = "events";

const EXAMPLES: &str = "\
Any number of workers with the same --processor share the events: each stream is handled by one of them,
in order, and every event at least once. The places are kept in the store, so a worker that is started
again goes on where the processor was; --from counts only when the processor is made.

--to stdout prints a line of JSON for each run of events of a stream: stream, epoch and events. --to URL
posts the same with the number of the attempt, and the header idempotency-key; 2xx is handled, 408, 425,
429 and 5xx are tried again, and any other 4xx parks the stream (`cosmos-es parked`). With --output json
one line says first: processor, instance and to.

Examples:
  cosmos-es worker
  cosmos-es worker --processor mails --from now --to http://127.0.0.1:9000/events
  cosmos-es worker --instance a --endpoint https://my-account.documents.azure.com";

/// Deliver every event at least once, in order per stream, shared with other workers, until Ctrl-C
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
    /// Where events are delivered: stdout, or a URL to post them to
    #[arg(
        long,
        env = "COSMOS_ES_WORKER_TO",
        default_value = "stdout",
        value_name = "PLACE",
        value_parser = parse_receiver
    )]
    to: Receiver,
    #[command(flatten)]
    target: TargetArgs,
}

/// Who gets the events.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Receiver {
    Stdout,
    Url(Url),
}

impl Receiver {
    /// For people and logs: without what may be a secret.
    fn shown(&self) -> String {
        match self {
            Self::Stdout => "stdout".to_owned(),
            Self::Url(url) => {
                let mut url = url.clone();
                url.set_query(None);
                url.to_string()
            }
        }
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

fn parse_receiver(text: &str) -> Result<Receiver, String> {
    if text == "stdout" {
        return Ok(Receiver::Stdout);
    }
    let wrong = || "expected stdout or an http(s) URL without user, password and #".to_owned();
    let url: Url = text.parse().map_err(|_| wrong())?;
    let is_plain =
        url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
    if is_plain && is_http { Ok(Receiver::Url(url)) } else { Err(wrong()) }
}

/// What runs, for programs.
#[derive(Debug, Serialize)]
struct Working<'a> {
    processor: &'a str,
    instance: &'a str,
    to: &'a str,
}

pub(super) async fn run(
    args: WorkerArgs,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let instance = args.instance.clone().unwrap_or_else(default_instance);
    // Before a data folder is made for a worker that will not be.
    ProcessorOptions::new(&instance).check()?;
    let account = Account::open(args.target.target(), Missing::Create).await?;
    let result = work(&args, &instance, &account, out, stop).await;
    let closed = account.close().await;
    result.and(closed)
}

async fn work(
    args: &WorkerArgs,
    instance: &str,
    account: &Account,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    account.connect().await?;
    let feed = open_feed(account).await?;
    let leases =
        Box::pin(CosmosLeases::open(&account.options, LEASES_CONTAINER, &args.processor.name))
            .await?;
    let mut options = ProcessorOptions::new(instance).with_start(args.from);
    if is_loopback(&account.options.endpoint) {
        // Asking costs nothing there.
        options = options.with_polls(POLL_MIN, POLL_MIN);
    }
    let (printing, mut lines) = lines();
    let handler: Arc<dyn Handler> = match &args.to {
        Receiver::Stdout => Arc::new(printing),
        Receiver::Url(url) => {
            options = options.with_attempts(posting::ATTEMPTS_MAX, posting::ATTEMPT_TIME_MAX);
            Arc::new(Posting::new(url.clone())?)
        }
    };
    announce(args, instance, out)?;
    let feed: Arc<dyn Feed> = Arc::new(feed);
    let host = Processor::new(feed, Arc::new(leases), handler, options).start()?;
    let result = deliver(host, &mut lines, account, out, stop).await;
    if result.is_ok() {
        tracing::info!("stopped");
    }
    result
}

/// Opens the feed of the events.
pub(super) async fn open_feed(account: &Account) -> Result<CosmosFeed, CliError> {
    let fields = FeedFields::new("/aggregateId", "/sequenceNumber")
        .map_err(|error| CliError::Usage(error.to_string()))?;
    Ok(Box::pin(CosmosFeed::open(&account.options, EVENTS_CONTAINER, fields)).await?)
}

/// Prints what the host hands out until it is told to stop, and then what it still finishes.
async fn deliver(
    mut host: RunningProcessor,
    lines: &mut Lines,
    account: &Account,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let mut look = tokio::time::interval(LOOK_INTERVAL);
    let mut trouble = None;
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
            _ = look.tick() => {
                if host.has_ended() {
                    return Err(crate::feed::HostFailed.into());
                }
                let found = host.status().trouble;
                if let Some(reason) = found.as_deref().filter(|_| found != trouble) {
                    tracing::warn!(reason, "the worker is in trouble, and goes on trying");
                }
                trouble = found;
            }
        }
    }
    let mut ending = std::pin::pin!(host.shutdown(SHUTDOWN_TIME_MAX));
    loop {
        tokio::select! {
            biased;
            line = lines.next() => lines.print(line, out)?,
            ended = &mut ending => return Ok(ended?),
        }
    }
}

fn announce(args: &WorkerArgs, instance: &str, out: &mut Output<'_>) -> Result<(), CliError> {
    let (processor, to) = (args.processor.name.as_str(), args.to.shown());
    if out.format() == Format::Json {
        out.json(&Working { processor, instance, to: &to })?;
    } else {
        // Standard output has nothing but events when they go there.
        let mut tell = |text: String| match args.to {
            Receiver::Stdout => {
                say(&text);
                Ok(())
            }
            Receiver::Url(_) => out.line(&text),
        };
        tell(format!("  processor  {processor}   instance {instance}"))?;
        tell(format!("  to         {to}"))?;
        tell("  working - Ctrl-C stops cleanly".to_owned())?;
    }
    out.flush()
}

/// The name of the machine and the number of the process.
fn default_instance() -> String {
    let from_file = |path| std::fs::read_to_string(path).ok();
    let machine = std::env::var("HOSTNAME")
        .or_else(|_| std::env::var("COMPUTERNAME"))
        .ok()
        .or_else(|| from_file("/proc/sys/kernel/hostname"))
        .or_else(|| from_file("/etc/hostname"))
        .unwrap_or_default();
    let machine: String = machine.trim().chars().filter(|c| !c.is_control()).take(64).collect();
    let machine = if machine.is_empty() { "host" } else { &machine };
    format!("{machine}-{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_to_begin_are_words_or_a_time() {
        assert_eq!(parse_start("beginning"), Ok(Start::Beginning));
        assert_eq!(parse_start("now"), Ok(Start::Now));
        assert_eq!(parse_start("1970-01-01T00:01:00Z"), Ok(Start::Time(60)));
        assert!(parse_start("yesterday").is_err());
    }

    #[test]
    fn receivers_are_stdout_or_a_url_and_show_no_secret() {
        let shown = |text: &str| parse_receiver(text).map(|receiver| receiver.shown());
        assert_eq!(shown("stdout").as_deref(), Ok("stdout"));
        assert_eq!(shown("http://a:1/b?code=x").as_deref(), Ok("http://a:1/b"));
        for wrong in ["", "file:///x", "http://u:p@a/", "http://u@a/", "a:1", "http://a/#b"] {
            assert!(parse_receiver(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_instance_without_a_name_gets_one_that_is_valid() {
        assert_eq!(ProcessorOptions::new(default_instance()).check(), Ok(()));
    }
}

//! `cosmos-es export`: writes events as a log that `import` reads.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use flate2::{Compression, write::GzEncoder};
use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{
    CliError,
    args::{Format, TargetArgs},
    line::EventLine,
    output::Output,
    table::counted,
    target::{Account, Missing},
    until_stopped,
};
use crate::store::{EventPages, EventStore, Events, ReadError};

/// The streams that are read ahead, a page of each.
const STREAMS_AHEAD: usize = 16;
/// What is written to a file at a time.
const WRITE_BYTES: usize = 128 * 1024;

const EXAMPLES: &str = "\
Each line is a JSON object with all that an event has; `cosmos-es import` stores the same events from
it, with a new recordedAt. Events of a stream are in order; streams are in the order of the store's
partitions. Without --file the log goes to standard output. With --file and --output json the result is
one object: file, events, streams, seconds.

Examples:
  cosmos-es export > all.jsonl
  cosmos-es export quote-1
  cosmos-es export --file backup.jsonl.gz";

/// Export a stream, or all of them, as a log
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct ExportArgs {
    /// The stream; all of them when none is named
    stream: Option<String>,
    /// Write to a file, compressed if its name ends with .gz; it appears when it is complete
    #[arg(long, env = "COSMOS_ES_EXPORT_FILE", value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    target: TargetArgs,
}

/// What was written, for programs.
#[derive(Debug, Serialize)]
struct Exported {
    file: String,
    events: u64,
    streams: u64,
    seconds: f64,
}

/// How much was written.
#[derive(Debug, Default, Clone, Copy)]
struct Written {
    events: u64,
    streams: u64,
}

pub(super) async fn run(
    args: ExportArgs,
    out: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let account = Account::open(args.target.target()?, Missing::Refuse).await?;
    let started = account.options.clock.monotonic();
    let exporting = async {
        let store = account.connect().await?;
        match &args.file {
            None => write(&args, &store, out.writer(), CliError::Output).await,
            Some(path) => to_file(&args, &store, path).await,
        }
    };
    let result = until_stopped(exporting, stop).await;
    let elapsed = account.options.clock.monotonic().saturating_sub(started);
    let closed = account.close().await;
    let written = result?;
    if let Some(path) = &args.file {
        print(path, written, elapsed, out)?;
    }
    closed
}

/// Writes under another name first, so that a file with the name is always complete.
async fn to_file(args: &ExportArgs, store: &EventStore, path: &Path) -> Result<Written, CliError> {
    let failed = |source| CliError::File { path: path.to_owned(), source };
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let file = BufWriter::with_capacity(WRITE_BYTES, File::create(&part).map_err(failed)?);
    let (written, file) = if path.extension().is_some_and(|extension| extension == "gz") {
        let mut gzip = GzEncoder::new(file, Compression::default());
        let written = write(args, store, &mut gzip, failed).await?;
        (written, gzip.finish().map_err(failed)?)
    } else {
        let mut file = file;
        (write(args, store, &mut file, failed).await?, file)
    };
    let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    std::fs::rename(&part, path).map_err(failed)?;
    Ok(written)
}

async fn write(
    args: &ExportArgs,
    store: &EventStore,
    writer: &mut (dyn Write + Send),
    failed: impl Fn(io::Error) -> CliError,
) -> Result<Written, CliError> {
    let mut written = Written::default();
    if let Some(stream) = &args.stream {
        let (page, pages) = first_page(store, stream.as_str()).await?;
        write_stream(page, pages, writer, &mut written, &failed).await?;
        return Ok(written);
    }
    let streams = store.streams().pages().map_ok(|page| {
        let streams = page.first_events.into_iter().map(|event| event.stream().to_owned());
        futures::stream::iter(streams.collect::<Vec<_>>().into_iter().map(Ok::<_, ReadError>))
    });
    let mut reads = Box::pin(
        streams
            .try_flatten()
            .map_ok(|stream| async move { first_page(store, &stream).await })
            .try_buffered(STREAMS_AHEAD),
    );
    while let Some((page, pages)) = reads.try_next().await? {
        write_stream(page, pages, writer, &mut written, &failed).await?;
    }
    Ok(written)
}

/// Reads the first page of a stream, and leaves the others for later.
async fn first_page(
    store: &EventStore,
    stream: &str,
) -> Result<(Option<Events>, EventPages), ReadError> {
    let mut pages = store.read(stream).pages();
    let page = pages.next().await.transpose()?;
    Ok((page, pages))
}

async fn write_stream(
    mut page: Option<Events>,
    mut pages: EventPages,
    writer: &mut (dyn Write + Send),
    written: &mut Written,
    failed: &impl Fn(io::Error) -> CliError,
) -> Result<(), CliError> {
    while let Some(Events { events, .. }) = page {
        for event in &events {
            serde_json::to_writer(&mut *writer, &EventLine::new(event))
                .map_err(|error| failed(error.into()))?;
            writer.write_all(b"\n").map_err(failed)?;
            written.events = written.events.saturating_add(1);
            let is_first = event.sequence_number() == 1;
            written.streams = written.streams.saturating_add(u64::from(is_first));
        }
        page = pages.next().await.transpose()?;
    }
    Ok(())
}

fn print(
    path: &Path,
    written: Written,
    elapsed: Duration,
    out: &mut Output<'_>,
) -> Result<(), CliError> {
    let Written { events, streams } = written;
    let (file, seconds) = (path.display().to_string(), elapsed.as_secs_f64());
    match out.format() {
        Format::Json => out.json(&Exported { file, events, streams, seconds }),
        Format::Table => out.line(&format!(
            "{} of {} written to {file} in {seconds:.1} s",
            counted(events, "event"),
            counted(streams, "stream"),
        )),
    }
}

//! Deliveries as lines of standard output.

use futures::{FutureExt as _, future::BoxFuture};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::{mpsc, oneshot},
};

use crate::{
    cli::{CliError, output::Output},
    feed::{Delivery, Handler, HandlerFault},
};

/// The lines that wait to be printed. Each run waits for its own, so more would only take memory.
const LINES_MAX: usize = 64;

/// A line, and who waits for it to be printed.
pub(super) struct Line {
    text: String,
    printed: oneshot::Sender<()>,
}

/// Has each run printed, and waits until it is.
#[derive(Debug)]
pub(super) struct Printing(mpsc::Sender<Line>);

/// The lines to print.
#[derive(Debug)]
pub(super) struct Lines(mpsc::Receiver<Line>);

/// A handler, and where its lines come out.
pub(super) fn lines() -> (Printing, Lines) {
    let (sender, receiver) = mpsc::channel(LINES_MAX);
    (Printing(sender), Lines(receiver))
}

/// A run, for programs.
#[derive(Debug, Serialize)]
struct Run<'a> {
    stream: &'a str,
    epoch: u64,
    events: Vec<&'a RawValue>,
}

impl Handler for Printing {
    fn handle<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Result<(), HandlerFault>> {
        async move {
            let events = delivery.changes.iter().map(|change| &*change.document).collect();
            let run = Run { stream: &delivery.key, epoch: delivery.epoch, events };
            let text = serde_json::to_string(&run)
                .map_err(|_| HandlerFault::poison("the events cannot be written as JSON"))?;
            // A line break in a document stands between its tokens; inside of texts it is escaped.
            let text = text.replace(['\n', '\r'], " ");
            let (printed, is_printed) = oneshot::channel();
            let sent = self.0.send(Line { text, printed }).await.is_ok();
            if !sent || is_printed.await.is_err() {
                // Nobody prints any more, so the worker is about to end; it is no fault of the stream.
                std::future::pending::<()>().await;
            }
            Ok(())
        }
        .boxed()
    }
}

impl Lines {
    /// The next line; for ever when there is none and never will be.
    pub(super) async fn next(&mut self) -> Line {
        match self.0.recv().await {
            Some(line) => line,
            None => std::future::pending().await,
        }
    }

    /// Prints a line, with those that wait behind it, and then tells those who wait for them.
    pub(super) fn print(&mut self, first: Line, out: &mut Output<'_>) -> Result<(), CliError> {
        let mut printed = Vec::new();
        let write = || {
            let mut next = Some(first);
            while let Some(line) = next {
                // Whoever does not wait any more must not act any more.
                if !line.printed.is_closed() {
                    out.line(&line.text)?;
                    printed.push(line.printed);
                }
                next = self.0.try_recv().ok();
            }
            out.flush()
        };
        // Whoever reads slowly must not keep the host from its beats.
        let has_threads = Handle::try_current()
            .is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
        if has_threads { tokio::task::block_in_place(write) } else { write() }?;
        for one in printed {
            // Whoever has gone meanwhile gets the events again.
            let _told = one.send(()).is_ok();
        }
        Ok(())
    }
}

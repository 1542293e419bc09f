//! What the triggers of the functions set in motion: bounded runs of the host of read models.

use futures::{FutureExt as _, future::BoxFuture};
use serde_json::{Map, Value, json};

use super::lag;
use crate::{
    cli::worker::figures::Figures,
    feed::lag::LagReader,
    http::functions::{Changed, Done, NotDone, Work},
    projection::{
        ReadModels,
        pump::{Pump, PumpError, Pumped},
    },
};

/// The work on the read models of an account.
#[derive(Debug)]
pub(super) struct ReadModelWork {
    pump: Pump,
    lag: LagReader,
    read_models: ReadModels,
}

impl ReadModelWork {
    pub(super) fn new(
        pump: Pump,
        lag: LagReader,
        read_models: ReadModels,
        figures: &Figures,
    ) -> Self {
        figures.put_views(pump.host().clone());
        Self { pump, lag, read_models }
    }
}

fn done(pumped: &Pumped, what: String) -> Done {
    let value = match json!(pumped) {
        Value::Object(value) => value,
        _ => Map::new(),
    };
    Done { logs: vec![what], value }
}

fn not_done(error: &PumpError) -> NotDone {
    NotDone(error.to_string())
}

impl Work for ReadModelWork {
    fn pump(&self) -> BoxFuture<'_, Result<Done, NotDone>> {
        async {
            let pumped = self.pump.run().await.map_err(|error| not_done(&error))?;
            let Pumped { read_models, events, documents, .. } = pumped;
            let text = format!(
                "{read_models} read models kept up to date: {events} events in {documents} documents"
            );
            Ok(done(&pumped, text))
        }
        .boxed()
    }

    fn wake(&self, changed: Changed) -> BoxFuture<'_, Result<Done, NotDone>> {
        async move {
            let pumped = self.pump.wake().await.map_err(|error| not_done(&error))?;
            let Changed { documents, streams, .. } = changed;
            let end =
                if pumped.is_caught_up { "everything is done" } else { "read models are behind" };
            let text = format!("woken by {documents} documents of {streams} streams: {end}");
            Ok(done(&pumped, text))
        }
        .boxed()
    }

    fn lag(&self) -> BoxFuture<'_, Result<Done, NotDone>> {
        async {
            let lines = Box::pin(lag::read(&self.lag, &self.read_models)).await;
            let lines = lines.map_err(|error| NotDone(error.one_line()))?;
            let logs = lines.iter().map(lag::LagLine::shown).collect();
            Ok(Done { logs, value: Map::from_iter([("processors".to_owned(), json!(lines))]) })
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.pump.close().boxed()
    }
}

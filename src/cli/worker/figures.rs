//! The figures of a host, for whoever asks at `/metrics`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::feed::{RunningProcessor, metrics::render};

/// What is said where there are no figures: before a host runs, and while it ends.
const NOTHING: &str = "# no worker runs here at the moment\n";

/// The place of a host that runs, where others can ask it. Nobody keeps it locked while they wait.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct Figures(Arc<Mutex<Option<Measured>>>);

/// A host that runs.
#[derive(Debug)]
struct Measured {
    processor: String,
    running: RunningProcessor,
}

impl Figures {
    pub(super) fn put(&self, processor: &str, running: RunningProcessor) {
        *self.lock() = Some(Measured { processor: processor.to_owned(), running });
    }

    pub(super) fn take(&self) -> Option<RunningProcessor> {
        self.lock().take().map(|measured| measured.running)
    }

    /// Asks the host, where one runs.
    pub(super) fn ask<T>(&self, ask: impl FnOnce(&mut RunningProcessor) -> T) -> Option<T> {
        self.lock().as_mut().map(|measured| ask(&mut measured.running))
    }

    /// The figures as they are now, in the text format of Prometheus.
    pub(in crate::cli) fn text(&self) -> String {
        let found = self.lock().as_ref().map(|Measured { processor, running }| {
            (processor.clone(), running.status(), running.metrics())
        });
        match found {
            Some((processor, status, metrics)) => render(&processor, &status, &metrics),
            None => NOTHING.to_owned(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Measured>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The figures of what runs here, for whoever asks at `/metrics`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{
    feed::{RunningProcessor, metrics::render},
    projection::{self, ProjectionHost},
};

/// What is said where there are no figures: before a host runs, and while it ends.
const NOTHING: &str = "# no worker runs here at the moment\n";

/// The place of what runs, where others can ask it. Nobody keeps it locked while they wait.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct Figures(Arc<Mutex<Option<Measured>>>);

/// What runs.
#[derive(Debug)]
enum Measured {
    /// A host of a processor.
    Processor { name: String, running: RunningProcessor },
    /// A host of read models.
    Views(ProjectionHost),
}

impl Figures {
    pub(super) fn put(&self, processor: &str, running: RunningProcessor) {
        *self.lock() = Some(Measured::Processor { name: processor.to_owned(), running });
    }

    pub(in crate::cli) fn put_views(&self, host: ProjectionHost) {
        *self.lock() = Some(Measured::Views(host));
    }

    pub(super) fn clear(&self) {
        *self.lock() = None;
    }

    /// Takes the host of a processor away, where one runs.
    pub(super) fn take(&self) -> Option<RunningProcessor> {
        match self.lock().take() {
            Some(Measured::Processor { running, .. }) => Some(running),
            Some(Measured::Views(_)) | None => None,
        }
    }

    /// Asks the host of a processor, where one runs.
    pub(super) fn ask<T>(&self, ask: impl FnOnce(&mut RunningProcessor) -> T) -> Option<T> {
        match self.lock().as_mut() {
            Some(Measured::Processor { running, .. }) => Some(ask(running)),
            Some(Measured::Views(_)) | None => None,
        }
    }

    /// The figures as they are now, in the text format of Prometheus.
    pub(in crate::cli) fn text(&self) -> String {
        // Only looked at while it is locked: putting it into words takes longer.
        let host = match &*self.lock() {
            Some(Measured::Processor { name, running }) => {
                return render(name, &running.status(), &running.metrics());
            }
            Some(Measured::Views(host)) => host.clone(),
            None => return NOTHING.to_owned(),
        };
        projection::metrics::render(&host.hostings())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Measured>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

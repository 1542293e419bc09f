//! The figures of what runs here, for whoever asks at `/metrics`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{
    feed::{RunningProcessor, Standing, metrics},
    projection::{self, ProjectionHost},
    telemetry::figures::Figure,
};

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

    /// The figures as they are now; none before a host runs, and while it ends.
    pub(in crate::cli) fn now(&self) -> Vec<Figure> {
        // Only looked at while it is locked: putting it into figures takes longer.
        let host = match &*self.lock() {
            Some(Measured::Processor { name, running }) => {
                return metrics::figures(name, &running.status(), &running.metrics());
            }
            Some(Measured::Views(host)) => host.clone(),
            None => return Vec::new(),
        };
        projection::metrics::figures(&host.hostings())
    }

    /// Why what runs here has laid its work down, where it has. That it has not begun is no reason.
    pub(in crate::cli) fn standstill(&self) -> Option<&'static str> {
        let is_fenced = self.standing() == Some(Standing::Fenced);
        is_fenced.then_some(
            "the worker has laid its work down: it could not say for too long that it is alive",
        )
    }

    /// Why nothing works here, where that is so.
    pub(super) fn idleness(&self) -> Option<&'static str> {
        match self.standing() {
            None => Some("the worker does not run, at the moment"),
            Some(Standing::Joining) => Some("the worker has not begun yet"),
            Some(_) => self.standstill(),
        }
    }

    /// Whether what runs here may work; nothing where nothing runs.
    fn standing(&self) -> Option<Standing> {
        match &*self.lock() {
            Some(Measured::Processor { running, .. }) => Some(running.standing()),
            Some(Measured::Views(host)) => Some(host.standing()),
            None => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Measured>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

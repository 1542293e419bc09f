//! What is exported besides lines of a log: where its figures come from, and its end.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::figures::Figure;

/// How long the end of a process may wait until the last traces and metrics are sent: a collector that is away must
/// not hold it up.
pub const EXPORT_TIME_MAX: Duration = Duration::from_secs(3);

/// The place where a program says what its figures are, for who exports them. Cheap to clone; all clones are
/// the same place.
#[derive(Clone, Default)]
pub struct FigureSource(Arc<Mutex<Ask>>);

type Ask = Option<Arc<dyn Fn() -> Vec<Figure> + Send + Sync>>;

impl fmt::Debug for FigureSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FigureSource").finish_non_exhaustive()
    }
}

impl FigureSource {
    /// Says whom to ask from now on. It is asked from another thread, and must not wait for anything.
    pub fn put(&self, figures: impl Fn() -> Vec<Figure> + Send + Sync + 'static) {
        self.set(Some(Arc::new(figures)));
    }

    /// Asks a last time, and keeps what is said: whoever was asked may go, and what it counted is still exported.
    pub fn keep(&self) {
        let last = self.now();
        self.put(move || last.clone());
    }

    /// The figures as they are now; none where nobody is asked.
    pub fn now(&self) -> Vec<Figure> {
        // Not asked while it is locked: it may take its time.
        let ask = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ask.map_or_else(Vec::new, |figures| figures())
    }

    fn set(&self, ask: Ask) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = ask;
    }
}

/// What was started with the log. It is ended with the process, after all work: [`end`](Self::end).
#[derive(Debug, Default)]
#[must_use = "what is not ended loses its last traces and metrics"]
pub struct Exporting {
    pub(super) figures: FigureSource,
    #[cfg(feature = "otlp")]
    pub(super) exporters: Option<super::otlp::Exporters>,
}

impl Exporting {
    /// Where the program says what its figures are.
    pub fn figures(&self) -> FigureSource {
        self.figures.clone()
    }

    /// Sends the last traces and metrics, and waits for that at most so long. Not for asynchronous code: it blocks.
    pub fn end(self, time_max: Duration) {
        #[cfg(feature = "otlp")]
        if let Some(exporters) = self.exporters {
            exporters.end(time_max);
        }
        #[cfg(not(feature = "otlp"))]
        let _ = time_max;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::telemetry::figures::{Named, Sample};

    #[test]
    fn a_source_is_asked_each_time_until_its_last_word_is_kept() {
        let (source, asked) = (FigureSource::default(), Arc::new(AtomicU64::new(0)));
        assert_eq!(source.now(), []);
        let figure = |count| Named::counter("n_total", "n").with(vec![Sample::count(&[], count)]);
        let counted = Arc::clone(&asked);
        source.put(move || vec![figure(counted.fetch_add(1, Ordering::Relaxed))]);
        let other = source.clone();
        assert_eq!((source.now(), other.now()), (vec![figure(0)], vec![figure(1)]));
        source.keep();
        assert_eq!((source.now(), other.now()), (vec![figure(2)], vec![figure(2)]));
        assert_eq!(Arc::strong_count(&asked), 1, "who was asked may go");
    }
}

//! Figures: what is counted and measured, in a form that every exporter can read.
//!
//! A figure has a name, a kind and samples; the sources of figures (store, service, processors, read models)
//! know nothing of formats, and the formats nothing of sources. Labels are few and bounded: never a stream
//! id, a key, a path or anything else of which there are as many as there are data.

use std::{fmt::Write as _, time::Duration};

/// How a figure behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FigureKind {
    /// It only rises, from 0 at the start of the process.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How often a time was within each of several bounds.
    Histogram,
}

impl FigureKind {
    /// The name of the kind in the text format of Prometheus.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// The name of a figure, its kind, and what it tells: a promise to whoever collects it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Named {
    /// The name.
    pub name: &'static str,
    /// How it behaves.
    pub kind: FigureKind,
    /// What it tells, without a full stop.
    pub help: &'static str,
}

impl Named {
    /// A counter.
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: FigureKind::Counter, help }
    }

    /// A gauge.
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: FigureKind::Gauge, help }
    }

    /// A histogram of times in seconds.
    pub const fn histogram(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: FigureKind::Histogram, help }
    }

    /// The figure with these samples.
    pub fn with(self, samples: Vec<Sample>) -> Figure {
        Figure { named: self, samples }
    }
}

/// A figure as it is now.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Figure {
    /// What it is.
    pub named: Named,
    /// Its samples; none where there is nothing to measure.
    pub samples: Vec<Sample>,
}

/// One value of a figure.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Sample {
    /// What tells it from the other samples of the figure.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: Value,
}

/// What was counted or measured.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A number of things.
    Count(u64),
    /// An amount: RU, or seconds.
    Amount(f64),
    /// Times.
    Times(Times),
}

impl Sample {
    /// A number of things.
    pub fn count(labels: &[(&'static str, &str)], count: u64) -> Self {
        Self::of(labels, Value::Count(count))
    }

    /// An amount.
    pub fn amount(labels: &[(&'static str, &str)], amount: f64) -> Self {
        Self::of(labels, Value::Amount(amount))
    }

    /// Times.
    pub fn times(labels: &[(&'static str, &str)], times: Times) -> Self {
        Self::of(labels, Value::Times(times))
    }

    fn of(labels: &[(&'static str, &str)], value: Value) -> Self {
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { labels, value }
    }
}

/// How long things took, counted by bounds.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Times {
    /// The upper bounds, in seconds, rising.
    pub bounds: &'static [f64],
    /// The times that were at most as long as each bound, and longer than the one before.
    pub counts: Vec<u64>,
    /// All of them, those beyond the last bound included.
    pub count: u64,
    /// All of them together.
    pub sum: Duration,
}

impl Times {
    /// No time yet.
    pub fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len()], count: 0, sum: Duration::ZERO }
    }

    /// Adds a time.
    pub fn add(&mut self, time: Duration) {
        let seconds = time.as_secs_f64();
        let within = self.bounds.iter().position(|bound| seconds <= *bound);
        if let Some(count) = within.and_then(|place| self.counts.get_mut(place)) {
            *count = count.saturating_add(1);
        }
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(time);
    }
}

/// Puts samples of the same figure together, at the place of its first. A figure stands once in what is
/// exported, however many parts of a process have it.
pub fn merged(figures: impl IntoIterator<Item = Figure>) -> Vec<Figure> {
    let mut merged: Vec<Figure> = Vec::new();
    for figure in figures {
        match merged.iter_mut().find(|one| one.named.name == figure.named.name) {
            Some(one) => one.samples.extend(figure.samples),
            None => merged.push(figure),
        }
    }
    merged
}

/// Figures in the text format of Prometheus, version 0.0.4. Each must stand once: see [`merged`].
pub fn text(figures: &[Figure]) -> String {
    let mut text = String::new();
    for Figure { named: Named { name, kind, help }, samples } in figures {
        line(&mut text, format_args!("# HELP {name} {help}"));
        line(&mut text, format_args!("# TYPE {name} {}", kind.as_str()));
        for Sample { labels, value } in samples {
            let labels =
                labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value)));
            let labels = labels.collect::<Vec<_>>().join(",");
            match value {
                Value::Count(count) => {
                    line(&mut text, format_args!("{name}{} {count}", braced(&labels)));
                }
                Value::Amount(amount) => {
                    line(&mut text, format_args!("{name}{} {amount}", braced(&labels)));
                }
                Value::Times(times) => histogram(&mut text, name, &labels, times),
            }
        }
    }
    text
}

fn histogram(text: &mut String, name: &str, labels: &str, times: &Times) {
    let comma = if labels.is_empty() { "" } else { "," };
    let mut within: u64 = 0;
    for (bound, count) in times.bounds.iter().zip(&times.counts) {
        within = within.saturating_add(*count);
        line(text, format_args!("{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {within}"));
    }
    line(text, format_args!("{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {}", times.count));
    let labels = braced(labels);
    line(text, format_args!("{name}_sum{labels} {}", times.sum.as_secs_f64()));
    line(text, format_args!("{name}_count{labels} {}", times.count));
}

fn braced(labels: &str) -> String {
    if labels.is_empty() { String::new() } else { format!("{{{labels}}}") }
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a text does not fail.
    let _written = writeln!(text, "{arguments}");
}

/// The value of a label.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: Named = Named::counter("events_total", "events");
    const WAITS: Named = Named::histogram("wait_seconds", "waits");

    #[test]
    fn the_text_has_each_figure_once_with_all_its_samples() {
        let of = |label: &str, count| EVENTS.with(vec![Sample::count(&[("of", label)], count)]);
        let figures =
            merged([of("a", 1), Named::gauge("g", "x").with(Vec::new()), of("b\"\n\\", 2)]);
        assert_eq!(
            text(&figures),
            "# HELP events_total events\n# TYPE events_total counter\nevents_total{of=\"a\"} 1\n\
             events_total{of=\"b\\\"\\n\\\\\"} 2\n# HELP g x\n# TYPE g gauge\n"
        );
    }

    #[test]
    fn buckets_hold_what_is_within_their_bound() {
        let mut times = Times::new(&[0.5, 1.0]);
        for ms in [500, 501, 2000] {
            times.add(Duration::from_millis(ms));
        }
        let figures = [WAITS.with(vec![Sample::times(&[], times.clone())])];
        let expected = "# HELP wait_seconds waits\n# TYPE wait_seconds histogram\nwait_seconds_bucket{le=\"0.5\"} 1\n\
                        wait_seconds_bucket{le=\"1\"} 2\nwait_seconds_bucket{le=\"+Inf\"} 3\n\
                        wait_seconds_sum 3.001\nwait_seconds_count 3\n";
        assert_eq!(text(&figures), expected);
        let labelled = text(&[WAITS.with(vec![Sample::times(&[("of", "a")], times)])]);
        assert!(labelled.contains("wait_seconds_bucket{of=\"a\",le=\"1\"} 2\n"), "{labelled}");
        assert!(labelled.contains("wait_seconds_count{of=\"a\"} 3\n"), "{labelled}");
    }

    #[test]
    fn amounts_and_counts_are_written_as_they_are() {
        let named = Named::counter("ru_total", "RU");
        let figures = [named.with(vec![Sample::amount(&[], 1.5)])];
        assert!(text(&figures).ends_with("\nru_total 1.5\n"));
    }
}

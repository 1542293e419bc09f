//! Figures as instruments that are observed when metrics are collected.
//!
//! The interface has no histogram that is observed, so a histogram is exported as two counters, its `_count` and its
//! `_sum`: rates and means come from them, quantiles from `/metrics`.

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::{
    KeyValue,
    metrics::{AsyncInstrument, Meter, MeterProvider as _},
};
use opentelemetry_sdk::metrics::SdkMeterProvider;

use super::SCOPE;
use crate::telemetry::{
    exporting::FigureSource,
    figures::{Figure, FigureKind, Named, Sample, Value},
};

/// The figures of one collection, for all instruments.
#[derive(Debug, Clone, Default)]
struct Collected(Arc<Mutex<Arc<Vec<Figure>>>>);

impl Collected {
    fn now(&self) -> Arc<Vec<Figure>> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, figures: Vec<Figure>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(figures);
    }
}

/// Observes the figures with these names, and no others.
pub(super) fn observe(provider: &SdkMeterProvider, names: &[Named], figures: &FigureSource) {
    let (meter, collected) = (provider.meter(SCOPE), Collected::default());
    // Instruments are observed in the order in which they were made. The first one asks for all, so that what is
    // collected together belongs together, and is asked for once.
    for (at, named) in names.iter().enumerate() {
        let ask = (at == 0).then(|| figures.clone());
        let observed = Observed { named: *named, collected: collected.clone(), ask };
        match named.kind {
            FigureKind::Counter => counter(&meter, named.name.to_owned(), observed, whole),
            FigureKind::Gauge => gauge(&meter, observed),
            FigureKind::Histogram => {
                counter(&meter, format!("{}_count", named.name), observed.clone(), count_of_times);
                counter(&meter, format!("{}_sum", named.name), observed, sum_of_times);
            }
        }
    }
}

/// A figure that is observed.
#[derive(Debug, Clone)]
struct Observed {
    named: Named,
    collected: Collected,
    ask: Option<FigureSource>,
}

impl Observed {
    fn tell(&self, instrument: &dyn AsyncInstrument<f64>, read: fn(&Value) -> Option<f64>) {
        if let Some(figures) = &self.ask {
            self.collected.set(figures.now());
        }
        let figures = self.collected.now();
        let samples = figures.iter().filter(|figure| figure.named.name == self.named.name);
        for Sample { labels, value } in samples.flat_map(|figure| &figure.samples) {
            if let Some(value) = read(value) {
                let label =
                    |(name, value): &(&'static str, String)| KeyValue::new(*name, value.clone());
                instrument.observe(value, &labels.iter().map(label).collect::<Vec<_>>());
            }
        }
    }
}

fn counter(meter: &Meter, name: String, observed: Observed, read: fn(&Value) -> Option<f64>) {
    let counter = meter.f64_observable_counter(name).with_description(observed.named.help);
    // The provider keeps it.
    let _instrument =
        counter.with_callback(move |instrument| observed.tell(instrument, read)).build();
}

fn gauge(meter: &Meter, observed: Observed) {
    let gauge =
        meter.f64_observable_gauge(observed.named.name).with_description(observed.named.help);
    let _instrument =
        gauge.with_callback(move |instrument| observed.tell(instrument, whole)).build();
}

fn whole(value: &Value) -> Option<f64> {
    match value {
        Value::Count(count) => Some(number(*count)),
        Value::Amount(amount) => Some(*amount),
        Value::Times(_) => None,
    }
}

fn count_of_times(value: &Value) -> Option<f64> {
    if let Value::Times(times) = value { Some(number(times.count)) } else { None }
}

fn sum_of_times(value: &Value) -> Option<f64> {
    if let Value::Times(times) = value { Some(times.sum.as_secs_f64()) } else { None }
}

/// A count as the interface takes it: exact up to 2^53.
fn number(count: u64) -> f64 {
    let half = |bits: u64| f64::from(u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(u32::MAX));
    half(count >> 32).mul_add(4_294_967_296.0, half(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_exact() {
        for count in [0, 1, 4_294_967_295, 4_294_967_296, 9_007_199_254_740_991] {
            assert_eq!(format!("{:.0}", number(count)), count.to_string());
        }
    }
}

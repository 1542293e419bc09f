//! Traces and metrics to a collector, by OTLP over HTTP with Protocol Buffers.
//!
//! The exporters have threads of their own and block there, so they are made before the asynchronous runtime and ended
//! after it. A collector that is away costs traces and metrics, and nothing else: what waits for it is bounded, and it
//! is said once.

pub(super) mod context;
mod metrics;
mod telling;

use std::{fmt, sync::mpsc, thread, time::Duration};

use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::{ExporterBuildError, Protocol, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    metrics::{PeriodicReader, SdkMeterProvider},
    resource::{EnvResourceDetector, TelemetryResourceDetector},
    trace::SdkTracerProvider,
};
use reqwest::Url;
use tracing::{Metadata, level_filters::LevelFilter};
use tracing_subscriber::{Layer, Registry, filter::filter_fn};
use uuid::Uuid;

use self::telling::Telling;
use super::{LogError, exporting::FigureSource, figures::Named, subscriber::is_own};

/// The name of the instrumentation, and of the service unless a variable says otherwise.
const SCOPE: &str = "cosmos-es";
/// The variable of the specification that names the service, besides the one for all attributes.
const SERVICE_NAME_VARIABLE: &str = "OTEL_SERVICE_NAME";
const SERVICE_NAME: &str = "service.name";

/// What sends traces and metrics.
pub(super) struct Exporters {
    traces: SdkTracerProvider,
    metrics: SdkMeterProvider,
}

impl fmt::Debug for Exporters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporters").finish_non_exhaustive()
    }
}

impl Exporters {
    /// Begins to send to the collector at this address. Not for asynchronous code: it blocks.
    pub(super) fn start(
        endpoint: &str,
        names: &[Named],
        figures: &FigureSource,
    ) -> Result<Self, LogError> {
        let endpoint = Endpoint::parse(endpoint)?;
        let wrong = |error: ExporterBuildError| LogError::Exporter(error.to_string());
        let spans = opentelemetry_otlp::SpanExporter::builder().with_http();
        let spans =
            spans.with_endpoint(endpoint.of("v1/traces")).with_protocol(Protocol::HttpBinary);
        let spans = Telling::new(spans.build().map_err(wrong)?, "traces");
        let points = opentelemetry_otlp::MetricExporter::builder().with_http();
        let points =
            points.with_endpoint(endpoint.of("v1/metrics")).with_protocol(Protocol::HttpBinary);
        let points = Telling::new(points.build().map_err(wrong)?, "metrics");
        let resource = resource();
        let traces = SdkTracerProvider::builder().with_resource(resource.clone());
        let traces = traces.with_batch_exporter(spans).build();
        let reader = PeriodicReader::builder(points).build();
        let provider = SdkMeterProvider::builder().with_resource(resource).with_reader(reader);
        let provider = provider.build();
        metrics::observe(&provider, names, figures);
        Ok(Self { traces, metrics: provider })
    }

    /// The layer that makes spans of this package traces.
    pub(super) fn layer(&self) -> Box<dyn Layer<Registry> + Send + Sync> {
        let layer = tracing_opentelemetry::layer().with_tracer(self.traces.tracer(SCOPE));
        // Names of source files, threads and targets say nothing to who runs the program.
        let layer = layer
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false);
        let filter = filter_fn(is_exported).with_max_level_hint(LevelFilter::DEBUG);
        Box::new(layer.with_filter(filter))
    }

    /// Sends what there is, and waits for that at most so long.
    pub(super) fn end(self, time_max: Duration) {
        let Self { traces, metrics } = self;
        let (done, ended) = mpsc::sync_channel(1);
        // The time limits of the exporters themselves are longer, and not the same for both. Threads that are
        // not done by then end with the process, which is all that is left to be done.
        let ending = thread::Builder::new().spawn(move || {
            thread::scope(|scope| {
                scope.spawn(|| traces.shutdown().is_ok());
                scope.spawn(|| metrics.shutdown().is_ok());
            });
            done.send(())
        });
        if ending.is_err() || ended.recv_timeout(time_max).is_err() {
            tracing::warn!("the last traces and metrics may not have been exported");
        }
    }
}

/// Of this package all spans, and the operations of the store as events in them. Other events may name what
/// does not belong into a trace.
fn is_exported(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    *metadata.level() <= LevelFilter::DEBUG
        && if metadata.is_span() { is_own(target) } else { target == super::TARGET }
}

/// Whose traces and metrics these are. The variables of the specification come before what is known here.
fn resource() -> Resource {
    let known = [
        KeyValue::new(SERVICE_NAME, SCOPE),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", Uuid::new_v4().to_string()),
    ];
    let resource = Resource::builder_empty()
        .with_attributes(known)
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_detector(Box::new(EnvResourceDetector::new()));
    match std::env::var(SERVICE_NAME_VARIABLE) {
        Ok(name) if !name.is_empty() => resource.with_service_name(name).build(),
        _ => resource.build(),
    }
}

/// The address of a collector.
#[derive(Debug, PartialEq, Eq)]
struct Endpoint(Url);

impl Endpoint {
    /// An address may be logged, so it must not have a secret in it.
    fn parse(text: &str) -> Result<Self, LogError> {
        let url: Url = text.parse().map_err(|_| LogError::Endpoint)?;
        let is_plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
        if is_plain && is_http { Ok(Self(url)) } else { Err(LogError::Endpoint) }
    }

    /// The address for a signal.
    fn of(&self, path: &str) -> String {
        format!("{}/{path}", self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_go_below_the_address_of_the_collector() {
        let traces =
            |text: &str| Endpoint::parse(text).map(|endpoint| endpoint.of("v1/traces")).ok();
        for (text, expected) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
            ("https://collector.example.com/otlp/", "https://collector.example.com/otlp/v1/traces"),
        ] {
            assert_eq!(traces(text).as_deref(), Some(expected));
        }
        for wrong in [
            "",
            "127.0.0.1:4318",
            "grpc://a:1",
            "http://u:p@a",
            "http://u@a",
            "http://a/?k=v",
            "http://a/#b",
        ] {
            assert_eq!(traces(wrong), None, "{wrong}");
        }
    }
}

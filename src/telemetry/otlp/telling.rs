//! Exporters that say once that they cannot export, and once that they can again.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    metrics::{Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
    trace::{SpanData, SpanExporter},
};

/// An exporter, and whether its last export failed.
#[derive(Debug)]
pub(super) struct Telling<E> {
    exporter: E,
    what: &'static str,
    is_down: AtomicBool,
}

impl<E> Telling<E> {
    pub(super) fn new(exporter: E, what: &'static str) -> Self {
        Self { exporter, what, is_down: AtomicBool::new(false) }
    }

    fn tell(&self, exported: OTelSdkResult) -> OTelSdkResult {
        let was_down = self.is_down.swap(exported.is_err(), Ordering::Relaxed);
        match &exported {
            // The reason is a status or the kind of failure, without address, headers and answer.
            Err(reason) if !was_down => {
                tracing::warn!(signal = self.what, %reason, "the collector does not take what is exported");
            }
            Ok(()) if was_down => {
                tracing::info!(signal = self.what, "the collector takes what is exported");
            }
            Ok(()) | Err(_) => {}
        }
        exported
    }
}

impl<E: SpanExporter> SpanExporter for Telling<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.tell(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Telling<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.tell(self.exporter.export(metrics).await)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

//! The way to the collector.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_otlp::SpanExporter as OtlpExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use crate::backlog::Backlog;

/// Sends spans. Those that the collector does not take are lost.
#[derive(Debug)]
pub(crate) struct Exporter {
    pub exporter: OtlpExporter,
    pub backlog: Arc<Backlog>,
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        self.backlog.leave(count);
        let sent = self.exporter.export(batch).await;
        match &sent {
            Ok(()) => self.backlog.taken(),
            Err(error) => self.backlog.lost(count, error),
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

//! Spans on their way out.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gofarm_proto::ActionKey;
use opentelemetry::trace::{
    Link, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Config, SamplingDecision, SpanData, SpanEvents,
    SpanLinks, SpanProcessor,
};
use tonic::transport::ClientTlsConfig;

use crate::backlog::Backlog;
use crate::exporter::Exporter;
use crate::{Place, Span};

/// Either of these turns spans on, the first before the second.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];

/// How spans are to be sent.
const PROTOCOLS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
];

/// Spans that may wait to be sent, unless `OTEL_BSP_MAX_QUEUE_SIZE` says otherwise: a second or two of a busy scheduler. Some 300
/// bytes each.
const ROOM: usize = 8192;

/// The environment asks for what cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum SpansError {
    /// Another protocol.
    #[error(
        "{variable}={value} is not supported: spans are sent with grpc; set it so, and name the collector's gRPC port (usually 4317)"
    )]
    Protocol {
        /// Which variable says so.
        variable: &'static str,
        /// What it says.
        value: String,
    },
    /// No address of a collector.
    #[error(
        "{variable}={value} is no address of a collector; write http://host:port, or https://host:port"
    )]
    Endpoint {
        /// Which variable says so.
        variable: &'static str,
        /// What it says.
        value: String,
    },
    /// An OTEL variable is wrong.
    #[error("spans cannot be sent over OTLP; see the OTEL_EXPORTER_OTLP_* variables")]
    Exporter(#[from] ExporterBuildError),
}

/// Where spans go: to a collector over OTLP, or nowhere. Cheap to clone.
///
/// Nothing here ever waits for the collector: spans that it does not take in time are lost, which is said in the log.
#[derive(Clone, Default)]
pub struct Spans {
    on: Option<Arc<On>>,
}

struct On {
    processor: BatchSpanProcessor,
    backlog: Arc<Backlog>,
    /// Sampler and ids, as the environment has them.
    config: Config,
    scope: InstrumentationScope,
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.on.is_some() { "on" } else { "off" })
    }
}

impl Spans {
    /// Nowhere.
    pub fn off() -> Spans {
        Spans::default()
    }

    /// As the environment says, with the variables of the OpenTelemetry specification: off unless
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is set. `program` is called so unless
    /// `OTEL_SERVICE_NAME` has another name, and `instance` tells processes of that name apart. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// Something in the environment is wrong or not supported.
    pub fn from_environment(program: &'static str, instance: &str) -> Result<Spans, SpansError> {
        let disabled =
            variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let none = variable("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
        let endpoint = ENDPOINTS
            .into_iter()
            .find_map(|name| Some((name, variable(name)?)));
        let Some((name, value)) = endpoint.filter(|_| !disabled && !none) else {
            return Ok(Spans::off());
        };
        // The exporter would take it, and then reach nobody.
        if !["http://", "https://"]
            .into_iter()
            .any(|scheme| value.starts_with(scheme))
        {
            return Err(SpansError::Endpoint {
                variable: name,
                value,
            });
        }
        let protocol = PROTOCOLS
            .into_iter()
            .find_map(|name| Some((name, variable(name)?)));
        if let Some((variable, value)) = protocol.filter(|(_, value)| value != "grpc") {
            return Err(SpansError::Protocol { variable, value });
        }
        Spans::build(None, program, instance)
    }

    /// To the collector at `endpoint` (`http://host:port`, gRPC), whatever the environment says of it.
    ///
    /// # Errors
    ///
    /// It is no address; or another of the variables is wrong.
    pub fn to(endpoint: &str, program: &'static str, instance: &str) -> Result<Spans, SpansError> {
        Spans::build(Some(endpoint), program, instance)
    }

    fn build(
        endpoint: Option<&str>,
        program: &'static str,
        instance: &str,
    ) -> Result<Spans, SpansError> {
        let mut exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_tonic()
            // For https:// only.
            .with_tls_config(ClientTlsConfig::new().with_native_roots());
        if let Some(endpoint) = endpoint {
            exporter = exporter.with_endpoint(endpoint);
        }
        let room = variable("OTEL_BSP_MAX_QUEUE_SIZE").and_then(|value| value.parse().ok());
        let room = room.filter(|room| *room > 0).unwrap_or(ROOM);
        let backlog = Arc::new(Backlog::new(room));
        let collector = Exporter {
            exporter: exporter.build()?,
            backlog: backlog.clone(),
        };
        let mut resource = Resource::builder()
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attribute(KeyValue::new("service.instance.id", instance.to_owned()));
        if variable("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name(program);
        }
        let mut processor = BatchSpanProcessor::builder(collector)
            .with_batch_config(
                BatchConfigBuilder::default()
                    .with_max_queue_size(room)
                    .build(),
            )
            .build();
        processor.set_resource(&resource.build());
        Ok(Spans {
            on: Some(Arc::new(On {
                processor,
                backlog,
                config: Config::default(),
                scope: InstrumentationScope::builder(program)
                    .with_version(env!("CARGO_PKG_VERSION"))
                    .build(),
            })),
        })
    }

    /// Whether the spans of this build go anywhere. The same at every process with the same sampler.
    pub fn samples(&self, build: u128) -> bool {
        let Some(on) = self.on.as_ref().filter(|_| build != 0) else {
            return false;
        };
        on.samples(None, build)
    }

    /// What a process that does part of an action is told: a W3C traceparent. The trace names the build also when no
    /// spans are wanted.
    pub fn traceparent(&self, build: u128, key: &ActionKey) -> String {
        Place::of_action(build, key).traceparent(self.samples(build))
    }

    /// Whether spans below this place are wanted, of which the parent's process says that they are `sampled`.
    pub fn follows(&self, place: Place, sampled: bool) -> bool {
        let Some(on) = self.on.as_ref().filter(|_| place.trace != 0) else {
            return false;
        };
        let flags = TraceFlags::default().with_sampled(sampled);
        let parent = context(place, flags, true);
        on.samples(
            Some(&Context::new().with_remote_span_context(parent)),
            place.trace,
        )
    }

    /// Sends a span. Whoever makes it has asked whether the build [is sampled](Self::samples).
    pub fn record(&self, span: Span) {
        let Some(on) = &self.on else {
            return;
        };
        let Some(place) = span.place.or_else(|| {
            let trace = span.parent?.trace;
            let id = on.config.id_generator.new_span_id();
            let span = u64::from_be_bytes(id.to_bytes());
            Some(Place { trace, span })
        }) else {
            return;
        };
        if !on.backlog.enter() {
            return;
        }
        let mut links = SpanLinks::default();
        let flags = TraceFlags::SAMPLED;
        links.links = span
            .link
            .map(|other| Link::with_context(context(other, flags, true)))
            .into_iter()
            .collect();
        on.processor.on_end(SpanData {
            span_context: context(place, flags, false),
            parent_span_id: span
                .parent
                .map_or(SpanId::INVALID, |parent| parent.span.into()),
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: span.name.into(),
            start_time: span.begun,
            end_time: span.ended,
            attributes: span.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links,
            status: span.failure.map_or(Status::Unset, Status::error),
            instrumentation_scope: on.scope.clone(),
        });
    }

    /// Sends what has not been sent, and waits for that as long as `limit`. Nothing is sent afterwards.
    pub async fn shutdown(&self, limit: Duration) {
        let Some(on) = self.on.clone() else {
            return;
        };
        let sent = tokio::task::spawn_blocking(move || on.processor.shutdown_with_timeout(limit));
        match sent.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the last spans were not sent"),
            Err(error) => tracing::debug!(%error, "the last spans were not sent"),
        }
    }
}

impl On {
    fn samples(&self, parent: Option<&Context>, build: u128) -> bool {
        // Samplers by ratio take the low bits of a trace id for random, and those of a UUID are not: its variant stands
        // there.
        let hash = blake3::hash(&build.to_be_bytes());
        let mut random = [0; 16];
        random.copy_from_slice(&hash.as_bytes()[8..24]);
        let random = TraceId::from_bytes(random);
        let sampled = self.config.sampler.should_sample(
            parent,
            random,
            "build",
            &SpanKind::Internal,
            &[],
            &[],
        );
        sampled.decision == SamplingDecision::RecordAndSample
    }
}

fn context(place: Place, flags: TraceFlags, remote: bool) -> SpanContext {
    let (trace, span) = (place.trace.into(), place.span.into());
    SpanContext::new(trace, span, flags, remote, TraceState::default())
}

/// Set to something: the specification takes an empty variable for none.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

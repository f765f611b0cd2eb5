//! An OTLP collector on a port of the loopback interface, for tests of what is sent.
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// What has not come by then does not come.
const LIMIT: Duration = Duration::from_secs(30);

/// Takes spans. Ends when it is dropped.
#[derive(Debug)]
pub struct Collector {
    /// `http://host:port`.
    pub url: String,
    taken: Taken,
    serving: JoinHandle<()>,
}

#[derive(Clone, Debug, Default)]
struct Taken(Arc<Mutex<Vec<TakenSpan>>>);

/// A span, who sent it, and what came with the call.
#[derive(Clone, Debug)]
pub struct TakenSpan {
    /// As it was sent.
    pub span: Span,
    /// Who sent it.
    pub resource: HashMap<String, String>,
    /// The header `x-team` of the call.
    pub header: Option<String>,
}

impl TakenSpan {
    /// What is said of it, as text.
    pub fn attributes(&self) -> HashMap<String, String> {
        texts(&self.span.attributes)
    }

    /// The name of the program that sent it.
    pub fn program(&self) -> &str {
        &self.resource["service.name"]
    }

    /// Of its trace and of itself.
    pub fn ids(&self) -> (u128, u64) {
        let span = &self.span;
        (
            u128::from_be_bytes(span.trace_id.clone().try_into().unwrap()),
            u64::from_be_bytes(span.span_id.clone().try_into().unwrap()),
        )
    }

    /// Whether it is part of another, in time too.
    pub fn is_within(&self, outer: &TakenSpan) -> bool {
        let (inner, around) = (&self.span, &outer.span);
        inner.trace_id == around.trace_id
            && inner.parent_span_id == around.span_id
            && around.start_time_unix_nano <= inner.start_time_unix_nano
            && inner.start_time_unix_nano <= inner.end_time_unix_nano
            && inner.end_time_unix_nano <= around.end_time_unix_nano
    }
}

#[tonic::async_trait]
impl TraceService for Taken {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let header = request.metadata().get("x-team");
        let header = header.map(|value| value.to_str().unwrap().to_owned());
        for batch in request.into_inner().resource_spans {
            let resource = texts(&batch.resource.unwrap_or_default().attributes);
            let spans = batch.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.0.lock().unwrap().extend(spans.map(|span| TakenSpan {
                span,
                resource: resource.clone(),
                header: header.clone(),
            }));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn texts(attributes: &[KeyValue]) -> HashMap<String, String> {
    let text = |value: &AnyValue| match &value.value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(yes)) => yes.to_string(),
        other => format!("{other:?}"),
    };
    let known = attributes.iter().filter_map(|attribute| {
        let value = attribute.value.as_ref()?;
        Some((attribute.key.clone(), text(value)))
    });
    known.collect()
}

impl Collector {
    /// One that listens. Needs a tokio runtime.
    pub async fn start() -> Collector {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let taken = Taken::default();
        let serve = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(taken.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        Collector {
            url,
            taken,
            serving: tokio::spawn(async move { serve.await.unwrap() }),
        }
    }

    /// What has come.
    pub fn spans(&self) -> Vec<TakenSpan> {
        self.taken.0.lock().unwrap().clone()
    }

    /// What has come of this name.
    pub fn named(&self, name: &str) -> Vec<TakenSpan> {
        let mut spans = self.spans();
        spans.retain(|taken| taken.span.name == name);
        spans
    }

    /// Waits for a span of this name.
    pub async fn one(&self, name: &str) -> TakenSpan {
        let begun = Instant::now();
        loop {
            if let Some(found) = self.named(name).into_iter().next() {
                return found;
            }
            assert!(
                begun.elapsed() < LIMIT,
                "no span {name}: {:?}",
                self.spans()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

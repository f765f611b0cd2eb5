//! An OTLP collector on a port of the loopback interface.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gofarm_daemon::Place;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// Takes spans. Ends when it is dropped.
pub struct Collector {
    pub url: String,
    taken: Taken,
    serving: JoinHandle<()>,
}

#[derive(Clone, Default)]
struct Taken(Arc<Mutex<Vec<TakenSpan>>>);

/// A span and the name of the program that sent it.
#[derive(Clone, Debug)]
pub struct TakenSpan {
    pub program: String,
    pub span: Span,
}

impl TakenSpan {
    pub fn place(&self) -> Place {
        let span = &self.span;
        Place {
            trace: u128::from_be_bytes(span.trace_id.clone().try_into().unwrap()),
            span: u64::from_be_bytes(span.span_id.clone().try_into().unwrap()),
        }
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

    pub fn text(&self, attribute: &str) -> Option<String> {
        let attributes: HashMap<&str, &Option<Value>> = self
            .span
            .attributes
            .iter()
            .filter_map(|known| Some((known.key.as_str(), &known.value.as_ref()?.value)))
            .collect();
        match attributes.get(attribute)? {
            Some(Value::StringValue(text)) => Some(text.clone()),
            Some(Value::IntValue(number)) => Some(number.to_string()),
            other => Some(format!("{other:?}")),
        }
    }
}

#[tonic::async_trait]
impl TraceService for Taken {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for batch in request.into_inner().resource_spans {
            let resource = batch.resource.unwrap_or_default();
            let name = resource
                .attributes
                .iter()
                .find(|known| known.key == "service.name");
            let name = name.and_then(|known| known.value.clone()?.value);
            let Some(Value::StringValue(program)) = name else {
                return Err(Status::invalid_argument("nobody sent this"));
            };
            let spans = batch.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.0.lock().unwrap().extend(spans.map(|span| TakenSpan {
                program: program.clone(),
                span,
            }));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    pub async fn start() -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
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

    /// What has come, by name.
    pub fn named(&self, name: &str) -> Vec<TakenSpan> {
        let taken = self.taken.0.lock().unwrap();
        let found = taken.iter().filter(|taken| taken.span.name == name);
        found.cloned().collect()
    }

    /// Waits for a span of this name.
    pub async fn one(&self, name: &str) -> TakenSpan {
        let begun = Instant::now();
        loop {
            if let Some(found) = self.named(name).pop() {
                return found;
            }
            let late = begun.elapsed() > Duration::from_secs(30);
            assert!(!late, "no span {name}: {:?}", self.taken.0.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

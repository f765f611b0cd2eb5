//! Calls of clients and workers, and the bytes that they move.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::codegen::{Body as HttpBody, BoxFuture, Bytes, Service};
use tonic::{Code, Status};
use tower::Layer;

use super::calls::latency;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answered {
    method: String,
    code: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Moved {
    direction: &'static str,
}

/// Metrics of calls. Cheap to clone.
#[derive(Clone)]
pub struct Rpc {
    seconds: Family<Answered, Histogram, fn() -> Histogram>,
    bytes: Family<Moved, Counter>,
}

impl Rpc {
    pub(super) fn registered(registry: &mut Registry) -> Rpc {
        let rpc = Rpc {
            seconds: Family::new_with_constructor(latency),
            bytes: Family::default(),
        };
        registry.register(
            "rpc_seconds",
            "From the arrival of a call until its answer was whole, waits included",
            rpc.seconds.clone(),
        );
        registry.register(
            "rpc_bytes",
            "Bytes of messages that came in and went out, as they are on the wire",
            rpc.bytes.clone(),
        );
        rpc
    }

    fn ended(&self, method: &str, code: Code, begun: Instant) {
        // Whoever makes methods up must not make metrics up.
        let known = !matches!(code, Code::Unimplemented | Code::Unauthenticated);
        let method = if known { method } else { "other" };
        let answered = Answered {
            method: method.to_owned(),
            code: format!("{code:?}"),
        };
        let seconds = begun.elapsed().as_secs_f64();
        self.seconds.get_or_create(&answered).observe(seconds);
    }

    fn moved(&self, direction: &'static str) -> Counter {
        self.bytes.get_or_create_owned(&Moved { direction })
    }
}

/// Measures every call of the services behind it.
#[derive(Clone)]
pub struct RpcLayer(pub Rpc);

impl<S> Layer<S> for RpcLayer {
    type Service = MeteredRpc<S>;

    fn layer(&self, inner: S) -> MeteredRpc<S> {
        MeteredRpc {
            rpc: self.0.clone(),
            received: self.0.moved("in"),
            sent: self.0.moved("out"),
            inner,
        }
    }
}

/// A service behind [`RpcLayer`].
#[derive(Clone)]
pub struct MeteredRpc<S> {
    rpc: Rpc,
    received: Counter,
    sent: Counter,
    inner: S,
}

impl<S> Service<Request<Body>> for MeteredRpc<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<Response<Body>, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut call = Call {
            rpc: self.rpc.clone(),
            method: request.uri().path().trim_start_matches('/').to_owned(),
            begun: Instant::now(),
            code: Code::Cancelled,
        };
        let received = self.received.clone();
        let sent = self.sent.clone();
        let request = request.map(|body| {
            Body::new(Metered {
                body,
                bytes: received,
                call: None,
            })
        });
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            // A call that fails before its first message says so in the headers.
            call.answered(response.headers());
            if response.body().is_end_stream() {
                return Ok(response);
            }
            Ok(response.map(|body| {
                Body::new(Metered {
                    body,
                    bytes: sent,
                    call: Some(call),
                })
            }))
        })
    }
}

/// A call that is counted when it is dropped: answered, or given up by the caller.
struct Call {
    rpc: Rpc,
    method: String,
    begun: Instant,
    code: Code,
}

impl Call {
    fn answered(&mut self, headers: &HeaderMap) {
        if let Some(status) = Status::from_header_map(headers) {
            self.code = status.code();
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.rpc.ended(&self.method, self.code, self.begun);
    }
}

/// A body whose bytes are counted, and whose trailers say how the call ended.
struct Metered {
    body: Body,
    bytes: Counter,
    call: Option<Call>,
}

impl HttpBody for Metered {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame {
            if let Some(data) = frame.data_ref() {
                self.bytes.inc_by(data.len() as u64);
            }
            if let (Some(trailers), Some(call)) = (frame.trailers_ref(), &mut self.call) {
                call.answered(trailers);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

//! A panic in one call ends that call, with an answer.
//!
//! Without this the task of the call would end, its caller would hear of a broken stream, and try again.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::Request as HttpRequest;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response as HttpResponse};
use futures::FutureExt;
use gofarm_daemon::panic_text;
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::codegen::{Body as HttpBody, BoxFuture, Bytes, Service};
use tower::Layer;

/// What the caller hears. What panicked, and why, is for the log: it may name what is not the caller's.
const TOLD: &str = "the scheduler has a defect and this call met it; its log says where (look for \"panic\"). Other calls go on; the same call may meet it again";

/// Answers gRPC calls that panic with INTERNAL, be it before their answer begins or in the midst of it.
#[derive(Clone)]
pub struct PanicLayer;

impl<S> Layer<S> for PanicLayer {
    type Service = Caught<S>;

    fn layer(&self, inner: S) -> Caught<S> {
        Caught { inner }
    }
}

/// A service behind [`PanicLayer`].
#[derive(Clone)]
pub struct Caught<S> {
    inner: S,
}

impl<S> Service<Request<Body>> for Caught<S>
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
        let method = request.uri().path().to_owned();
        // What services share is behind locks, each with its own rule for when a panic has poisoned it.
        let begun = catch_unwind(AssertUnwindSafe(|| self.inner.call(request)));
        Box::pin(async move {
            let answer = match begun {
                Ok(answer) => AssertUnwindSafe(answer).catch_unwind().await,
                Err(panic) => Err(panic),
            };
            match answer {
                Ok(answer) => Ok(answer?.map(|body| {
                    Body::new(CaughtBody {
                        body: Some(body),
                        method,
                    })
                })),
                Err(panic) => Ok(met(&method, &*panic).into_http()),
            }
        })
    }
}

fn met(call: &str, panic: &(dyn Any + Send)) -> Status {
    tracing::error!(call, why = panic_text(panic), "a call panicked");
    Status::internal(TOLD)
}

/// An answer that may panic while it is made.
struct CaughtBody {
    /// None after a panic: what it left is not asked again.
    body: Option<Body>,
    method: String,
}

impl HttpBody for CaughtBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(body).poll_frame(context)));
        polled.unwrap_or_else(|panic| {
            self.body = None;
            let status = met(&self.method, &*panic);
            let mut trailers = tonic::codegen::http::HeaderMap::new();
            let said = status.add_header(&mut trailers);
            Poll::Ready(Some(said.map(|()| Frame::trailers(trailers))))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(SizeHint::default, Body::size_hint)
    }
}

/// Answers requests to the HTTP port that panic with 500.
pub async fn catch_http(request: HttpRequest, next: Next) -> HttpResponse {
    let path = request.uri().path().to_owned();
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(answer) => answer,
        Err(panic) => {
            let told = met(&path, &*panic);
            let text = format!("{}\n", told.message());
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
    }
}

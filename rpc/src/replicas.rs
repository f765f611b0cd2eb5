//! The replicas of a farm's scheduler, of which one is talked to at a time.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use gofarm_proto::v1;
use gofarm_proto::v1::blobs_client::BlobsClient;
use gofarm_timing::random;
use http_body::{Frame, SizeHint};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::codegen::{Service, http};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Error};
use tonic::{Code, Status};

use crate::address::FarmAddresses;
use crate::authorization::Authorization;

/// Whoever had to leave its first address looks after it about so often.
const LOOK_HOME: Duration = Duration::from_secs(10);

/// How long that address has for showing that it serves again.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// Connections to all replicas, and which one is used.
#[derive(Debug)]
pub(crate) struct Replicas {
    addresses: FarmAddresses,
    channels: Vec<Channel>,
    /// Index of the one that is used.
    current: AtomicUsize,
    /// Index of the one that was used first. Drawn at random, so that the clients and workers of a farm are spread over its
    /// replicas; and come back to, so that they stay so when replicas have been replaced one after the other.
    home: usize,
    /// Somebody looks after home.
    looking: AtomicBool,
    authorization: Authorization,
}

/// One address of a farm, as long as its [`Connection`](crate::Connection) lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressIndex(usize);

impl Replicas {
    /// One channel for each address, in their order.
    pub fn new(
        addresses: &FarmAddresses,
        channels: Vec<Channel>,
        authorization: Authorization,
    ) -> Arc<Replicas> {
        let home = (random() * channels.len() as f64) as usize;
        Arc::new(Replicas {
            addresses: addresses.clone(),
            channels,
            current: AtomicUsize::new(home),
            home,
            looking: AtomicBool::new(false),
            authorization,
        })
    }

    pub fn place(&self) -> AddressIndex {
        AddressIndex(self.current.load(Ordering::Relaxed))
    }

    /// Of many calls that fail together, one turns to the next address.
    pub fn turn_from(self: &Arc<Replicas>, place: AddressIndex) {
        let next = (place.0 + 1) % self.channels.len();
        let turned = next != place.0
            && self
                .current
                .compare_exchange(place.0, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if !turned {
            return;
        }
        if let Some(address) = self.addresses.iter().nth(next) {
            tracing::info!(%address, "going on with another address of the farm");
        }
        if let Ok(runtime) = Handle::try_current()
            && !self.looking.swap(true, Ordering::Relaxed)
        {
            runtime.spawn(come_home(Arc::downgrade(self)));
        }
    }

    fn is_home(&self) -> bool {
        self.current.load(Ordering::Relaxed) == self.home
    }

    /// Whether the first address serves.
    async fn home_serves(&self) -> bool {
        let channel = self.channels[self.home].clone();
        let mut client =
            BlobsClient::new(InterceptedService::new(channel, self.authorization.clone()));
        let asked = client.find_missing(v1::FindMissingRequest::default());
        matches!(timeout(SIGN_OF_LIFE, asked).await, Ok(Ok(_)))
    }
}

/// Goes back to the first address when it serves again. Ends then, and with the connection.
async fn come_home(replicas: Weak<Replicas>) {
    loop {
        // Not all in one moment.
        sleep(LOOK_HOME.mul_f64(0.5 + random())).await;
        let Some(replicas) = replicas.upgrade() else {
            return;
        };
        if !replicas.is_home() && replicas.home_serves().await {
            replicas.current.store(replicas.home, Ordering::Relaxed);
        }
        if replicas.is_home() {
            replicas.looking.store(false, Ordering::Relaxed);
            return;
        }
    }
}

/// Sends each call to the replica that is used just then, and notices when that is not there.
#[derive(Debug, Clone)]
pub struct Route {
    replicas: Arc<Replicas>,
}

impl Route {
    pub(crate) fn new(replicas: &Arc<Replicas>) -> Route {
        Route {
            replicas: replicas.clone(),
        }
    }
}

impl Service<Request<Body>> for Route {
    type Response = Response<Body>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response<Body>, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        // Which channel has to be ready is known when the call begins.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let replicas = self.replicas.clone();
        Box::pin(async move {
            let place = replicas.place();
            let mut channel = replicas.channels[place.0].clone();
            let answer = match poll_fn(|cx| channel.poll_ready(cx)).await {
                Ok(()) => channel.call(request).await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(answer) if replicas.channels.len() == 1 => Ok(answer),
                Ok(answer) => {
                    if is_unavailable(answer.headers()) {
                        replicas.turn_from(place);
                    }
                    Ok(answer.map(|body| {
                        Body::new(Watched {
                            body,
                            replicas,
                            place,
                        })
                    }))
                }
                Err(error) => {
                    replicas.turn_from(place);
                    Err(error)
                }
            }
        })
    }
}

/// An answer that may break off.
struct Watched {
    body: Body,
    replicas: Arc<Replicas>,
    place: AddressIndex,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        let gone = match &polled {
            Poll::Ready(Some(Ok(frame))) => frame.trailers_ref().is_some_and(is_unavailable),
            Poll::Ready(Some(Err(_))) => true,
            Poll::Ready(None) | Poll::Pending => false,
        };
        if gone {
            this.replicas.turn_from(this.place);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What a replica says that is going away, or cut off from what it needs.
fn is_unavailable(headers: &HeaderMap) -> bool {
    let status = headers.get("grpc-status").map(http::HeaderValue::as_bytes);
    status.is_some_and(|status| Code::from_bytes(status) == Code::Unavailable)
}

//! Serving both ports, and stopping.

use std::future::Future;
use std::io;
use std::time::Duration;

use axum::Router;
use gofarm_daemon::Signals;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Server, ServerTlsConfig};

use super::panics::PanicLayer;
use crate::access::{Access, AccessLayer};
use crate::metrics::{Rpc, RpcLayer};

/// When a silent connection is asked for a sign of life, and how long that may take, as parts of a lease: together less than
/// one. A worker that vanishes without a word goes on waiting for tasks in our eyes, and is given one. When that lease runs
/// out we know about the connection; if we did not, the task would go from one vanished worker to the next, and use up its
/// attempts on them.
const SILENCE: u32 = 4;
const ANSWER: u32 = 2;

/// For leases of any length: neither does a busy machine answer in no time, nor shall a connection be kept for ever.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(20);

/// What a caller may have sent and nobody has read, for one call and for a connection: a piece of a blob, and one for each of
/// some uploads. The defaults of HTTP/2 (64 KiB) would make each piece of a blob wait for several round trips.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// The ports, taken but not served.
pub struct Ports {
    /// For clients and workers.
    pub grpc: TcpListener,
    /// For probes, metrics and views.
    pub http: TcpListener,
}

/// What is served.
pub struct Services {
    /// Behind the access check.
    pub routes: Routes,
    /// The HTTP port's.
    pub http: Router,
    /// Who may call.
    pub access: Access,
    /// What counts calls.
    pub rpc: Rpc,
    /// Of the gRPC port.
    pub tls: Option<ServerTlsConfig>,
    /// How long a worker holds a task without being heard of.
    pub lease_ttl: Duration,
}

impl Ports {
    /// Serves until `stop` is done. `going` is then waited for while both ports still answer: it gives work away and turns
    /// newcomers away. After that no connection is taken any more, and calls under way may go on for `drain`.
    ///
    /// # Errors
    ///
    /// A port cannot be served any more.
    pub async fn serve(
        self,
        services: Services,
        stop: impl Future<Output = ()>,
        going: impl Future<Output = ()>,
        drain: Duration,
    ) -> anyhow::Result<()> {
        let (grpc_stop, http_stop) = (CancellationToken::new(), CancellationToken::new());
        let part = |of: u32| (services.lease_ttl / of).clamp(SHORTEST, LONGEST);
        let mut server = Server::builder()
            .tcp_nodelay(true)
            .http2_keepalive_interval(Some(part(SILENCE)))
            .http2_keepalive_timeout(Some(part(ANSWER)))
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_concurrent_streams(Some(4096));
        if let Some(tls) = services.tls {
            server = server.tls_config(tls)?;
        }
        let incoming = TcpIncoming::from(self.grpc).with_nodelay(Some(true));
        let grpc = server
            .layer(RpcLayer(services.rpc))
            .layer(AccessLayer(services.access))
            .layer(PanicLayer)
            .serve_with_incoming_shutdown(
                services.routes,
                incoming,
                grpc_stop.clone().cancelled_owned(),
            );
        let http = axum::serve(self.http, services.http)
            .with_graceful_shutdown(http_stop.clone().cancelled_owned());
        let mut grpc = tokio::spawn(grpc);
        let mut http = tokio::spawn(http.into_future());
        tokio::select! {
            () = stop => {}
            ended = &mut grpc => ended??,
            ended = &mut http => ended??,
        }
        going.await;
        grpc_stop.cancel();
        if tokio::time::timeout(drain, &mut grpc).await.is_err() {
            tracing::warn!(
                seconds = drain.as_secs_f64(),
                "calls under way were broken off; their callers go on at another scheduler"
            );
            grpc.abort();
        }
        // Probes have been answered to the end; a client that keeps its connection open is not waited for.
        http_stop.cancel();
        let _ = tokio::time::timeout(Duration::from_millis(100), &mut http).await;
        http.abort();
        Ok(())
    }
}

/// Done when the process is told to end: SIGTERM, or Ctrl-C. Says so in the log. The second time, from then on, ends the process
/// at once.
///
/// # Errors
///
/// Signals cannot be caught.
pub fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    let mut signals = Signals::new()?;
    let told = CancellationToken::new();
    let tell = told.clone();
    tokio::spawn(async move {
        let first = signals.next().await;
        tracing::info!(signal = first.name(), "told to end");
        tell.cancel();
        signals.next().await.now();
    });
    Ok(told.cancelled_owned())
}

//! Serving both ports, and stopping.

use std::future::Future;
use std::io;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Server, ServerTlsConfig};

use crate::server::access::{Access, AccessLayer};
use crate::server::metrics::{Rpc, RpcLayer};

/// Connections are asked for a sign of life so often, and closed when none comes.
const KEEPALIVE: Duration = Duration::from_secs(20);

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
        let mut server = Server::builder()
            .tcp_nodelay(true)
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE))
            .max_concurrent_streams(Some(4096));
        if let Some(tls) = services.tls {
            server = server.tls_config(tls)?;
        }
        let incoming = TcpIncoming::from(self.grpc).with_nodelay(Some(true));
        let grpc = server
            .layer(RpcLayer(services.rpc))
            .layer(AccessLayer(services.access))
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

/// Done when the process is told to end: SIGTERM, or Ctrl-C. Says so in the log.
///
/// # Errors
///
/// Signals cannot be caught.
pub fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "told to end");
    })
}

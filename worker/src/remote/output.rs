//! What tasks print, on its way to those who watch.

use std::time::Duration;

use gofarm_proto::v1;

use super::shared::Shared;
use crate::leasing::LeaseToken;

/// How long output is gathered before it is sent.
const GATHER: Duration = Duration::from_millis(200);

/// So much is sent in one message at most, about, bytes.
const MOST_SENT: usize = 4 << 20;

/// A message is given up after this time.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends what is printed, for as long as the worker lives.
pub(super) async fn send_on(shared: &Shared) {
    loop {
        shared.printed.notified().await;
        tokio::time::sleep(GATHER).await;
        loop {
            let outputs = shared.held.printed(None, MOST_SENT);
            if outputs.is_empty() {
                break;
            }
            send(shared, outputs).await;
        }
    }
}

/// Sends what is left of one task, before its end is told.
pub(super) async fn send_rest(shared: &Shared, token: LeaseToken) {
    let outputs = shared.held.printed(Some(token), MOST_SENT);
    if !outputs.is_empty() {
        send(shared, outputs).await;
    }
}

/// Best effort.
async fn send(shared: &Shared, outputs: Vec<v1::TaskOutput>) {
    let server = shared.servers.current();
    let mut leases = server.leases();
    let call = leases.append_log(v1::AppendLogRequest { outputs });
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(Ok(_)) => {}
        Ok(Err(status)) => {
            let error = server.connection.error("send output", status);
            tracing::debug!(%error, "output of tasks is left out");
        }
        Err(_) => tracing::debug!("output of tasks is left out: the farm did not take it in time"),
    }
}

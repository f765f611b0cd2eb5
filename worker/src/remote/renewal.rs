//! Keeping leases: all of them in one call.

use std::time::Duration;

use gofarm_proto::v1;
use tokio::time::{Instant, sleep_until, timeout};

use super::shared::Shared;

/// Between two attempts while the farm is away.
const AGAIN: Duration = Duration::from_millis(500);

/// Renews what is held, for as long as the worker lives.
pub(super) async fn renew_on(shared: &Shared) {
    loop {
        let due = shared.held.due();
        tokio::select! {
            () = shared.held.bell.notified() => continue,
            () = until(due) => {}
        }
        renew(shared).await;
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

async fn renew(shared: &Shared) {
    let held = shared.held.all();
    if held.is_empty() {
        return;
    }
    let request = v1::RenewRequest {
        worker: shared.options.worker.clone(),
        leases: held.iter().map(|(_, id)| id.clone()).collect(),
    };
    let patience = shared.held.patience();
    let asked = Instant::now();
    let server = shared.servers.current();
    let mut leases = server.leases();
    let answer = timeout(patience, leases.renew(request)).await;
    let problem = match answer {
        Ok(Ok(answer)) => {
            let answer = answer.into_inner();
            for ((token, _), state) in held.iter().zip(answer.states()) {
                shared.held.renewed(*token, state, asked);
            }
            if answer.states.len() == held.len() {
                return;
            }
            "the farm answered for another number of leases".to_owned()
        }
        Ok(Err(status)) => server.connection.error("renew leases", status).to_string(),
        Err(_) => format!("no answer within {patience:?}"),
    };
    tracing::warn!(leases = held.len(), problem, "cannot renew leases");
    shared.servers.turn_from(server);
    shared.held.not_renewed(AGAIN.min(patience / 4));
}

//! What tasks print, on its way to those who watch.

use std::time::Duration;

use gofarm_proto::v1;

use super::shared::Shared;
use crate::leasing::LeaseToken;

/// How long output is gathered before it is sent.
const GATHER: Duration = Duration::from_millis(200);

/// So much of one task waits at most, bytes. What comes on top is left out: only those who watch live miss it, since the
/// whole output comes with the result.
const MOST_PENDING: usize = 1 << 20;

/// So much is sent in one message at most, about, bytes.
const MOST_SENT: usize = 4 << 20;

/// A message is given up after this time.
const PATIENCE: Duration = Duration::from_secs(10);

/// Output of one task that waits to be sent.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Where `data` begins in the task's output.
    offset: u64,
    data: Vec<u8>,
    /// What came after `data` and was left out, bytes.
    dropped: u64,
}

impl Pending {
    /// False when there was no room.
    pub fn push(&mut self, chunk: &[u8]) -> bool {
        // After a gap nothing can follow before the next message.
        if self.dropped > 0 || self.data.len() + chunk.len() > MOST_PENDING {
            self.dropped += chunk.len() as u64;
            return false;
        }
        self.data.extend_from_slice(chunk);
        true
    }

    pub fn take(&mut self) -> Option<(u64, Vec<u8>)> {
        if self.data.is_empty() && self.dropped == 0 {
            return None;
        }
        let data = std::mem::take(&mut self.data);
        let offset = self.offset;
        self.offset += data.len() as u64 + std::mem::take(&mut self.dropped);
        (!data.is_empty()).then_some((offset, data))
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_beyond_the_bound_leaves_a_gap_and_nothing_moves() {
        let mut pending = Pending::default();
        assert_eq!(pending.take(), None);
        assert!(pending.push(b"one"));
        assert_eq!(pending.take(), Some((0, b"one".to_vec())));
        assert!(pending.push(&vec![b'x'; MOST_PENDING]));
        assert!(!pending.push(b"lost"));
        let (offset, data) = pending.take().unwrap();
        assert_eq!((offset, data.len()), (3, MOST_PENDING));
        assert!(pending.push(b"two"));
        let offset = 3 + MOST_PENDING as u64 + 4;
        assert_eq!(pending.take(), Some((offset, b"two".to_vec())));
    }
}

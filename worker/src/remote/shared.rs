//! What the parts of a source share.

use std::time::Duration;

use gofarm_proto::v1;
use gofarm_rpc::RpcError;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::cache::LocalCache;
use super::disk_trouble::DiskTrouble;
use super::held::HeldLeases;
use super::options::RemoteOptions;
use super::servers::Servers;

/// How long joining and leaving may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the parts of a source share.
#[derive(Debug)]
pub(super) struct Shared {
    pub servers: Servers,
    pub cache: LocalCache,
    pub options: RemoteOptions,
    pub held: HeldLeases,
    pub trouble: DiskTrouble,
    /// Rung when there is output to send.
    pub printed: Notify,
    /// Nothing more is taken.
    pub drain: CancellationToken,
}

impl Shared {
    /// Has the farm answer whatever call of this worker is waiting: what it gives in just the moment in which a call is
    /// broken off would be lost until its lease runs out.
    pub async fn want_nothing(&self, what: &'static str) -> Result<(), RpcError> {
        let options = &self.options;
        let server = self.servers.current();
        let request = v1::AcquireRequest {
            worker: options.worker.clone(),
            pool: options.pool.clone(),
            platforms: options.platforms.clone(),
            slots: u32::try_from(options.slots).unwrap_or(u32::MAX),
            free_slots: 0,
            total_memory: options.memory,
            free_memory: options.memory,
            wait_ms: 0,
            ahead: false,
            c_toolchains: options.c_toolchains.clone(),
        };
        let answer = timeout(PATIENCE, server.leases().acquire(request)).await;
        let late = || tonic::Status::deadline_exceeded("no answer in time");
        match answer.unwrap_or_else(|_| Err(late())) {
            Ok(_) => Ok(()),
            Err(status) => Err(server.connection.error(what, status)),
        }
    }
}

//! The farm's lease queue, as the loop of a worker sees it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gofarm_daemon::{Spans, now};
use gofarm_proto::v1;
use gofarm_rpc::RpcError;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::ask::Asking;
use super::cache::LocalCache;
use super::disk_trouble::DiskTrouble;
use super::held::HeldLeases;
use super::scrub::ScrubOptions;
use super::servers::Servers;
use super::{inputs, output, renewal, report, scrub};
use crate::causes::with_causes;
use crate::error::ExecuteError;
use crate::lease::{Capacity, Lease, LeaseSource, LeaseToken, Lost, Renewal, SourceError};
use crate::outcome::{Surroundings, broken_off, ended};
use crate::task::Execution;

/// How long joining and leaving may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a worker says of itself.
#[derive(Debug, Clone)]
pub struct RemoteOptions {
    /// Its name: unique in the farm, the same after a restart.
    pub worker: String,
    /// The pool that it works for; empty for the default one.
    pub pool: String,
    /// What it can run: `os/arch`, and `os/arch/ID` for each C toolchain.
    pub platforms: Vec<String>,
    /// What those C toolchains are called.
    pub c_toolchains: Vec<v1::CToolchain>,
    /// Slots in all.
    pub slots: usize,
    /// Memory for tasks in all, bytes.
    pub memory: u64,
    /// How it looks for damage in its cache while it is idle.
    pub scrub: ScrubOptions,
    /// Where spans of what it does go.
    pub spans: Spans,
}

/// A [`LeaseSource`] over a farm. Dropping it ends all that it does by itself.
#[derive(Debug)]
pub struct RemoteSource {
    shared: Arc<Shared>,
    asking: Asking,
    /// Ends with us.
    _background: JoinSet<()>,
}

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

impl RemoteSource {
    /// A worker of the farm at these servers, whose executor uses the cache's store. Must be called on a tokio runtime.
    ///
    /// When `drain` is cancelled nothing more is asked for; what the farm has given meanwhile is for
    /// [`close`](RemoteSource::close) to give back.
    pub fn new(
        servers: Servers,
        cache: LocalCache,
        options: RemoteOptions,
        drain: &CancellationToken,
    ) -> RemoteSource {
        let shared = Arc::new(Shared {
            servers,
            cache,
            options,
            held: HeldLeases::default(),
            trouble: DiskTrouble::new(),
            printed: Notify::new(),
            drain: drain.child_token(),
        });
        let mut background = JoinSet::new();
        let of = shared.clone();
        background.spawn(async move { renewal::renew_on(&of).await });
        let of = shared.clone();
        background.spawn(async move { output::send_on(&of).await });
        let of = shared.clone();
        background.spawn(async move { of.cache.tidy_on().await });
        let of = shared.clone();
        background.spawn(async move { scrub::scrub_on(&of).await });
        RemoteSource {
            shared,
            asking: Asking::new(),
            _background: background,
        }
    }

    /// Asks the farm whether it would give this worker tasks: the token, the certificate and the platforms are right. The
    /// farm answers what an earlier process of this name still waits for.
    ///
    /// # Errors
    ///
    /// As [`RpcError`]; when it [is transient](RpcError::is_transient) the farm is only away.
    pub async fn introduce(&self) -> Result<(), RpcError> {
        self.shared.want_nothing("join as a worker").await
    }

    /// Gives back what was given after the loop had stopped to ask. To be called when `drain` has been cancelled.
    pub async fn close(&self) {
        if let Err(error) = self.shared.want_nothing("leave").await {
            tracing::debug!(%error, "the farm does not hear that we ask for nothing more");
        }
        for lease in self.asking.left().await {
            if let Err(error) = self.release(lease.token).await {
                tracing::warn!(token = %lease.token, %error, "cannot give back a task; its lease will run out");
            }
        }
    }

    /// Ends a lease whose task found no room on the disk.
    async fn full(&self, token: LeaseToken, error: &ExecuteError) -> Result<(), SourceError> {
        let give_back = self.shared.trouble.met(Instant::now());
        let cache = self.shared.cache.clone();
        let freed = tokio::task::spawn_blocking(move || cache.free_some()).await;
        let freed = match freed {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(error)) => {
                tracing::error!(%error, "cannot make room in the local cache");
                0
            }
            Err(_) => 0,
        };
        tracing::error!(%error, freed, "the disk is full; no tasks are taken for a while");
        let outcome = match give_back {
            true => v1::outcome::Outcome::Released(v1::Released {
                reason: with_causes(error),
            }),
            false => v1::outcome::Outcome::Crashed(with_causes(error)),
        };
        report::report(&self.shared, token, outcome).await
    }
}

impl Drop for RemoteSource {
    fn drop(&mut self) {
        // Calls that are under way have nobody to bring tasks to.
        self.shared.drain.cancel();
    }
}

#[async_trait]
impl LeaseSource for RemoteSource {
    async fn acquire(&self, capacity: Capacity) -> Result<Option<Vec<Lease>>, SourceError> {
        let leases = self.asking.acquire(&self.shared, capacity).await?;
        Ok(Some(leases))
    }

    async fn renew(&self, token: LeaseToken) -> Result<Renewal, SourceError> {
        // All are renewed together, unasked: this is how it stands.
        Ok(match self.shared.held.left(token) {
            Some(ttl) => Renewal::Kept { ttl },
            None => Renewal::Lost,
        })
    }

    async fn lost(&self, lease: &Lease) -> Lost {
        let lost = self.shared.held.lost(lease.token).await;
        if lost != Lost::Cancelled {
            self.shared.held.remove(lease.token);
        }
        lost
    }

    async fn fetch(&self, lease: &Lease) -> Result<bool, ExecuteError> {
        let begun = now();
        let fetched = inputs::fetch(&self.shared, lease).await;
        self.shared.fetched(lease.token, begun, &fetched);
        fetched
    }

    async fn complete(&self, token: LeaseToken, execution: Execution) -> Result<(), SourceError> {
        self.shared.ran(token, &execution);
        report::report(&self.shared, token, ended(execution)).await
    }

    async fn fail(&self, token: LeaseToken, error: ExecuteError) -> Result<(), SourceError> {
        self.shared.broke_off(token, &error);
        if let ExecuteError::Full { .. } = error {
            return self.full(token, &error).await;
        }
        let surroundings = Surroundings {
            alone: self.shared.held.is_exclusive(token),
            memory: self.shared.options.memory,
        };
        let outcome = broken_off(&error, surroundings);
        report::report(&self.shared, token, outcome).await
    }

    async fn release(&self, token: LeaseToken) -> Result<(), SourceError> {
        let released = v1::outcome::Outcome::Released(v1::Released::default());
        report::report(&self.shared, token, released).await
    }

    fn log(&self, token: LeaseToken, chunk: &[u8]) {
        if self.shared.held.print(token, chunk) {
            self.shared.printed.notify_one();
        }
    }
}

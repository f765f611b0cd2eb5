//! The farm's lease queue, as the loop of a worker sees it.

use std::sync::Arc;

use async_trait::async_trait;
use gofarm_daemon::{now, vital};
use gofarm_proto::v1;
use gofarm_rpc::RpcError;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ask::Asking;
use super::cache::LocalCache;
use super::disk_trouble::DiskTrouble;
use super::held::HeldLeases;
use super::options::RemoteOptions;
use super::servers::Servers;
use super::shared::Shared;
use super::{inputs, output, renewal, report, scrub};
use crate::causes::with_causes;
use crate::error::ExecuteError;
use crate::leasing::{Capacity, Lease, LeaseSource, LeaseToken, Lost, Renewal, SourceError};
use crate::running::{Surroundings, broken_off, ended};
use crate::task::Execution;

/// A [`LeaseSource`] over a farm. Dropping it ends all that it does by itself.
#[derive(Debug)]
pub struct RemoteSource {
    shared: Arc<Shared>,
    asking: Asking,
    /// Ends with us.
    _background: JoinSet<()>,
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
        // None of them ends by itself, and without it the worker would take tasks that it cannot bring to an end.
        let mut background = JoinSet::new();
        let of = shared.clone();
        background.spawn(vital("the renewal of leases", async move {
            renewal::renew_on(&of).await
        }));
        let of = shared.clone();
        background.spawn(vital("the sending of output", async move {
            output::send_on(&of).await
        }));
        let of = shared.clone();
        background.spawn(vital("the tidying of the cache", async move {
            of.cache.tidy_on().await
        }));
        let of = shared.clone();
        background.spawn(vital("the scrubbing of the cache", async move {
            scrub::scrub_on(&of).await
        }));
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

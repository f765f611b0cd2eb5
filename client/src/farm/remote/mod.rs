//! A farm on many machines, as a client sees it.
//!
//! A build begins with bringing there what the farm lacks: first what its first actions need, the rest while it runs, in the
//! order in which it is reached. From then on the farm needs nobody, and a build that is left to the farm is submitted only
//! then. It is watched by
//! the numbers of its events, so that a connection that breaks is made again without a gap. Only when the farm has
//! forgotten the build (it lost everything that it kept) is it submitted again, and what was told before is not told
//! twice.

mod bringing;
#[cfg(test)]
mod bringing_test;
#[cfg(test)]
mod farm_test;
mod fetched;
mod listener;
#[cfg(test)]
mod project_test;
#[cfg(test)]
mod remote_test;
mod story;
#[cfg(test)]
mod story_test;
mod submission;
mod waiting;
mod wanted;
mod watching;

use std::time::Duration;

use gofarm_engine::core::BuildId;
use gofarm_proto::v1;
use gofarm_rpc::{BlobClient, ConnectOptions, Connection, RpcError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cli::FarmSettings;
use crate::farm::build::{Build, Finished};

pub use fetched::{Fetched, Stopped};
pub(crate) use story::Story;
pub(crate) use submission::Submission;
pub(crate) use watching::OnCancel;

/// One attempt to connect.
const CONNECT: Duration = Duration::from_secs(3);
/// A farm that says nothing for so long is given up on. Restarts of all of it take less.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// How long a farm has for taking a cancellation in.
const CANCEL: Duration = Duration::from_secs(5);

/// A farm that can be asked. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Remote {
    connection: Connection,
    blobs: BlobClient,
    user: String,
    pool: String,
}

impl Remote {
    /// Nothing is sent yet. Must be called on a runtime.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub fn new(settings: &FarmSettings) -> Result<Remote, RpcError> {
        let connection = connect(settings)?;
        Ok(Remote {
            blobs: BlobClient::new(connection.clone()),
            connection,
            user: settings.user.clone(),
            pool: settings.pool.clone(),
        })
    }

    /// Asks the farm for a sign of life.
    ///
    /// # Errors
    /// It gives none for so long, or refuses.
    pub async fn reach(&self, patience: Duration) -> Result<(), RpcError> {
        self.connection
            .retry("build", Instant::now() + patience, || {
                let mut client = self.connection.blobs();
                async move { client.find_missing(v1::FindMissingRequest::default()).await }
            })
            .await
            .map(drop)
    }

    /// Builds to the end, or until `cancel` is cancelled: then the build is ended on the farm, too.
    pub async fn build(
        &self,
        build: Build<'_>,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Finished> {
        let submission = Submission::new(self, &build)?;
        let with_logs = build.shows_logs;
        let mut story = Story::of(build);
        let mut bringing = self.bringing(&submission);
        if !bringing.enough(story.watch(), cancel).await?
            || !self.submit(&submission, cancel).await?
        {
            let summary = story.cancelled_summary();
            return Ok(story.finished(summary, bringing.bytes()));
        }
        story.watch().stage("building");
        let watched = {
            let watched = self.watch(&submission, &mut story, with_logs, cancel, OnCancel::End);
            tokio::pin!(watched);
            tokio::select! {
                watched = &mut watched => watched,
                brought = bringing.rest() => match brought {
                    Ok(()) => watched.await,
                    Err(error) => {
                        // Nobody can build what is not there any more. Where the farm does not answer, its build fails.
                        let _ = self.cancel(submission.id()?, CANCEL).await;
                        Err(error)
                    }
                },
            }
        };
        // What is still on its way when the build is over, the build had no need of.
        Ok(story.finished(watched?, bringing.bytes()))
    }

    /// Brings everything to the farm, submits, and leaves the build to it. False when cancelled before. What only this client
    /// can bring, the farm has compared with its digest by then.
    pub async fn detach(
        &self,
        build: Build<'_>,
        cancel: &CancellationToken,
    ) -> anyhow::Result<bool> {
        let submission = Submission::new(self, &build)?;
        let mut story = Story::of(build);
        story.watch().stage("verifying what the farm has");
        let mut bringing = self.bringing_for_good(&submission);
        if !bringing.all(story.watch(), cancel).await? {
            return Ok(false);
        }
        self.submit(&submission, cancel).await
    }

    /// Ends a build.
    ///
    /// # Errors
    /// The farm does not answer, or does not know the build.
    pub async fn cancel(&self, id: BuildId, patience: Duration) -> Result<(), RpcError> {
        let build = id.to_string();
        self.connection
            .retry("cancel a build", Instant::now() + patience, || {
                let (mut client, build) = (self.connection.builds(), build.clone());
                async move { client.cancel(v1::CancelRequest { build }).await }
            })
            .await
            .map(drop)
    }
}

/// A connection by these settings. Nothing is sent yet. Must be called on a runtime.
///
/// # Errors
/// The settings cannot be used.
pub fn connect(settings: &FarmSettings) -> Result<Connection, RpcError> {
    let options = ConnectOptions {
        token: settings.token.clone(),
        ca: settings.ca.clone(),
        connect_timeout: CONNECT,
    };
    Connection::connect(&settings.server, options)
}

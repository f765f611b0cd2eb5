//! Farms that build: one in this process, or one on many machines.

mod ahead;
mod build;
mod driver;
mod embedded;
mod remote;
mod source;
mod supply;
mod upload;

pub(crate) use build::long_log;
pub use build::{Build, BuildWatch, Choices, Finished, Output};
pub use embedded::{Embedded, EmbeddedOptions};
pub use remote::{Fetched, Remote, Stopped, connect};
pub(crate) use remote::{OnCancel, PATIENCE, Story, Submission};
pub use source::WorkerWatch;
pub use supply::Supply;
pub use upload::UploadError;

use tokio_util::sync::CancellationToken;

/// Where a bound plan is built.
#[derive(Debug)]
pub enum Farm {
    /// In this process.
    Embedded(Embedded),
    /// On other machines.
    Remote(Box<Remote>),
}

impl Farm {
    /// Builds to the end, or until `cancel` is cancelled.
    ///
    /// # Errors
    /// What kept the build from coming to an end of its own; failed actions are no error.
    pub async fn build(
        &self,
        build: Build<'_>,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Finished> {
        match self {
            Farm::Embedded(farm) => farm.build(build, cancel).await,
            Farm::Remote(farm) => farm.build(build, cancel).await,
        }
    }
}

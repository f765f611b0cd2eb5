//! A build on its way to a farm.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use gofarm_proto::{Digest, Message, v1};
use gofarm_rpc::{BlobError, Progress, Source};
use gofarm_scheduler::core::BuildId;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::story::Story;
use super::{CANCEL, PATIENCE, Remote};
use crate::farm::build::{Build, BuildWatch};
use crate::farm::supply::Supply;
use crate::farm::upload::UploadError;
use crate::report::Size;

/// How often the user is told how far an upload has come.
const TICK: Duration = Duration::from_millis(100);

/// Everything that a farm is given of a build.
#[derive(Debug)]
pub(crate) struct Submission {
    pub request: v1::SubmitRequest,
    /// Graph and attachment.
    own: Vec<(Digest, Source)>,
    /// None for whoever only attached to the build.
    pub supply: Option<Arc<Supply>>,
}

impl Submission {
    pub fn new(remote: &Remote, build: &Build<'_>) -> Submission {
        let blob = |bytes: Vec<u8>| (Digest::of(&bytes), Source::Bytes(bytes.into()));
        let graph = blob(build.graph.encode_to_vec());
        let attachment = blob(build.outline.encode_to_vec());
        let options = v1::BuildOptions {
            keep_going: build.choices.keep_going,
            no_cache: build.choices.no_cache,
            user: remote.user.clone(),
            title: title(&build.outline.packages, &build.outline.folder),
            pool: remote.pool.clone(),
            attachment: Some(attachment.0.into()),
        };
        Submission {
            request: v1::SubmitRequest {
                build: build.id.to_string(),
                graph: Some(graph.0.into()),
                options: Some(options),
            },
            own: vec![graph, attachment],
            supply: Some(build.supply.clone()),
        }
    }

    /// The submission of a build that is known to the farm, for submitting it again.
    pub fn of_known(build: &v1::Build) -> Submission {
        Submission {
            request: v1::SubmitRequest {
                build: build.build.clone(),
                graph: build.graph.clone(),
                options: build.options.clone(),
            },
            own: Vec::new(),
            supply: None,
        }
    }

    /// Names the build.
    pub fn id(&self) -> anyhow::Result<BuildId> {
        let id = &self.request.build;
        let number = u128::from_str_radix(id, 16);
        Ok(BuildId(
            number.with_context(|| format!("{id:?} names no build"))?,
        ))
    }

    fn blobs(&self) -> Vec<(Digest, Source)> {
        let supply = self.supply.as_deref();
        let digests = supply.map(Supply::digests).unwrap_or_default();
        let supplied = digests
            .into_iter()
            .filter_map(|digest| Some((digest, supply?.source(&digest)?)));
        self.own.iter().cloned().chain(supplied).collect()
    }
}

/// What was asked for, and from where.
fn title(packages: &[String], folder: &str) -> String {
    let packages = match packages {
        [] => ".".to_owned(),
        packages => packages.join(" "),
    };
    let machine = rustix::system::uname();
    let machine = machine.nodename().to_string_lossy();
    format!("{packages} in {machine}:{folder}")
}

impl Remote {
    /// Brings everything that the farm lacks there; how many bytes that were. `None` when cancelled meanwhile.
    pub(super) async fn bring(
        &self,
        submission: &Submission,
        story: &mut Story<'_>,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Option<u64>> {
        let blobs = submission.blobs();
        let mut bytes = 0;
        loop {
            let far = Far::default();
            let tell = |progress: Progress| far.at(progress);
            let upload = self
                .blobs
                .upload(blobs.iter().cloned(), Instant::now() + PATIENCE, &tell);
            tokio::pin!(upload);
            let mut ticks = tokio::time::interval(TICK);
            let uploaded = loop {
                tokio::select! {
                    uploaded = &mut upload => break uploaded,
                    () = cancel.cancelled() => return Ok(None),
                    _ = ticks.tick() => far.show(story.watch()),
                }
            };
            match uploaded {
                Ok(uploaded) => {
                    story.watch().stage("building");
                    return Ok(Some(bytes + uploaded.bytes));
                }
                // The time was up, but bytes came through: a slow line, not a dead one.
                Err(error) if error.is_unreachable() && far.done() > 0 => bytes += far.done(),
                Err(error) => return Err(in_our_words(error)),
            }
        }
    }

    /// Submits; nothing happens when the farm knows the build. False when cancelled meanwhile: then it is ended, in case
    /// that the farm has taken it in.
    pub(super) async fn submit(
        &self,
        submission: &Submission,
        cancel: &CancellationToken,
    ) -> anyhow::Result<bool> {
        let submitted = self
            .connection
            .retry("submit a build", Instant::now() + PATIENCE, || {
                let (mut client, request) = (self.connection.builds(), submission.request.clone());
                async move { client.submit(request).await }
            });
        tokio::select! {
            submitted = submitted => {
                submitted?;
                Ok(true)
            }
            () = cancel.cancelled() => {
                // Where the farm does not answer, there is nobody to tell.
                let _ = self.cancel(submission.id()?, CANCEL).await;
                Ok(false)
            }
        }
    }
}

/// As an embedded build says it.
fn in_our_words(error: BlobError) -> anyhow::Error {
    match error {
        BlobError::Changed { name, .. } => UploadError::Changed { path: name.into() }.into(),
        error => error.into(),
    }
}

/// How far an upload has come.
#[derive(Default)]
struct Far {
    done: AtomicU64,
    total: AtomicU64,
}

impl Far {
    fn at(&self, progress: Progress) {
        self.done.store(progress.done, Ordering::Relaxed);
        self.total.store(progress.total, Ordering::Relaxed);
    }

    fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    fn show(&self, watch: &mut dyn BuildWatch) {
        let total = self.total.load(Ordering::Relaxed);
        if total > 0 {
            watch.stage(&format!(
                "uploading {} of {}",
                Size(self.done()),
                Size(total)
            ));
        }
        watch.tick();
    }
}

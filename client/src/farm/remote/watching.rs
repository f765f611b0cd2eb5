//! Watching a build of a farm to its end.

use std::time::Duration;

use anyhow::{Context, anyhow};
use gofarm_engine::core::{BuildSummary, NodeId};
use gofarm_proto::Digest;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::fetched::Stopped;
use super::listener::{Heard, listen};
use super::story::{Next, Story};
use super::submission::Submission;
use super::waiting::Waiting;
use super::{CANCEL, Remote};
use crate::farm::build::Output;

/// What becomes of the build when its watcher is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnCancel {
    /// It is ended.
    End,
    /// It goes on.
    Leave,
}

const TICK: Duration = Duration::from_millis(100);
/// How long a farm has for saying that a cancelled build is over.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// How long a farm may be away in the middle of a log that is shown. Events wait meanwhile.
const LOG_PATIENCE: Duration = Duration::from_secs(30);
/// A farm that forgets a build this often forgets every build.
const RESUBMISSIONS: usize = 20;

impl Remote {
    /// Tells the story of a submitted build to its end.
    ///
    /// # Errors
    /// The farm says nothing any more, or something that makes no sense; [`Stopped`] when the build was left.
    pub(crate) async fn watch(
        &self,
        submission: &Submission,
        story: &mut Story<'_>,
        with_logs: bool,
        cancel: &CancellationToken,
        on_cancel: OnCancel,
    ) -> anyhow::Result<BuildSummary> {
        let build = submission.request.build.clone();
        let id = submission.id()?;
        let start = || listen(self.connection.clone(), build.clone(), with_logs);
        let mut heard = start();
        let mut resubmissions = 0;
        let mut errands: JoinSet<Option<String>> = JoinSet::new();
        let mut ticks = tokio::time::interval(TICK);
        let mut end_by: Option<Instant> = None;
        let mut waiting = Waiting::new(self.connection.clone(), build.clone());
        loop {
            tokio::select! {
                news = heard.recv() => match news {
                    Some(Heard::Events(events)) => {
                        for event in events {
                            match story.take(event)? {
                                Next::Go => {}
                                Next::Over(summary) => return Ok(summary),
                                Next::Output(node, log) => {
                                    self.show(story, node, log, cancel).await;
                                    if on_cancel == OnCancel::Leave && cancel.is_cancelled() {
                                        return Err(Stopped.into());
                                    }
                                }
                                Next::Wanted(digests) => {
                                    let Some(supply) = submission.supply.clone() else { continue };
                                    let (remote, build) = (self.clone(), build.clone());
                                    errands.spawn(async move {
                                        let provided = remote.provide(build, digests, &supply).await;
                                        provided.unwrap_or_else(|error| Some(error.to_string()))
                                    });
                                }
                            }
                        }
                    }
                    Some(Heard::Away { error, since }) => {
                        story.watch().warn(&format!(
                            "{error}; trying again (the build goes on without this command: gofarm attach {build})"
                        ));
                        story.watch().out_of_reach(Some(since.into_std()));
                    }
                    Some(Heard::Back) => story.watch().out_of_reach(None),
                    Some(Heard::Unknown) if end_by.is_some() => return Ok(story.cancelled_summary()),
                    Some(Heard::Unknown) => {
                        resubmissions += 1;
                        if resubmissions > RESUBMISSIONS {
                            return Err(anyhow!("the farm has forgotten build {build} {resubmissions} times; its schedulers keep nothing"));
                        }
                        // It has answered, if only that.
                        story.watch().out_of_reach(None);
                        self.again(submission, story, cancel).await?;
                        heard = start();
                    }
                    Some(Heard::Failed(error)) => return Err(error.into()),
                    None => return Err(anyhow!("internal error: the listener has ended early")),
                },
                () = cancel.cancelled(), if end_by.is_none() => {
                    if on_cancel == OnCancel::Leave {
                        return Err(Stopped.into());
                    }
                    end_by = Some(Instant::now() + LAST_WORDS);
                    let remote = self.clone();
                    errands.spawn(async move {
                        remote.cancel(id, CANCEL).await.err().map(|error| error.to_string())
                    });
                }
                () = sleep_until(end_by.unwrap_or_else(Instant::now)), if end_by.is_some() => {
                    return Ok(story.cancelled_summary());
                }
                Some(done) = errands.join_next() => {
                    if let Ok(Some(warning)) = done {
                        story.watch().warn(&warning);
                    }
                }
                _ = ticks.tick() => {
                    waiting.look(story);
                    story.watch().tick();
                }
            }
        }
    }

    /// Shows a long log, a piece at a time. It is nothing that a build fails of.
    async fn show(
        &self,
        story: &mut Story<'_>,
        node: NodeId,
        log: Digest,
        cancel: &CancellationToken,
    ) {
        let mut pieces = self.blobs.pieces(log, LOG_PATIENCE);
        let why = loop {
            let piece = tokio::select! {
                piece = pieces.next() => piece,
                () = cancel.cancelled() => break "interrupted".to_owned(),
            };
            match piece {
                Ok(Some(bytes)) => story.watch().output(node, Output::More(&bytes)),
                Ok(None) => return story.watch().output(node, Output::End),
                Err(error) => break error.to_string(),
            }
        };
        story.watch().output(node, Output::Lost(&why));
    }

    /// The farm has lost the build: the same again, under the same id.
    async fn again(
        &self,
        submission: &Submission,
        story: &mut Story<'_>,
        cancel: &CancellationToken,
    ) -> anyhow::Result<()> {
        let mut bringing = self.bringing(submission);
        if !bringing.all(story.watch(), cancel).await? {
            return Ok(());
        }
        story.watch().stage("building");
        let submitted = self.submit(submission, cancel).await;
        if submission.supply.is_none() {
            submitted.context("the farm has lost the build, and this command has not got what it is made of; submit it again")?;
        } else {
            submitted?;
        }
        Ok(())
    }
}

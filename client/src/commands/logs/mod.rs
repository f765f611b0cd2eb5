//! `gofarm logs`: what the actions of a build have printed.

mod blocks;
mod json;
mod page;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use gofarm_proto::v1;
use gofarm_timing::Backoff;
use tokio_util::sync::CancellationToken;

use super::asking::{Asking, Known};
use crate::cli::{ExitCode, UsageError};
use crate::ending::exit_code;
use crate::farm::{OnCancel, PATIENCE, Remote, Stopped, Story, Submission};
use crate::outline::Outline;
use crate::report::OpenBlock;
use blocks::{Blocks, Unwatched};
use page::Page;

impl Asking {
    pub(super) fn logs(
        &self,
        id: &str,
        action: Option<&str>,
        follow: bool,
    ) -> anyhow::Result<ExitCode> {
        let known = self.known(id)?;
        let outline = known.outline_or_labels();
        match action {
            None => self.all(&known, &outline, follow),
            Some(action) => {
                // What is over is not followed: all of it is there.
                let follow = follow && known.build.finished_ms == 0;
                for node in nodes(&outline, action)? {
                    self.one(&known.build.build, &outline, node, follow)?;
                }
                Ok(ExitCode::Success)
            }
        }
    }

    /// The output of all actions as they end, or have ended.
    fn all(&self, known: &Known, outline: &Outline, follow: bool) -> anyhow::Result<ExitCode> {
        let enough = CancellationToken::new();
        let counts = known.build.counts.unwrap_or_default();
        let is_over = known.build.finished_ms > 0;
        let ended = counts.executed + counts.cached + counts.joined + counts.failed;
        let mut blocks = Blocks {
            outline,
            json: self.json,
            stop_after: (!follow && !is_over).then_some(ended),
            ended: 0,
            heard: Instant::now(),
            enough: enough.clone(),
            failures: Vec::new(),
            open: OpenBlock::default(),
            broken: None,
        };
        blocks.check();
        let remote = {
            let _entered = self.runtime.enter();
            Remote::new(&self.settings)?
        };
        let submission = Submission::of_known(&known.build);
        let mut story = Story::new(&known.graph, &mut blocks, Arc::new(Unwatched), None);
        let watched = self.runtime.block_on(remote.watch(
            &submission,
            &mut story,
            false,
            &enough,
            OnCancel::Leave,
        ));
        if let Some(error) = blocks.broken {
            return Err(error);
        }
        match watched {
            Ok(summary) if follow => Ok(exit_code(&summary, &blocks.failures)),
            Ok(_) => Ok(ExitCode::Success),
            Err(error) if error.is::<Stopped>() => Ok(ExitCode::Success),
            Err(error) => Err(error),
        }
    }

    /// The output of one action.
    fn one(&self, build: &str, outline: &Outline, node: usize, follow: bool) -> anyhow::Result<()> {
        let mut page = Page {
            outline,
            node,
            json: self.json,
            follow,
            attempt: 0,
            position: 0,
            pending: Vec::new(),
            headed: false,
            open: OpenBlock::default(),
        };
        let read = self.runtime.block_on(self.read(build, &mut page));
        // What has come, the user sees, whatever became of the rest.
        page.end(read.is_ok())?;
        read
    }

    async fn read(&self, build: &str, page: &mut Page<'_>) -> anyhow::Result<()> {
        const WHAT: &str = "read the log of an action";
        let mut backoff = Backoff::default();
        let mut heard = tokio::time::Instant::now();
        loop {
            let request = v1::ActionLogRequest {
                build: build.to_owned(),
                node: page.node as u32,
                offset: page.position,
                follow: page.follow,
            };
            let mut client = self.connection.builds();
            let status = match client.action_log(request).await {
                Err(status) => status,
                Ok(stream) => {
                    let mut stream = stream.into_inner();
                    loop {
                        match stream.message().await {
                            Ok(Some(piece)) => {
                                heard = tokio::time::Instant::now();
                                backoff.reset();
                                page.take(&piece)?;
                            }
                            Ok(None) => return Ok(()),
                            Err(status) => break status,
                        }
                    }
                }
            };
            let error = self.connection.error(WHAT, status);
            if !error.is_transient() || !backoff.wait_before(heard + PATIENCE).await {
                return Err(error.into());
            }
        }
    }
}

/// The nodes that a word means: by number, by label, or by import path.
fn nodes(outline: &Outline, action: &str) -> Result<Vec<usize>, UsageError> {
    if let Some(node) = action
        .parse()
        .ok()
        .filter(|node| *node < outline.nodes.len())
    {
        return Ok(vec![node]);
    }
    let all = || outline.nodes.iter().enumerate();
    let by_label = all().find(|(_, node)| node.label == action);
    if let Some((node, _)) = by_label {
        return Ok(vec![node]);
    }
    let named = all().filter(|(_, node)| node.package == action || node.import_path == action);
    let found: Vec<usize> = named.map(|(node, _)| node).collect();
    if found.is_empty() {
        return Err(UsageError::new(format!(
            "gofarm logs: no action {action:?} in this build; name one by its label (such as \"compile net/http\"), its \
             number, or an import path"
        )));
    }
    Ok(found)
}

//! `gofarm logs`: what the actions of a build have printed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gofarm_printable::printable_json;
use gofarm_proto::{ActionKey, Digest, v1};
use gofarm_rpc::Backoff;
use gofarm_scheduler::core::{BuildEvent, Failure, Log, NodeEvent, NodeId};
use gofarm_worker::TracedCommand;
use tokio_util::sync::CancellationToken;

use super::asking::{Asking, Known};
use crate::cli::{ExitCode, UsageError};
use crate::ending::exit_code;
use crate::farm::{
    BuildWatch, OnCancel, Output, PATIENCE, Remote, Stopped, Story, Submission, WorkerWatch,
    long_log,
};
use crate::outline::Outline;
use crate::report::OpenBlock;
use crate::say;

/// A line that is followed and longer than this is printed in parts, bytes.
const LONGEST_LINE: usize = 256 << 10;
/// A build that goes on and says nothing for so long has said all that there was when it was asked.
const QUIET: Duration = Duration::from_secs(2);

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
        let mut backoff = Backoff::new();
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
            if !error.is_transient() || !backoff.wait(heard + PATIENCE).await {
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

/// A piece of output, for programs.
fn json_line(outline: &Outline, node: usize, text: &[u8]) -> anyhow::Result<Vec<u8>> {
    let line = serde_json::to_string(&serde_json::json!({
        "node": node,
        "label": outline.nodes[node].label,
        "text": String::from_utf8_lossy(text),
    }))?;
    Ok(format!("{}\n", printable_json(&line)).into_bytes())
}

fn block(outline: &Outline, node: usize, log: &[u8]) -> Vec<u8> {
    outline.diagnostics(node, |diagnostics, subject, cgo| {
        diagnostics.block(subject, log, cgo)
    })
}

/// Takes out whole lines, or all of a line that is very long.
fn lines(pending: &mut Vec<u8>) -> Option<Vec<u8>> {
    let end = match memchr::memrchr(b'\n', pending) {
        Some(end) => end + 1,
        None if pending.len() > LONGEST_LINE => pending.len(),
        None => return None,
    };
    let rest = pending.split_off(end);
    Some(std::mem::replace(pending, rest))
}

/// Prints what actions have printed when they have ended.
struct Blocks<'a> {
    outline: &'a Outline,
    json: bool,
    /// So many actions had ended when the build was asked for.
    stop_after: Option<u32>,
    ended: u32,
    /// When something was heard last.
    heard: Instant,
    enough: CancellationToken,
    failures: Vec<Arc<Failure>>,
    /// The block that comes piece by piece.
    open: OpenBlock,
    /// What kept the text from being written.
    broken: Option<anyhow::Error>,
}

impl Blocks<'_> {
    fn print(&mut self, node: usize, log: &Log, otherwise: Option<String>) {
        let mut text = match log {
            Log::Inline(log) => block(self.outline, node, log),
            // It comes by `output`.
            Log::Blob(_) => return,
        };
        if let (true, Some(otherwise)) = (text.is_empty(), otherwise) {
            text = format!("# {}\n{otherwise}\n", self.outline.nodes[node].package).into_bytes();
        }
        self.write(node, text);
    }

    fn write(&mut self, node: usize, text: Vec<u8>) {
        if text.is_empty() || self.broken.is_some() {
            return;
        }
        let text = match self.json {
            true => json_line(self.outline, node, &text),
            false => Ok(text),
        };
        if let Err(error) = text.and_then(|text| say::out(&text)) {
            self.broken = Some(error);
            self.enough.cancel();
        }
    }

    fn check(&mut self) {
        let all = self.stop_after.is_some_and(|count| self.ended >= count);
        let quiet = self.stop_after.is_some() && self.heard.elapsed() > QUIET;
        if all || quiet {
            self.enough.cancel();
        }
    }
}

impl BuildWatch for Blocks<'_> {
    fn task(&mut self, _key: &ActionKey, _definition: &Digest) {}

    fn event(&mut self, event: &BuildEvent) {
        self.heard = Instant::now();
        let BuildEvent::Node { node, event: ended } = event else {
            return;
        };
        let node = node.0 as usize;
        match ended {
            NodeEvent::Finished { result, .. } => {
                self.ended += 1;
                self.print(node, &result.log, None);
            }
            NodeEvent::Failed { failure } => {
                self.ended += 1;
                let nothing = Log::default();
                let log = match &**failure {
                    Failure::Action { result } => &result.log,
                    _ => &nothing,
                };
                self.print(node, log, Some(failure.to_string()));
                self.failures.push(failure.clone());
            }
            _ => {}
        }
        // It is not enough before a long log was printed.
        if long_log(event).is_none() {
            self.check();
        }
    }

    fn output(&mut self, node: NodeId, piece: Output<'_>) {
        self.heard = Instant::now();
        let index = node.0 as usize;
        let text = self.outline.show(index, &mut self.open, piece);
        self.write(index, text);
        if !matches!(piece, Output::More(_)) {
            self.check();
        }
    }

    fn tick(&mut self) {
        self.check();
    }

    fn stage(&mut self, _text: &str) {}

    fn warn(&mut self, text: &str) {
        say::err(&format!("gofarm: {text}\n"));
    }
}

/// Nobody looks at what actions print while they run.
struct Unwatched;

impl WorkerWatch for Unwatched {
    fn log(&self, _key: &ActionKey, _chunk: &[u8]) {}
    fn command(&self, _command: &TracedCommand) {}
}

/// The output of one action, as it comes: as a block when it is asked for as it is, line by line when it is followed.
struct Page<'a> {
    outline: &'a Outline,
    node: usize,
    json: bool,
    follow: bool,
    attempt: u32,
    /// How far the output of this attempt has come.
    position: u64,
    /// What is followed: the begun line.
    pending: Vec<u8>,
    /// What is followed: the header of this attempt is printed.
    headed: bool,
    /// Else: the block that has begun.
    open: OpenBlock,
}

impl Page<'_> {
    /// What is new in a piece, to be printed.
    fn new_in<'p>(&mut self, piece: &'p v1::ActionLogResponse) -> anyhow::Result<&'p [u8]> {
        if piece.attempt < self.attempt {
            return Ok(&[]);
        }
        let label = &self.outline.nodes[self.node].label;
        if piece.attempt > self.attempt {
            if self.attempt > 0 && self.position > 0 {
                say::err(&format!(
                    "gofarm: {label} is run again: attempt {}\n",
                    piece.attempt
                ));
                self.close()?;
                self.position = 0;
                self.headed = false;
            }
            self.attempt = piece.attempt;
        }
        // Of one that is over all comes in order; one that runs may have said more than the farm keeps meanwhile.
        let left_out = piece.offset.saturating_sub(self.position);
        if left_out > 0 && !self.follow {
            say::err(&format!(
                "gofarm: {left_out} bytes of the output of {label} are left out here; once it is over, all of it is there\n"
            ));
        }
        let known = self.position.saturating_sub(piece.offset);
        let new = usize::try_from(known)
            .ok()
            .and_then(|known| piece.data.get(known..))
            .unwrap_or_default();
        if !new.is_empty() {
            self.position = piece.offset + piece.data.len() as u64;
        }
        Ok(new)
    }

    fn take(&mut self, piece: &v1::ActionLogResponse) -> anyhow::Result<()> {
        let new = self.new_in(piece)?;
        if !self.follow {
            let text = self
                .outline
                .show(self.node, &mut self.open, Output::More(new));
            return self.write(text);
        }
        self.pending.extend_from_slice(new);
        match lines(&mut self.pending) {
            Some(lines) => self.print_lines(&lines),
            None => Ok(()),
        }
    }

    fn print_lines(&mut self, lines: &[u8]) -> anyhow::Result<()> {
        let text = self.followed(lines);
        self.write(text)
    }

    /// What is followed begins with the header of its block. The virtual paths are made real; a block's other refinements need whole
    /// lines and what stands before them.
    fn followed(&mut self, lines: &[u8]) -> Vec<u8> {
        if lines.is_empty() {
            return Vec::new();
        }
        let is_first = !std::mem::replace(&mut self.headed, true);
        self.outline
            .diagnostics(self.node, |diagnostics, subject, _| {
                let header = is_first.then(|| diagnostics.header(subject));
                let mut text = header.unwrap_or_default().into_bytes();
                text.extend(diagnostics.real_paths(lines));
                text
            })
    }

    fn write(&self, text: Vec<u8>) -> anyhow::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        say::out(&match self.json {
            true => json_line(self.outline, self.node, &text)?,
            false => text,
        })
    }

    /// Prints what is left of this attempt.
    fn close(&mut self) -> anyhow::Result<()> {
        if !self.follow {
            let text = self.outline.show(self.node, &mut self.open, Output::End);
            return self.write(text);
        }
        let pending = std::mem::take(&mut self.pending);
        self.print_lines(&pending)
    }

    /// `read`: all of it has come.
    fn end(mut self, read: bool) -> anyhow::Result<()> {
        if self.position == 0 && read {
            let label = &self.outline.nodes[self.node].label;
            say::err(&format!("gofarm: {label} has printed nothing\n"));
        }
        self.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outline::OutlineNode;

    fn outline() -> Outline {
        let node = |label: &str, package: &str| OutlineNode {
            label: label.to_owned(),
            package: package.to_owned(),
            import_path: package.to_owned(),
            ..OutlineNode::default()
        };
        Outline {
            nodes: vec![
                node("compile m/a", "m/a"),
                node("compile m/cmd", "m/cmd"),
                node("link m/cmd", "m/cmd"),
            ],
            ..Outline::default()
        }
    }

    #[test]
    fn actions_are_named_by_label_number_or_import_path() {
        let outline = outline();
        assert_eq!(nodes(&outline, "compile m/cmd"), Ok(vec![1]));
        assert_eq!(nodes(&outline, "0"), Ok(vec![0]));
        assert_eq!(nodes(&outline, "m/cmd"), Ok(vec![1, 2]));
        let refused = nodes(&outline, "3").unwrap_err().to_string();
        assert!(
            refused.starts_with("gofarm logs: no action \"3\" in this build; "),
            "{refused}"
        );
    }

    /// An action that is followed, of which nothing has come yet.
    fn followed(outline: &Outline, attempt: u32) -> Page<'_> {
        Page {
            outline,
            node: 0,
            json: false,
            follow: true,
            attempt,
            position: 0,
            pending: Vec::new(),
            headed: false,
            open: OpenBlock::default(),
        }
    }

    #[test]
    fn every_byte_is_printed_once_whatever_comes_twice() {
        let outline = outline();
        let mut page = followed(&outline, 0);
        let piece = |attempt, offset, data: &'static [u8]| v1::ActionLogResponse {
            attempt,
            offset,
            data: data.into(),
        };
        page.take(&piece(1, 0, b"one")).unwrap();
        page.take(&piece(1, 0, b"one two")).unwrap();
        assert_eq!(page.pending, b"one two");
        page.take(&piece(2, 0, b"1")).unwrap();
        page.take(&piece(1, 0, b"late")).unwrap();
        assert_eq!((&page.pending[..], page.position), (&b"1"[..], 1));
    }

    #[test]
    fn what_is_followed_has_one_header_an_attempt() {
        let outline = outline();
        let mut page = followed(&outline, 1);
        assert_eq!(page.followed(b""), b"");
        assert_eq!(
            page.followed(b"./a.go:1:1: bad\n"),
            b"# m/a\n./a.go:1:1: bad\n"
        );
        assert_eq!(page.followed(b"more\n"), b"more\n");
        page.position = 5;
        page.new_in(&v1::ActionLogResponse {
            attempt: 2,
            offset: 0,
            data: b"again\n".as_slice().into(),
        })
        .unwrap();
        assert_eq!(page.followed(b"again\n"), b"# m/a\nagain\n");
    }

    #[test]
    fn a_line_without_an_end_is_not_held() {
        let mut pending = b"one\ntwo".to_vec();
        assert_eq!(lines(&mut pending).as_deref(), Some(&b"one\n"[..]));
        assert_eq!(lines(&mut pending), None);
        pending.extend(vec![b'x'; LONGEST_LINE]);
        assert_eq!(
            lines(&mut pending).map(|line| line.len()),
            Some(3 + LONGEST_LINE)
        );
        assert_eq!(pending, b"");
    }
}

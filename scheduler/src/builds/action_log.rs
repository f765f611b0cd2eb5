//! The log of one action as a stream: that of its result, or what was seen of it live and then what its result has beyond.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use futures::stream::unfold;
use gofarm_proto::v1::node_event::Event as NodeMessage;
use gofarm_proto::{Digest, v1};
use gofarm_store::{BlobReader, StoreError};
use tonic::Status;

use super::super::blobs::refusal;
use super::super::metrics::MeteredStore;
use super::reader::{Read, Reader};

/// One wait for events.
const WAIT: Duration = Duration::from_secs(10);
/// The largest piece.
const PIECE: usize = 1 << 20;
/// What is read of a blob at once: so much is held for each caller.
const READ: usize = 256 << 10;

/// Ends with the action when following it, else with what there is. Both readers begin with the first event.
///
/// # Errors
///
/// The events cannot be read.
pub(super) async fn stream(
    skimmed: Reader,
    again: Reader,
    store: MeteredStore,
    request: &v1::ActionLogRequest,
) -> Result<impl Stream<Item = Result<v1::ActionLogResponse, Status>> + use<>, Status> {
    let mut follower = Follower {
        output: Output::new(request.node, request.offset),
        reader: skimmed,
        follow: false,
        store,
        build: request.build.clone(),
        blob: None,
        done: false,
    };
    // An action that is over has all in its result. What was seen of it live need not be sent, nor put together again.
    follower.output.skims = true;
    while !follower.done {
        follower.read_events().await?;
    }
    if !follower.output.has_result {
        follower.output = Output::new(request.node, request.offset);
        follower.reader = again;
        follower.follow = request.follow;
        follower.done = false;
    }
    Ok(unfold(follower, |mut follower| async move {
        let next = follower.next().await?;
        Some((next, follower))
    }))
}

struct Follower {
    reader: Reader,
    output: Output,
    follow: bool,
    store: MeteredStore,
    build: String,
    /// The blob that is being passed on, and how much of it is still to be left out.
    blob: Option<(BlobReader, u64)>,
    done: bool,
}

impl Follower {
    async fn next(&mut self) -> Option<Result<v1::ActionLogResponse, Status>> {
        loop {
            if let Some(response) = self.output.ready.pop_front() {
                return Some(Ok(response));
            }
            let step = match self.output.blob {
                Some(digest) => self.read_blob(digest).await,
                None if self.done => return None,
                None => self.read_events().await,
            };
            if let Err(status) = step {
                self.done = true;
                self.output.blob = None;
                return Some(Err(status));
            }
        }
    }

    async fn read_events(&mut self) -> Result<(), Status> {
        let wait = match self.follow {
            true => WAIT,
            false => Duration::ZERO,
        };
        match self.reader.read(wait).await? {
            Read::Events(events) => {
                for event in events {
                    self.output.take(event);
                }
                self.done = self.follow && self.output.ended;
            }
            Read::Nothing => self.done = !self.follow,
            Read::Over => self.done = true,
        }
        Ok(())
    }

    /// Passes on the next piece of a long log.
    async fn read_blob(&mut self, digest: Digest) -> Result<(), Status> {
        let (mut reader, mut left_out) = match self.blob.take() {
            Some(begun) => begun,
            // From its beginning, whatever is wanted of it: only then is it compared with its digest.
            None => {
                let reader = self.store.reader(digest, 0).await;
                let reader = reader.map_err(|error| self.lost(digest, error))?;
                (reader, self.output.whole)
            }
        };
        let read = tokio::task::spawn_blocking(move || {
            let piece = reader.piece(READ);
            (reader, piece)
        });
        let (reader, piece) = read
            .await
            .map_err(|_| Status::unavailable("the scheduler is shutting down"))?;
        let mut piece = Bytes::from(piece.map_err(|error| self.lost(digest, error))?);
        if piece.is_empty() {
            self.output.blob = None;
            return Ok(());
        }
        let known = piece
            .len()
            .min(usize::try_from(left_out).unwrap_or(usize::MAX));
        left_out -= known as u64;
        let new = piece.split_off(known);
        let start = self.output.whole;
        if !new.is_empty() {
            self.output.whole += new.len() as u64;
            self.output.end = self.output.whole;
            self.output.put(start, new);
        }
        self.blob = Some((reader, left_out));
        Ok(())
    }

    fn lost(&self, digest: Digest, error: StoreError) -> Status {
        let (node, build) = (self.output.node, &self.build);
        let status = refusal(error);
        let text = match status.code() {
            tonic::Code::NotFound => format!(
                "the log of action {node} of build {build} is no longer kept: its blob {digest} is not in the store; build again to see it"
            ),
            tonic::Code::DataLoss => format!(
                "the log of action {node} of build {build} is damaged: {}; build again to see it",
                status.message()
            ),
            _ => return status,
        };
        Status::new(status.code(), text)
    }
}

/// What of an action's output has been passed on.
struct Output {
    node: u32,
    /// Nothing before this is wanted.
    from: u64,
    attempt: u32,
    /// Everything of this attempt up to here has been passed on, or was not wanted.
    whole: u64,
    /// Something of it has been passed on up to here.
    end: u64,
    ended: bool,
    /// The latest attempt has come to a result.
    has_result: bool,
    /// What was seen live is passed over.
    skims: bool,
    ready: VecDeque<v1::ActionLogResponse>,
    /// A long log of which everything from `whole` on is to be passed on.
    blob: Option<Digest>,
}

impl Output {
    fn new(node: u32, from: u64) -> Output {
        Output {
            node,
            from,
            attempt: 1,
            whole: from,
            end: from,
            ended: false,
            has_result: false,
            skims: false,
            ready: VecDeque::new(),
            blob: None,
        }
    }

    fn take(&mut self, event: v1::BuildEvent) {
        match event.event {
            Some(v1::build_event::Event::Log(chunk)) if chunk.node == self.node => {
                self.chunk(chunk);
            }
            Some(v1::build_event::Event::Node(node)) if node.node == self.node => {
                if let Some(event) = node.event {
                    self.came_to(event);
                }
            }
            Some(v1::build_event::Event::Finished(_)) => self.ended = true,
            _ => {}
        }
    }

    fn chunk(&mut self, chunk: v1::LogChunk) {
        if chunk.attempt < self.attempt {
            return;
        }
        if chunk.attempt > self.attempt {
            self.start_over(chunk.attempt);
        }
        let end = chunk.offset.saturating_add(chunk.data.len() as u64);
        let start = chunk.offset.max(self.end);
        if start >= end || self.skims {
            return;
        }
        let data = chunk.data.slice((start - chunk.offset) as usize..);
        if start <= self.whole {
            self.whole = end;
        }
        self.end = end;
        self.put(start, data);
    }

    fn came_to(&mut self, event: NodeMessage) {
        self.ended = true;
        match event {
            NodeMessage::Finished(finished) => self.result(finished.result),
            NodeMessage::Failed(v1::Failure {
                reason: Some(v1::failure::Reason::Action(result)),
            }) => self.result(Some(result)),
            NodeMessage::Failed(_) | NodeMessage::Skipped(_) | NodeMessage::Cancelled(_) => {}
            NodeMessage::Reopened(_) => {
                self.ended = false;
                self.start_over(self.attempt + 1);
            }
            NodeMessage::Queued(_) | NodeMessage::Started(_) => self.ended = false,
            NodeMessage::Nondeterministic(_) => {}
        }
    }

    /// What was not seen live.
    fn result(&mut self, result: Option<v1::ActionResult>) {
        self.has_result = true;
        let result = result.unwrap_or_default();
        if let Some(Ok(digest)) = result.log_blob.as_ref().map(Digest::try_from) {
            self.blob = (self.whole < digest.size).then_some(digest);
            return;
        }
        let log = Bytes::from(result.log);
        let start = usize::try_from(self.whole).unwrap_or(usize::MAX);
        if start >= log.len() {
            return;
        }
        let rest = log.slice(start..);
        self.put(self.whole, rest);
        self.whole = log.len() as u64;
        self.end = self.whole;
    }

    fn start_over(&mut self, attempt: u32) {
        self.attempt = attempt;
        (self.whole, self.end) = (self.from, self.from);
        (self.has_result, self.blob) = (false, None);
        if self.skims {
            self.ready.clear();
        }
    }

    fn put(&mut self, mut offset: u64, mut data: Bytes) {
        while !data.is_empty() {
            let piece = data.split_to(data.len().min(PIECE));
            let size = piece.len() as u64;
            self.ready.push_back(v1::ActionLogResponse {
                attempt: self.attempt,
                offset,
                data: piece,
            });
            offset += size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(attempt: u32, offset: u64, data: &'static [u8]) -> v1::BuildEvent {
        v1::BuildEvent {
            event: Some(v1::build_event::Event::Log(v1::LogChunk {
                node: 7,
                attempt,
                offset,
                data: Bytes::from_static(data),
            })),
            ..v1::BuildEvent::default()
        }
    }

    fn finished(log: &[u8]) -> v1::BuildEvent {
        let result = v1::ActionResult {
            log: log.to_vec(),
            ..v1::ActionResult::default()
        };
        let finished = NodeMessage::Finished(v1::NodeFinished {
            result: Some(result),
            ..v1::NodeFinished::default()
        });
        v1::BuildEvent {
            event: Some(v1::build_event::Event::Node(v1::NodeEvent {
                node: 7,
                event: Some(finished),
            })),
            ..v1::BuildEvent::default()
        }
    }

    fn told(from: u64, events: Vec<v1::BuildEvent>) -> Vec<(u32, u64, Vec<u8>)> {
        let mut output = Output::new(7, from);
        for event in events {
            output.take(event);
        }
        let told = output.ready.into_iter();
        told.map(|piece| (piece.attempt, piece.offset, piece.data.to_vec()))
            .collect()
    }

    #[test]
    fn the_result_tells_what_was_not_seen_live() {
        let events = vec![
            chunk(1, 0, b"one "),
            chunk(1, 4, b"two "),
            finished(b"one two three"),
        ];
        assert_eq!(
            told(0, events.clone()),
            [
                (1, 0, b"one ".to_vec()),
                (1, 4, b"two ".to_vec()),
                (1, 8, b"three".to_vec())
            ]
        );
        assert_eq!(
            told(6, events),
            [(1, 6, b"o ".to_vec()), (1, 8, b"three".to_vec())]
        );
    }

    #[test]
    fn of_an_action_that_is_over_only_the_result_counts() {
        let mut output = Output::new(7, 2);
        output.skims = true;
        for event in [
            chunk(1, 0, b"one "),
            chunk(2, 0, b"two "),
            chunk(2, 9, b"late"),
            finished(b"two three"),
        ] {
            output.take(event);
        }
        assert!(output.has_result);
        let told: Vec<_> = output.ready.iter().collect();
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].attempt, told[0].offset), (2, 2));
        assert_eq!(told[0].data, &b"o three"[..]);
    }

    #[test]
    fn of_a_long_log_what_was_not_seen_live_is_read() {
        let digest = Digest::of(b"one two three");
        let mut event = finished(b"");
        let Some(v1::build_event::Event::Node(node)) = &mut event.event else {
            panic!("no node");
        };
        let Some(NodeMessage::Finished(finished)) = &mut node.event else {
            panic!("not finished");
        };
        finished.result.as_mut().unwrap().log_blob = Some(digest.into());
        let mut output = Output::new(7, 0);
        output.take(chunk(1, 0, b"one "));
        output.take(event.clone());
        assert_eq!((output.blob, output.whole), (Some(digest), 4));
        // All of it was seen, or is not wanted.
        for from in [digest.size, digest.size + 1] {
            let mut output = Output::new(7, from);
            output.take(event.clone());
            assert_eq!(output.blob, None);
        }
    }

    #[test]
    fn pieces_that_were_lost_come_with_the_result() {
        let events = vec![chunk(1, 4, b"two"), finished(b"one two")];
        assert_eq!(
            told(0, events),
            [(1, 4, b"two".to_vec()), (1, 0, b"one two".to_vec())]
        );
    }

    #[test]
    fn an_attempt_starts_over_and_what_is_told_twice_is_dropped() {
        let events = vec![
            chunk(1, 0, b"one"),
            chunk(1, 0, b"one"),
            chunk(2, 0, b"on"),
            finished(b"one"),
        ];
        assert_eq!(
            told(0, events),
            [
                (1, 0, b"one".to_vec()),
                (2, 0, b"on".to_vec()),
                (2, 2, b"e".to_vec())
            ]
        );
    }
}

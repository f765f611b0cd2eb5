//! The output of one action as a stream: what was seen of it live, then what its result has beyond that.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use futures::stream::unfold;
use gofarm_proto::v1;
use gofarm_proto::v1::node_event::Event as NodeMessage;
use tonic::Status;

use super::reader::{Read, Reader};

/// One wait for events.
const WAIT: Duration = Duration::from_secs(10);
/// The largest piece.
const PIECE: usize = 1 << 20;

/// Ends with the action when following it, else with what there is.
pub(super) fn stream(
    reader: Reader,
    node: u32,
    offset: u64,
    follow: bool,
) -> impl Stream<Item = Result<v1::ActionLogResponse, Status>> {
    let follower = Follower {
        reader,
        output: Output::new(node, offset),
        follow,
        done: false,
    };
    unfold(follower, |mut follower| async move {
        let next = follower.next().await?;
        Some((next, follower))
    })
}

struct Follower {
    reader: Reader,
    output: Output,
    follow: bool,
    done: bool,
}

impl Follower {
    async fn next(&mut self) -> Option<Result<v1::ActionLogResponse, Status>> {
        loop {
            if let Some(response) = self.output.ready.pop_front() {
                return Some(Ok(response));
            }
            if self.done {
                return None;
            }
            let wait = match self.follow {
                true => WAIT,
                false => Duration::ZERO,
            };
            match self.reader.read(wait).await {
                Ok(Read::Events(events)) => {
                    for event in events {
                        self.output.take(event);
                    }
                    self.done = self.follow && self.output.ended;
                }
                Ok(Read::Nothing) => self.done = !self.follow,
                Ok(Read::Over) => self.done = true,
                Err(status) => {
                    self.done = true;
                    return Some(Err(status));
                }
            }
        }
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
    ready: VecDeque<v1::ActionLogResponse>,
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
            ready: VecDeque::new(),
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
        let end = chunk.offset + chunk.data.len() as u64;
        let start = chunk.offset.max(self.end);
        if start >= end {
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
            NodeMessage::Finished(finished) => {
                self.result(finished.result);
            }
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
        let log = Bytes::from(result.unwrap_or_default().log);
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

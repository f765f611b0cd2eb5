//! The events of an open build, in the memory of its owner.
//!
//! All of them stay here until the build is over, so that a registry that lost them is given them again under the same
//! numbers. Only live output is bounded: beyond the bound the oldest pieces go, here and in the registry.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use gofarm_proto::{Digest, Message, v1};

use crate::core::RunId;
use crate::registry::LoggedEvent;

/// How much is written to the registry in one step.
const BATCH_EVENTS: usize = 512;
const BATCH_BYTES: usize = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct EventLog {
    events: BTreeMap<u64, Bytes>,
    /// The last number given.
    last: u64,
    /// The registry has everything up to here.
    confirmed: u64,
    /// The registry has lost some of it.
    lost: bool,
    /// Pieces of live output, oldest first.
    live: VecDeque<(u64, usize)>,
    live_bytes: usize,
    /// Taken out here and not yet in the registry.
    dropped: Vec<u64>,
    /// What each node has printed so far.
    outputs: HashMap<u32, Output>,
    /// The logs of actions that are blobs. Whoever reads the events will want them.
    logs: BTreeSet<Digest>,
}

/// How far the output of a node has come.
#[derive(Debug, Clone, Copy)]
struct Output {
    attempt: u32,
    /// None: told by an earlier owner.
    run: Option<RunId>,
    end: u64,
}

impl EventLog {
    /// The log as the registry has it, from an earlier owner. Watchers may have seen events that the registry has lost since, and go
    /// on behind these. So the numbers of the new owner begin at the time, in microseconds since the epoch: more than one event
    /// in each is not given.
    pub fn inherited(events: Vec<(v1::BuildEvent, Bytes)>, now_ms: u64) -> EventLog {
        let mut log = EventLog::default();
        for (event, bytes) in events {
            log.last = event.cursor;
            log.logs.extend(named_log(&event.event));
            if let Some(v1::build_event::Event::Log(chunk)) = &event.event {
                log.live.push_back((event.cursor, bytes.len()));
                log.live_bytes += bytes.len();
                let output = Output {
                    attempt: chunk.attempt,
                    run: None,
                    end: chunk.offset + chunk.data.len() as u64,
                };
                log.outputs.insert(chunk.node, output);
            }
            log.events.insert(event.cursor, bytes);
        }
        log.confirmed = log.last;
        log.last = log.last.max(now_ms.saturating_mul(1000));
        log
    }

    /// Adds an event.
    pub fn push(&mut self, time_ms: u64, event: v1::build_event::Event) {
        self.last += 1;
        let event = v1::BuildEvent {
            cursor: self.last,
            time_ms,
            event: Some(event),
        };
        self.logs.extend(named_log(&event.event));
        self.events.insert(self.last, event.encode_to_vec().into());
    }

    /// Adds what a node has printed, unless it is known. A run that begins anew, where another has printed before, is
    /// the next attempt; one that goes on where another left off is the same, seen by another owner.
    pub fn print(&mut self, time_ms: u64, node: u32, run: RunId, offset: u64, data: &Arc<[u8]>) {
        let output = self.outputs.entry(node).or_insert(Output {
            attempt: 1,
            run: Some(run),
            end: 0,
        });
        if offset < output.end {
            if output.run == Some(run) {
                return;
            }
            output.attempt += 1;
        }
        output.run = Some(run);
        output.end = offset + data.len() as u64;
        let chunk = v1::LogChunk {
            node,
            attempt: output.attempt,
            offset,
            data: Bytes::copy_from_slice(data),
        };
        self.push(time_ms, v1::build_event::Event::Log(chunk));
        let size = self.events.get(&self.last).map_or(0, Bytes::len);
        self.live.push_back((self.last, size));
        self.live_bytes += size;
    }

    /// Lets the oldest live output go until no more than so many bytes are left.
    pub fn bound(&mut self, bytes: usize) {
        while self.live_bytes > bytes
            && let Some((cursor, size)) = self.live.pop_front()
        {
            self.live_bytes -= size;
            self.events.remove(&cursor);
            if cursor <= self.confirmed {
                self.dropped.push(cursor);
            }
        }
    }

    /// Whether there is something to write.
    pub fn is_dirty(&self) -> bool {
        self.lost || !self.dropped.is_empty() || self.next_after(self.confirmed).is_some()
    }

    fn next_after(&self, cursor: u64) -> Option<u64> {
        let mut rest = self.events.range(cursor + 1..);
        rest.next().map(|(cursor, _)| *cursor)
    }

    /// What to write next: events, and numbers of those to be taken out.
    pub fn batch(&self) -> (Vec<LoggedEvent>, Vec<u64>) {
        let mut bytes = 0;
        let mut batch = Vec::new();
        for (cursor, event) in self.events.range(self.confirmed + 1..) {
            bytes += event.len();
            if batch.len() == BATCH_EVENTS || (bytes > BATCH_BYTES && !batch.is_empty()) {
                break;
            }
            batch.push(LoggedEvent {
                cursor: *cursor,
                bytes: event.clone(),
            });
        }
        let dropped = self.dropped.iter().take(BATCH_EVENTS).copied();
        (batch, dropped.collect())
    }

    /// Everything that is not written yet, for a last try.
    pub fn rest(&self) -> Vec<LoggedEvent> {
        let rest = self.events.range(self.confirmed + 1..);
        let event = |(cursor, bytes): (&u64, &Bytes)| LoggedEvent {
            cursor: *cursor,
            bytes: bytes.clone(),
        };
        rest.map(event).collect()
    }

    /// All, encoded.
    pub fn events(&self) -> Vec<Bytes> {
        self.events.values().cloned().collect()
    }

    /// The blobs that events name as logs.
    pub fn logs(&self) -> Vec<Digest> {
        self.logs.iter().copied().collect()
    }

    /// Whether nothing comes after this cursor.
    pub fn ends_with(&self, cursor: u64) -> bool {
        self.next_after(cursor).is_none()
    }

    pub fn confirmed(&self) -> u64 {
        self.confirmed
    }

    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// A batch is in the registry.
    pub fn confirm(&mut self, up_to: u64) {
        self.confirmed = self.confirmed.max(up_to);
    }

    /// So many, the first, are out of the registry.
    pub fn forget_dropped(&mut self, count: usize) {
        // New ones are added behind them.
        self.dropped.drain(..count.min(self.dropped.len()));
    }

    /// The registry has lost events.
    pub fn lose(&mut self) {
        self.lost = true;
    }

    /// The registry has the build again, without events.
    pub fn start_over(&mut self) {
        self.lost = false;
        self.confirmed = 0;
        self.dropped.clear();
    }
}

/// The blob that an event names as the log of an action.
fn named_log(event: &Option<v1::build_event::Event>) -> Option<Digest> {
    use v1::node_event::Event as Node;
    let Some(v1::build_event::Event::Node(node)) = event else {
        return None;
    };
    let result = match node.event.as_ref()? {
        Node::Finished(finished) => finished.result.as_ref()?,
        Node::Failed(failure) => match failure.reason.as_ref()? {
            v1::failure::Reason::Action(result) => result,
            _ => return None,
        },
        _ => return None,
    };
    Digest::try_from(result.log_blob.as_ref()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_that_events_name_are_known_also_to_the_next_owner() {
        use v1::node_event::Event as Node;
        let result = |name: &str| v1::ActionResult {
            log_blob: Some(Digest::of(name.as_bytes()).into()),
            ..v1::ActionResult::default()
        };
        let finished = Node::Finished(v1::NodeFinished {
            result: Some(result("finished")),
            ..v1::NodeFinished::default()
        });
        let failed = Node::Failed(v1::Failure {
            reason: Some(v1::failure::Reason::Action(result("failed"))),
        });
        let mut log = EventLog::default();
        for (node, event) in [finished, failed, Node::Queued(v1::Queued {})]
            .into_iter()
            .enumerate()
        {
            let event = v1::NodeEvent {
                node: node as u32,
                event: Some(event),
            };
            log.push(0, v1::build_event::Event::Node(event));
        }
        let events = log.events().into_iter();
        let events = events.map(|bytes| (v1::BuildEvent::decode(bytes.clone()).unwrap(), bytes));
        let expected: BTreeSet<Digest> = ["finished", "failed"]
            .map(|name| Digest::of(name.as_bytes()))
            .into();
        assert_eq!(EventLog::inherited(events.collect(), 0).logs, expected);
        assert_eq!(log.logs, expected);
    }

    fn chunks(log: &EventLog) -> Vec<(u64, u32, u64)> {
        let (events, _) = log.batch();
        let chunk = |event: LoggedEvent| {
            let message = v1::BuildEvent::decode(event.bytes).unwrap();
            let Some(v1::build_event::Event::Log(chunk)) = message.event else {
                return None;
            };
            Some((event.cursor, chunk.attempt, chunk.offset))
        };
        events.into_iter().filter_map(chunk).collect()
    }

    #[test]
    fn output_that_starts_over_is_another_attempt_and_output_that_goes_on_is_not() {
        let mut log = EventLog::default();
        let hello: Arc<[u8]> = b"hello".to_vec().into();
        log.print(0, 3, RunId(1), 0, &hello);
        log.print(0, 3, RunId(1), 5, &hello);
        // Told twice.
        log.print(0, 3, RunId(1), 5, &hello);
        // Seen on by another owner, under a run of its own.
        log.print(0, 3, RunId(9), 10, &hello);
        log.print(0, 3, RunId(10), 0, &hello);
        assert_eq!(chunks(&log), [(1, 1, 0), (2, 1, 5), (3, 1, 10), (4, 2, 0)]);
    }

    #[test]
    fn live_output_is_bounded_and_nothing_else_goes() {
        let mut log = EventLog::default();
        let accepted = v1::build_event::Event::Accepted(v1::Accepted { total: 1 });
        log.push(0, accepted);
        let data: Arc<[u8]> = vec![0; 1000].into();
        for i in 0..10 {
            log.print(0, 0, RunId(1), i * 1000, &data);
        }
        log.confirm(6);
        log.bound(3500);
        let cursors: Vec<u64> = log.events.keys().copied().collect();
        assert_eq!(cursors, [1, 9, 10, 11]);
        // 7 and 8 were never written.
        assert_eq!(log.batch().1, [2, 3, 4, 5, 6]);
        log.start_over();
        let (events, dropped) = log.batch();
        assert_eq!((events.len(), dropped.len()), (4, 0));
    }
}

//! The events of a build as a stream.

use std::collections::VecDeque;
use std::time::Duration;

use futures::Stream;
use futures::stream::unfold;
use gofarm_proto::{Message, v1};
use tonic::Status;

use super::reader::{Read, Reader};

/// How often something is said on a stream on which nothing happens.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// A response is not made larger than this by putting events together.
const RESPONSE_BYTES: usize = 1 << 20;

struct Watch {
    reader: Reader,
    without_logs: bool,
    ready: VecDeque<v1::WatchResponse>,
    failed: bool,
}

/// Ends after the last event, or with an error.
pub(super) fn stream(
    reader: Reader,
    without_logs: bool,
) -> impl Stream<Item = Result<v1::WatchResponse, Status>> {
    let watch = Watch {
        reader,
        without_logs,
        ready: VecDeque::new(),
        failed: false,
    };
    unfold(watch, |mut watch| async move {
        let next = watch.next().await?;
        watch.failed = next.is_err();
        Some((next, watch))
    })
}

impl Watch {
    async fn next(&mut self) -> Option<Result<v1::WatchResponse, Status>> {
        if self.failed {
            return None;
        }
        loop {
            if let Some(response) = self.ready.pop_front() {
                return Some(Ok(response));
            }
            match self.reader.read(KEEP_ALIVE).await {
                Ok(Read::Events(events)) => self.put(events),
                Ok(Read::Nothing) => return Some(Ok(v1::WatchResponse::default())),
                Ok(Read::Over) => return None,
                Err(status) => return Some(Err(status)),
            }
        }
    }

    fn put(&mut self, events: Vec<v1::BuildEvent>) {
        let mut bytes = RESPONSE_BYTES;
        for event in events {
            let log = matches!(event.event, Some(v1::build_event::Event::Log(_)));
            if log && self.without_logs {
                continue;
            }
            let size = event.encoded_len();
            match self.ready.back_mut() {
                Some(response) if bytes + size <= RESPONSE_BYTES => {
                    bytes += size;
                    response.events.push(event);
                }
                _ => {
                    bytes = size;
                    let events = vec![event];
                    self.ready.push_back(v1::WatchResponse { events });
                }
            }
        }
    }
}

//! Reads the events of a build, through losses and outages of the registry.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gofarm_proto::{Message, v1};
use tokio::time::{Instant, sleep};
use tonic::Status;

use super::super::registry::{Registry, RegistryError};
use super::{not_found, unavailable};
use crate::core::BuildId;

/// Events read at once.
const BATCH: usize = 256;
/// How long a build that was known may be unknown: after the registry has lost its data, the owner writes it again
/// within a second or two, another owner within ten.
const LOST: Duration = Duration::from_secs(15);
/// How long the registry may be away before the caller tries another replica.
const AWAY: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(250);

/// One reader of one build.
pub(super) struct Reader {
    registry: Arc<dyn Registry>,
    build: BuildId,
    after: u64,
    /// Since when there was no answer, or none that knew the build.
    trouble: Option<Instant>,
    over: bool,
}

/// What a read has come to.
pub(super) enum Read {
    /// In order; not empty.
    Events(Vec<v1::BuildEvent>),
    /// Nothing happened for the time.
    Nothing,
    /// There is and will be nothing more.
    Over,
}

impl Reader {
    /// A reader that begins after a cursor. One who has seen events of a build that is not known now waits for it.
    ///
    /// # Errors
    ///
    /// NOT_FOUND, UNAVAILABLE.
    pub async fn open(
        registry: Arc<dyn Registry>,
        build: BuildId,
        after: u64,
    ) -> Result<Reader, Status> {
        let known = registry.get(build).await.map_err(unavailable)?;
        if known.is_none() && after == 0 {
            return Err(not_found(build));
        }
        Ok(Reader {
            registry,
            build,
            after,
            trouble: None,
            over: false,
        })
    }

    /// The next events, waiting up to `wait` for them.
    pub async fn read(&mut self, wait: Duration) -> Result<Read, Status> {
        if self.over {
            return Ok(Read::Over);
        }
        let end = Instant::now() + wait;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let found = self
                .registry
                .events(self.build, self.after, BATCH, Duration::ZERO)
                .await;
            let status = match found {
                Ok(Some(events)) if events.is_empty() => {
                    self.trouble = None;
                    if self.is_over().await {
                        match self.after_the_end().await {
                            Ok(Some(events)) if !events.is_empty() => return self.decode(events),
                            Ok(_) => {
                                self.over = true;
                                return Ok(Read::Over);
                            }
                            // Seen again by the next look.
                            Err(_) => {}
                        }
                    }
                    if left.is_zero() {
                        return Ok(Read::Nothing);
                    }
                    let wait = self.registry.events(self.build, self.after, BATCH, left);
                    match wait.await {
                        Ok(Some(events)) if !events.is_empty() => return self.decode(events),
                        Ok(Some(_)) => {}
                        // Seen again by the next look.
                        Ok(None) | Err(_) => sleep(PAUSE).await,
                    }
                    continue;
                }
                Ok(Some(events)) => {
                    self.trouble = None;
                    return self.decode(events);
                }
                Ok(None) => (not_found(self.build), LOST),
                Err(error) => (unavailable(error), AWAY),
            };
            let (status, patience) = status;
            if self.trouble.get_or_insert_with(Instant::now).elapsed() > patience {
                return Err(status);
            }
            if left.is_zero() {
                return Ok(Read::Nothing);
            }
            sleep(PAUSE).await;
        }
    }

    /// The end may have come between a look that found nothing and the one that found the build over; what is found now
    /// is all that there is.
    async fn after_the_end(&self) -> Result<Option<Vec<Bytes>>, RegistryError> {
        self.registry
            .events(self.build, self.after, BATCH, Duration::ZERO)
            .await
    }

    async fn is_over(&self) -> bool {
        let record = self.registry.get(self.build).await;
        matches!(record, Ok(Some(record)) if record.finished_ms != 0)
    }

    fn decode(&mut self, events: Vec<bytes::Bytes>) -> Result<Read, Status> {
        let decoded: Result<Vec<v1::BuildEvent>, _> =
            events.into_iter().map(v1::BuildEvent::decode).collect();
        let decoded = decoded.map_err(|error| {
            Status::internal(format!(
                "an event of build {} cannot be read: {error}",
                self.build
            ))
        })?;
        if let Some(last) = decoded.last() {
            self.after = last.cursor;
            let finished = matches!(last.event, Some(v1::build_event::Event::Finished(_)));
            self.over = finished;
        }
        Ok(Read::Events(decoded))
    }
}

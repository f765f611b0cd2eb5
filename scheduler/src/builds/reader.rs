//! Reads the events of a build, through losses and outages of the registry.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use gofarm_proto::{Digest, Message, v1};
use tokio::time::{Instant, sleep};
use tonic::Status;

use super::super::archive;
use super::super::metrics::MeteredStore;
use super::super::registry::{Registry, RegistryError};
use super::{not_found, unavailable};
use gofarm_engine::core::BuildId;

/// Events read at once.
const BATCH: usize = 256;
/// More events than a build has.
const ALL: usize = 1 << 30;
/// How long the registry may be away before the caller tries another replica.
const AWAY: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(250);

/// One reader of one build.
pub(super) struct Reader {
    registry: Arc<dyn Registry>,
    store: MeteredStore,
    build: BuildId,
    after: u64,
    /// Since when there was no answer, or none that knew the build.
    trouble: Option<Instant>,
    /// Events that have moved to the store and are still to be passed on.
    archived: VecDeque<bytes::Bytes>,
    over: bool,
}

/// What there is when a look has found no events.
enum Rest {
    /// The build goes on.
    More,
    Events(VecDeque<bytes::Bytes>),
    /// The build is over and all of it was read.
    Nothing,
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
    /// A reader that begins after a cursor. One who has seen events of a build that is not known now waits for it, if it
    /// can be known again.
    ///
    /// # Errors
    ///
    /// NOT_FOUND, UNAVAILABLE.
    pub async fn open(
        registry: Arc<dyn Registry>,
        store: MeteredStore,
        build: BuildId,
        after: u64,
    ) -> Result<Reader, Status> {
        let known = registry.get(build).await.map_err(unavailable)?;
        if known.is_none() && (after == 0 || registry.known_again_within().is_zero()) {
            return Err(not_found(build));
        }
        Ok(Reader {
            registry,
            store,
            build,
            after,
            trouble: None,
            archived: VecDeque::new(),
            over: false,
        })
    }

    /// The next events, waiting up to `wait` for them.
    pub async fn read(&mut self, wait: Duration) -> Result<Read, Status> {
        if self.over {
            return Ok(Read::Over);
        }
        if !self.archived.is_empty() {
            return self.next_archived();
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
                    // What cannot be told now is seen by the next look.
                    match self.rest().await? {
                        Rest::More => {}
                        Rest::Events(events) => {
                            self.archived = events;
                            return self.next_archived();
                        }
                        Rest::Nothing => {
                            self.over = true;
                            return Ok(Read::Over);
                        }
                    }
                    if left.is_zero() {
                        return Ok(Read::Nothing);
                    }
                    let wait = self.registry.events(self.build, self.after, BATCH, left);
                    match wait.await {
                        Ok(Some(events)) if !events.is_empty() => {
                            let events = self.decode(events)?;
                            return Ok(self.pass_on(events));
                        }
                        Ok(Some(_)) => {}
                        // Seen again by the next look.
                        Ok(None) | Err(_) => sleep(PAUSE).await,
                    }
                    continue;
                }
                Ok(Some(events)) => {
                    self.trouble = None;
                    let events = self.decode(events)?;
                    return Ok(self.pass_on(events));
                }
                Ok(None) => {
                    let again = self.registry.known_again_within();
                    (not_found(self.build), again)
                }
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

    /// A look has found no events; whether there will be any.
    async fn rest(&self) -> Result<Rest, Status> {
        if !matches!(self.record().await, Ok(Some(record)) if record.finished_ms != 0) {
            return Ok(Rest::More);
        }
        // The end may have come between the look and this: what is found now is all that there is in the registry.
        let found = self
            .registry
            .events(self.build, self.after, BATCH, Duration::ZERO)
            .await;
        match found {
            Ok(Some(events)) if events.is_empty() => {}
            Ok(Some(events)) => return Ok(Rest::Events(events.into())),
            Ok(None) | Err(_) => return Ok(Rest::More),
        }
        // After the registry has lost it, a build may have come to its end in the hands of an owner that did not know of what
        // another has told since. Whoever has heard of that hears all of it again, or the end would never be told.
        let all = self.registry.events(self.build, 0, ALL, Duration::ZERO);
        match all.await {
            Ok(Some(events)) if self.is_beyond(&events)? => return Ok(Rest::Events(events.into())),
            Ok(_) => {}
            Err(_) => return Ok(Rest::More),
        }
        // And then they may have moved before that: then the record says so by now.
        let Ok(Some(record)) = self.record().await else {
            return Ok(Rest::More);
        };
        let Some(archive) = record.archive.as_ref().map(Digest::try_from) else {
            return Ok(Rest::Nothing);
        };
        let archive = archive.map_err(|error| self.unreadable(error))?;
        let events = archive::read(&self.store, archive, self.after).await;
        let events = events.map_err(|error| match error.is_final() {
            true => Status::data_loss(format!(
                "build {} is over and its events are gone: {error}",
                self.build
            )),
            false => Status::unavailable(format!(
                "the events of build {} cannot be read: {error}; try again",
                self.build
            )),
        })?;
        Ok(match events.is_empty() {
            true => Rest::Nothing,
            false => Rest::Events(events),
        })
    }

    /// Whether the reader has seen more than there is in these.
    fn is_beyond(&self, events: &[bytes::Bytes]) -> Result<bool, Status> {
        let last = events.last().map(|last| v1::BuildEvent::decode(&last[..]));
        let last = last.transpose().map_err(|error| self.unreadable(error))?;
        Ok(last.is_some_and(|last| last.cursor < self.after))
    }

    async fn record(&self) -> Result<Option<v1::Build>, RegistryError> {
        self.registry.get(self.build).await
    }

    fn unreadable(&self, error: impl std::fmt::Display) -> Status {
        Status::internal(format!(
            "an event of build {} cannot be read: {error}",
            self.build
        ))
    }

    fn decode(&self, events: Vec<bytes::Bytes>) -> Result<Vec<v1::BuildEvent>, Status> {
        let decoded: Result<_, _> = events.into_iter().map(v1::BuildEvent::decode).collect();
        decoded.map_err(|error| self.unreadable(error))
    }

    /// The next of those that are at hand already.
    fn next_archived(&mut self) -> Result<Read, Status> {
        let count = self.archived.len().min(BATCH);
        let events = self.archived.drain(..count).collect();
        let events = self.decode(events)?;
        Ok(self.pass_on(events))
    }

    /// Notes how far it has come.
    fn pass_on(&mut self, events: Vec<v1::BuildEvent>) -> Read {
        if let Some(last) = events.last() {
            self.after = last.cursor;
            self.over = matches!(last.event, Some(v1::build_event::Event::Finished(_)));
        }
        Read::Events(events)
    }
}

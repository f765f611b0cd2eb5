//! The events of a build, over connections that break and are made again.

use std::time::Duration;

use gofarm_proto::v1;
use gofarm_rpc::{Connection, RpcError};
use gofarm_timing::Backoff;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::{Code, Status};

use super::PATIENCE;

/// What comes of listening.
#[derive(Debug)]
pub(super) enum Heard {
    /// The next events, in order and without a gap.
    Events(Vec<v1::BuildEvent>),
    /// The connection broke, and is not back at once.
    Away {
        /// What went wrong last.
        error: RpcError,
        /// When the connection broke, or fell silent.
        since: Instant,
    },
    /// The farm that was away says something again.
    Back,
    /// The farm does not know the build. Nothing comes after this.
    Unknown,
    /// It is of no use to go on. Nothing comes after this.
    Failed(RpcError),
}

/// Events that may wait here. The farm holds back the others.
const AHEAD: usize = 64;
/// An open stream says something at least this often, if only that it is there.
const SILENCE: Duration = Duration::from_secs(60);
/// A farm that is back so soon needs no word.
const UNNOTICED: Duration = Duration::from_secs(3);

const WHAT: &str = "watch a build";

/// Listens until the build is over or nobody takes what is heard.
pub(super) fn listen(
    connection: Connection,
    build: String,
    with_logs: bool,
) -> mpsc::Receiver<Heard> {
    let (tell, heard) = mpsc::channel(AHEAD);
    let mut listener = Listener {
        connection,
        request: v1::WatchRequest {
            build,
            after: 0,
            without_logs: !with_logs,
        },
        tell,
        heard: Instant::now(),
        away: false,
    };
    tokio::spawn(async move { listener.run().await });
    heard
}

struct Listener {
    connection: Connection,
    /// Goes on after the last event that was heard.
    request: v1::WatchRequest,
    tell: mpsc::Sender<Heard>,
    /// When the farm last said something.
    heard: Instant,
    /// It was told that the farm is away.
    away: bool,
}

impl Listener {
    async fn run(&mut self) {
        let mut backoff = Backoff::default();
        let mut broken = None;
        loop {
            let before = self.heard;
            let Err(status) = self.stream().await else {
                return;
            };
            if status.code() == Code::NotFound {
                let _ = self.tell.send(Heard::Unknown).await;
                return;
            }
            let error = self.connection.error(WHAT, status);
            let deadline = self.heard + PATIENCE;
            if !error.is_transient() || Instant::now() >= deadline {
                let _ = self.tell.send(Heard::Failed(error)).await;
                return;
            }
            if self.heard > before {
                backoff.reset();
                broken = None;
            }
            // Mostly not when it was last heard: a farm that is there may have had nothing to say for a moment.
            let since = *broken.get_or_insert_with(|| match self.heard.elapsed() < SILENCE {
                true => Instant::now(),
                false => self.heard,
            });
            if !self.away && since.elapsed() > UNNOTICED {
                self.away = true;
                if self.tell.send(Heard::Away { error, since }).await.is_err() {
                    return;
                }
            }
            if self.tell.is_closed() {
                return;
            }
            backoff.wait_before(deadline + PATIENCE).await;
        }
    }

    /// Ok when there is nothing more to hear.
    async fn stream(&mut self) -> Result<(), Status> {
        let quiet = || Status::unavailable("the farm has fallen silent");
        let mut client = self.connection.builds();
        let opened = tokio::time::timeout(SILENCE, client.watch(self.request.clone())).await;
        let mut stream = opened.map_err(|_| quiet())??.into_inner();
        loop {
            let message = tokio::select! {
                message = tokio::time::timeout(SILENCE, stream.message()) => message,
                () = self.tell.closed() => return Ok(()),
            };
            let Some(mut message) = message.map_err(|_| quiet())?? else {
                return Err(Status::unavailable("the farm ended the stream of events"));
            };
            self.heard = Instant::now();
            if std::mem::take(&mut self.away) && self.tell.send(Heard::Back).await.is_err() {
                return Ok(());
            }
            message
                .events
                .retain(|event| event.cursor > self.request.after);
            let Some(last) = message.events.last() else {
                continue;
            };
            self.request.after = last.cursor;
            let over = matches!(last.event, Some(v1::build_event::Event::Finished(_)));
            let told = self.tell.send(Heard::Events(message.events)).await;
            if over || told.is_err() {
                return Ok(());
            }
        }
    }
}

//! What an engine is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gofarm_proto::{ActionKey, Digest, v1};

use crate::core::{ActionResult, BuildSpec, News};
use crate::core::{BuildId, Millis};
use crate::registry::{Appended, Ownership, Tenure};

/// When something is told, by the clocks of whoever carries out the commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Now {
    /// By a clock that never jumps: what lasts is measured with it.
    pub at: Millis,
    /// Milliseconds since the epoch, for people.
    pub wall_ms: u64,
}

/// Whoever was asked could not answer, or may have done what it was told without saying so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Away;

/// A build that is to be opened.
#[derive(Debug)]
pub struct Opening {
    /// The proof; none without a registry.
    pub ownership: Option<Ownership>,
    /// As it is in the registry.
    pub record: v1::Build,
    /// What the core takes.
    pub spec: BuildSpec,
    /// What the C toolchains of its graph are called, by identity.
    pub c_toolchains: BTreeMap<String, String>,
}

/// Something that happened, or the answer to a [`Command`](super::Command): each says which one it has. A command that waits for an
/// answer is answered in the end, whatever becomes of it, since the engine does not ask again before.
#[derive(Debug)]
pub enum Message {
    /// The first thing that is told.
    Start,
    /// About [`TICK`](super::TICK) has passed.
    Tick,
    /// A build was submitted here.
    Open(Box<Opening>),
    /// A client wants an open build to end. With a registry it is told there.
    Cancel(BuildId),
    /// What a client has provided of what was [wanted](super::Command::Want). With a registry it is told there.
    Provided(BuildId, v1::ProvideRequest),
    /// Results were taken back by an operator, with the blobs that they name.
    TakenBack(Vec<(ActionKey, Vec<Digest>)>),
    /// This process is going away. `late` are builds that it owns and that were not told with [`Message::Open`] any more.
    Stop {
        /// Owned all the same.
        late: Vec<Ownership>,
    },
    /// To [`ListenToQueue`](super::Command::ListenToQueue).
    News(Result<Vec<News>, Away>),
    /// To [`Explain`](super::Command::Explain): the end of the task, with the reason in words.
    Explained(News),
    /// To [`TellQueue`](super::Command::TellQueue): all has been told, at once or only after failures.
    QueueTold {
        /// No try failed.
        at_once: bool,
        /// The ends of tasks that the queue will never take, each with the reason.
        refused: Vec<News>,
    },
    /// To [`LookAtQueue`](super::Command::LookAtQueue).
    QueueSeen(Result<QueueSeen, Away>),
    /// To [`LookUp`](super::Command::LookUp).
    Answers(Vec<Answer>),
    /// To [`Record`](super::Command::Record): they are there, or will not be.
    Recorded(Vec<ActionKey>),
    /// To [`FindMissing`](super::Command::FindMissing).
    Missing {
        /// As asked.
        asked: Vec<Digest>,
        /// Those of them that are not there.
        missing: Result<Vec<Digest>, Away>,
    },
    /// To [`ListenToRegistry`](super::Command::ListenToRegistry).
    Control,
    /// To [`Renew`](super::Command::Renew): one for each, in order.
    Renewed(Result<Vec<Tenure>, Away>),
    /// To [`TakeOver`](super::Command::TakeOver).
    Taken(Result<Vec<Ownership>, Away>),
    /// To [`ReadBuild`](super::Command::ReadBuild); none when the registry has lost it.
    BuildRead(Ownership, Option<Box<Left>>),
    /// To [`ReadGraph`](super::Command::ReadGraph).
    GraphRead(BuildId, GraphRead),
    /// To [`Write`](super::Command::Write).
    Written(Vec<Written>),
    /// To [`Measure`](super::Command::Measure).
    Measured,
}

/// The queue, after a round of reaping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueSeen {
    /// Which life of its data it is in.
    pub incarnation: u64,
    /// When the next lease runs out, from now.
    pub next: Option<Duration>,
}

/// An answer of the action cache.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// As asked.
    pub key: ActionKey,
    /// As asked.
    pub verify: bool,
    /// See [`Event::CacheAnswer`](crate::core::Event::CacheAnswer).
    pub result: Option<Arc<ActionResult>>,
}

/// What an earlier owner left of a build.
#[derive(Debug)]
pub struct Left {
    /// As it was last written.
    pub record: v1::Build,
    /// All that were written, in order, each with its encoding.
    pub events: Vec<(v1::BuildEvent, Bytes)>,
}

/// What became of reading a graph.
#[derive(Debug)]
pub enum GraphRead {
    /// It is one, with what is recorded about its actions.
    Ready {
        /// For the core.
        spec: Box<BuildSpec>,
        /// As in [`Opening::c_toolchains`].
        c_toolchains: BTreeMap<String, String>,
    },
    /// The store has lost it.
    Lost(Digest),
    /// Nobody can read it.
    Unreadable,
    /// The store does not answer now.
    Away,
}

/// What became of writing one build.
#[derive(Debug)]
pub struct Written {
    /// As it was shown.
    pub ownership: Ownership,
    /// Of which part of the command.
    pub outcome: WriteOutcome,
}

/// See [`Written`].
#[derive(Debug)]
pub enum WriteOutcome {
    /// Of an append.
    Events {
        /// The last event of it, or the one before it.
        up_to: u64,
        /// How many were taken out.
        dropped: usize,
        /// The record said that the build is over.
        over: bool,
        /// What the registry says, if it does.
        appended: Result<Appended, Away>,
    },
    /// Of a restore: false if the build is another replica's.
    Restored(Result<bool, Away>),
}

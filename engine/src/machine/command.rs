//! What an engine wants done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gofarm_proto::{ActionKey, Digest, v1};

use crate::core::{ActionResult, BuildEvent, BuildId, RunId, Task};
use crate::registry::{Append, Measurement, Ownership, Restore};

/// Something to do. Commands may be carried out beside each other and in any order, but for what is inside of one; the engine
/// gives no two at a time whose order matters. Those that have an answer name it.
#[derive(Debug)]
pub enum Command {
    /// Tell the queue all of this in order, again and again until it has taken it, or refused it for good; answer with
    /// [`QueueTold`](super::Message::QueueTold).
    TellQueue(Vec<ToQueue>),
    /// Ask the queue for news after a pause, and wait a while for some; answer with [`News`](super::Message::News).
    ListenToQueue {
        /// Before the question.
        pause: Duration,
    },
    /// Have the queue end what has run out, after a pause, and see which life of its data it is in; answer with
    /// [`QueueSeen`](super::Message::QueueSeen).
    LookAtQueue {
        /// Before the look.
        pause: Duration,
    },
    /// Find words for why no worker could take a task; answer with [`Explained`](super::Message::Explained).
    Explain(Box<Unplaced>),
    /// Ask the action cache; answer with [`Answers`](super::Message::Answers). A cache that is away for long has nothing.
    LookUp(Vec<Question>),
    /// Write results into the action cache, unless they are there, however often it takes, within reason; answer with
    /// [`Recorded`](super::Message::Recorded). In a farm they are there most often: somebody else should have recorded them by now.
    Record(Vec<Recording>),
    /// Ask the store which of these it lacks; answer with [`Missing`](super::Message::Missing).
    FindMissing(Vec<Digest>),
    /// Use these logs, and what the graph and these results are made of, so that the store does not remove them. No answer:
    /// what fails is made good by the next time.
    KeepInUse {
        /// For whom.
        build: BuildId,
        /// Its graph.
        graph: Digest,
        /// Results that it has taken.
        results: Vec<ActionKey>,
        /// Logs that its events name.
        logs: Vec<Digest>,
    },
    /// Wait until an owner has been told something, or a while; answer with [`Control`](super::Message::Control).
    ListenToRegistry,
    /// Prolong ownerships, in one try; answer with [`Renewed`](super::Message::Renewed).
    Renew(Vec<Ownership>),
    /// Take over builds whose ownership has run out, in one try; answer with [`Taken`](super::Message::Taken).
    TakeOver {
        /// So many at most.
        most: usize,
    },
    /// Read what an earlier owner left of a build, however often it takes; answer with [`BuildRead`](super::Message::BuildRead).
    ReadBuild(Ownership),
    /// Read the graph of a build after a pause, in one try, check it, and see what is recorded about its actions; answer with
    /// [`GraphRead`](super::Message::GraphRead).
    ReadGraph {
        /// Which build.
        build: BuildId,
        /// With the graph's digest, and what the client wants.
        record: Box<v1::Build>,
        /// Before it is read.
        pause: Duration,
    },
    /// Write builds to the registry: first restores, then appends, each in one try, with a pause at the end if one failed; answer
    /// with [`Written`](super::Message::Written).
    Write {
        /// Builds to be made known again, with an empty log.
        restores: Vec<Restore>,
        /// Events and records.
        appends: Vec<Append>,
    },
    /// Record what executions took, by part of a pool; answer with [`Measured`](super::Message::Measured), also when it failed for
    /// long.
    Measure(Vec<(Arc<str>, Vec<Measurement>)>),
    /// Move the events of a build that is over to the store, after a pause. No answer: what fails for long stays where it is.
    Archive(Box<Archive>),
    /// The last words of an engine that was stopped: write these, whatever comes of it, and then release.
    HandOver {
        /// What is not written yet.
        appends: Vec<Append>,
        /// All that is owned.
        held: Vec<Ownership>,
        /// Results that somebody else records, and that are not known to be recorded: as for [`Command::Record`].
        records: Vec<Recording>,
    },
    /// A client is to provide these blobs, which the build reads and nobody makes. Only without a registry.
    Want {
        /// For whom.
        build: BuildId,
        /// Which.
        digests: Vec<Digest>,
    },
    /// For whoever watches or counts. No answer.
    Tell(Box<Told>),
}

/// Something for the queue.
#[derive(Clone, Debug, PartialEq)]
pub enum ToQueue {
    /// Put a task there.
    Enqueue(Box<Task>),
    /// Nobody here wants it any more.
    Cancel(ActionKey, RunId),
    /// Let a second worker run it, if one has nothing else to do.
    BackUp(ActionKey, RunId),
}

/// A task that no worker could take.
#[derive(Clone, Debug, PartialEq)]
pub struct Unplaced {
    /// Which.
    pub key: ActionKey,
    /// Its run.
    pub run: RunId,
    /// Who had it, if anyone.
    pub worker: Option<Arc<str>>,
    /// In the words of the queue, which names parts of pools.
    pub reason: Arc<str>,
    /// The part of a pool that it waited in, if that is known.
    pub part: Option<Arc<str>>,
    /// What the C toolchains of the builds are called that want it.
    pub c_toolchains: BTreeMap<String, String>,
}

/// A question for the action cache.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// What for.
    pub key: ActionKey,
    /// Only a result whose blobs are all there.
    pub verify: bool,
    /// A result that is on its way into the cache: the answer, unless it fails `verify`.
    pub known: Option<Arc<ActionResult>>,
    /// A result was made just now, and is being recorded: it is worth a short wait.
    pub coming: bool,
}

/// A result for the action cache.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// Under this key.
    pub key: ActionKey,
    /// What came out.
    pub result: Arc<ActionResult>,
    /// Who made it.
    pub made: v1::Provenance,
}

/// The events of a build that is over.
#[derive(Debug)]
pub struct Archive {
    /// The proof.
    pub ownership: Ownership,
    /// As it was last written.
    pub record: v1::Build,
    /// All, encoded.
    pub events: Vec<Bytes>,
    /// Until then who watches the build reads the last of them where they are.
    pub pause: Duration,
}

/// What an engine says for watchers, counts and logs.
#[derive(Debug)]
pub enum Told {
    /// A build is open.
    Opened {
        /// Which.
        build: BuildId,
        /// What its actions do, by index.
        kinds: Box<[v1::Kind]>,
    },
    /// Something came to pass in a build.
    Event {
        /// Which.
        build: BuildId,
        /// What.
        event: BuildEvent,
        /// For a node that was queued or started: the task that it waits for.
        task: Option<WaitedFor>,
    },
    /// A build has come to its end.
    Over {
        /// Which.
        build: BuildId,
        /// With the end in it.
        record: Box<v1::Build>,
    },
    /// A build is another replica's now.
    LetGo(BuildId),
}

/// A task as a node sees it that waits for it.
#[derive(Clone, Debug, PartialEq)]
pub struct WaitedFor {
    /// What is made.
    pub key: ActionKey,
    /// What a person calls it.
    pub label: Arc<str>,
    /// On whose account it runs.
    pub account: BuildId,
    /// See [`Task::attempt`].
    pub attempt: u32,
    /// The node is the one that counts as having it executed.
    pub first: bool,
}

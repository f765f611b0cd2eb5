//! What a queue tells the owners of its tasks.

use std::sync::Arc;

use gofarm_proto::ActionKey;

use super::{Event, Outcome, RunId};

/// Tells one lease of a task from every other that there ever was.
///
/// The counter goes up with each lease. It starts over when the queue loses its data; then the incarnation is
/// another one, so a token from before never equals one from after. Whoever changes a leased task shows its token,
/// and the comparison and the change are one step.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct FencingToken {
    /// Which life of the queue's data.
    pub incarnation: u64,
    /// Which lease within it.
    pub counter: u64,
}

/// A scheduler process, as the queue knows it. Unique; a restarted process is another owner.
pub type Owner = Arc<str>;

/// Something that happened to a task, told to each of its owners with the run that this owner gave.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// A worker has it.
    Started {
        /// The task.
        key: ActionKey,
        /// As last enqueued by the owner who is told.
        run: RunId,
        /// Who has it.
        worker: Arc<str>,
    },
    /// The key was in the queue already when this owner first put it there: another owner has it executed. Told
    /// before anything else about this run.
    Joined {
        /// The task.
        key: ActionKey,
        /// As enqueued by the owner who is told.
        run: RunId,
    },
    /// It has printed something.
    Log {
        /// The task.
        key: ActionKey,
        /// As last enqueued by the owner who is told.
        run: RunId,
        /// Where in the output of this run it stands, bytes.
        offset: u64,
        /// With virtual paths.
        data: Arc<[u8]>,
    },
    /// The owner was not heard of for so long that its tasks were let go of, and the news about them with them. It
    /// enqueues again what it still wants.
    Forgotten,
    /// It has left the queue.
    Done {
        /// The task.
        key: ActionKey,
        /// As last enqueued by the owner who is told.
        run: RunId,
        /// Who had it, if anyone.
        worker: Option<Arc<str>>,
        /// The lease that ended it, if its holder did.
        lease: Option<FencingToken>,
        /// How it ended.
        outcome: Outcome,
    },
}

impl News {
    /// What the core is told of it: nothing of output.
    pub fn event(self) -> Option<Event> {
        Some(match self {
            News::Started { key, run, worker } => Event::TaskStarted { key, run, worker },
            News::Joined { key, run } => Event::TaskJoined { key, run },
            News::Log { .. } => return None,
            News::Forgotten => Event::Republish,
            News::Done {
                key,
                run,
                worker,
                lease: _,
                outcome,
            } => Event::TaskDone {
                key,
                run,
                worker,
                outcome,
            },
        })
    }
}

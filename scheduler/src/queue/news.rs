//! What a queue tells the owners of its tasks.

use std::sync::Arc;

use gofarm_proto::ActionKey;

use crate::core::{Event, Outcome, RunId};

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
    /// It has left the queue.
    Done {
        /// The task.
        key: ActionKey,
        /// As last enqueued by the owner who is told.
        run: RunId,
        /// Who had it, if anyone.
        worker: Option<Arc<str>>,
        /// How it ended.
        outcome: Outcome,
    },
}

impl From<News> for Event {
    fn from(news: News) -> Self {
        match news {
            News::Started { key, run, worker } => Event::TaskStarted { key, run, worker },
            News::Done {
                key,
                run,
                worker,
                outcome,
            } => Event::TaskDone {
                key,
                run,
                worker,
                outcome,
            },
        }
    }
}

//! Tasks under lease that a second worker may run as well.

use std::collections::BTreeMap;
use std::sync::Arc;

use gofarm_proto::ActionKey;

use super::ready::{Need, Rank};
use super::waiting::{Waiting, need};
use crate::{LeaseRequest, QueueOptions};
use gofarm_engine::core::Task;

/// Tasks looked at for one lease.
const SCAN: usize = 64;

#[derive(Debug)]
struct Straggler {
    key: ActionKey,
    need: Need,
    holder: Arc<str>,
}

/// Those that nobody has taken yet, in the order in which they waited.
#[derive(Debug, Default)]
pub(super) struct Stragglers {
    asked: BTreeMap<Rank, Straggler>,
}

impl Stragglers {
    pub fn insert(
        &mut self,
        task: &Task,
        waited: Waiting,
        holder: &Arc<str>,
        options: &QueueOptions,
    ) {
        let straggler = Straggler {
            key: task.key,
            need: need(task, options),
            holder: holder.clone(),
        };
        self.asked.insert(waited.rank(task), straggler);
    }

    pub fn remove(&mut self, task: &Task, waited: Waiting) {
        self.asked.remove(&waited.rank(task));
    }

    /// The first that fits and that this worker does not have.
    pub fn first(&self, request: &LeaseRequest) -> Option<ActionKey> {
        let idle = request.running == 0;
        let fits = |need: &Need| need.bytes <= request.free_memory || (idle && !need.recorded);
        let mut asked = self.asked.values().take(SCAN);
        let found = asked.find(|one| one.holder != request.worker && fits(&one.need));
        found.map(|straggler| straggler.key)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }
}

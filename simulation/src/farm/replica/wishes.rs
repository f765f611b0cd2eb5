//! Which builds of a replica want what, by what it tells those who look on; and that it cancels nothing that the next owner of a build may be
//! about to join.

use std::collections::{BTreeMap, BTreeSet};

use gofarm_engine::core::{BuildEvent, BuildId};
use gofarm_engine::{ToQueue, Told};
use gofarm_proto::ActionKey;

use crate::farm::{Farm, brief};

/// What a build wanted that another replica has now is not cancelled before, milliseconds.
const JOINED_BY_MS: u64 = 5_000;

#[derive(Debug, Default)]
pub(super) struct Wishes {
    /// The builds whose nodes wait for a task, or have.
    of: BTreeMap<ActionKey, BTreeSet<BuildId>>,
    /// Builds that were let go of and that are not open here again, and since when.
    let_go: BTreeMap<BuildId, u64>,
    /// Builds that came to their end here, before they were let go of or not: what they wanted is cancelled at once.
    over: BTreeSet<BuildId>,
}

impl Wishes {
    pub fn see(&mut self, told: &Told, now: u64) {
        match told {
            Told::Opened { build, .. } => {
                self.let_go.remove(build);
                self.over.remove(build);
            }
            Told::Event {
                build,
                event: BuildEvent::Node { .. },
                task: Some(task),
            } => {
                self.of.entry(task.key).or_default().insert(*build);
            }
            Told::Over { build, .. } => {
                self.over.insert(*build);
            }
            Told::LetGo(build) if !self.over.contains(build) => {
                self.let_go.insert(*build, now);
            }
            Told::LetGo(_) | Told::Event { .. } => {}
        }
    }

    /// A build that was let go of a moment ago, where only such builds have wanted this.
    fn just_lost(&self, key: &ActionKey, now: u64) -> Option<BuildId> {
        let builds = self.of.get(key)?;
        let lost = |build: &&BuildId| {
            let since = self.let_go.get(build);
            since.is_some_and(|since| now < since + JOINED_BY_MS)
        };
        let all = builds.iter().all(|build| lost(&build));
        builds.first().copied().filter(|_| all)
    }
}

impl Farm {
    pub(super) fn check_cancels(&mut self, at: usize, said: &[ToQueue]) {
        let now = self.agenda.now();
        for said in said {
            let ToQueue::Cancel(key, _) = said else {
                continue;
            };
            if let Some(build) = self.replicas[at].wishes.just_lost(key, now) {
                let key = brief(&key.0);
                self.violated(format!(
                    "s{at} cancels {key} of {build}, which the next owner may be about to join"
                ));
            }
        }
    }
}

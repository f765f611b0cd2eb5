//! From a request to a plan with the digests of its files.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use gofarm_engine::core::BuildId;
use gofarm_plan::{
    BoundPlan, Plan, PlanError, PlanRequest, Planned, Planner, SourceFiles, Unremembered,
};

use super::Session;
use super::purpose::Purpose;
use crate::console::Planning;
use crate::farm::Supply;
use crate::outline::{Asked, Outline};
use crate::report::{Outcome, Summary};

/// A build that is planned.
pub struct PlannedBuild {
    /// What it is called.
    pub id: BuildId,
    /// What it does.
    pub plan: Plan,
    /// How the planning went.
    pub planning: Planning,
    bound: BoundPlan,
    remembering: Remembering,
}

/// All that a build is to be run with.
pub(super) struct Work {
    pub id: BuildId,
    pub plan: Plan,
    pub planning: Planning,
    pub bound: BoundPlan,
    pub outline: Outline,
    pub supply: Arc<Supply>,
    /// When the command began.
    pub started: Instant,
    remembering: Remembering,
}

impl Work {
    /// Gives nothing of it back to the system. What is written beside the build is waited for.
    pub fn forget(self) {
        drop(self.remembering);
        std::mem::forget((self.plan, self.bound, self.outline));
    }
}

impl Session {
    /// Plans, and keeps the plan. Nothing is built. A failure is told to the summary for programs, if there is to be one.
    ///
    /// # Errors
    /// What cmd/go says, or why the planner cannot do with it.
    pub fn plan(&self, request: &PlanRequest, started: Instant) -> anyhow::Result<PlannedBuild> {
        let planned = self.bind(request);
        let id = new_id();
        let time = started.elapsed();
        if let (Err(_), Some(path)) = (&planned, &self.options.showing.summary_json) {
            Summary::without_actions(id, Outcome::Failed, time, time).write(path)?;
        }
        let (planned, bound) = planned?;
        Ok(PlannedBuild {
            id,
            remembering: self.remember_plan(planned.unremembered),
            planning: Planning {
                time,
                reused: planned.reused,
            },
            plan: planned.plan,
            bound,
        })
    }

    /// Plans, and asks what of it is wanted.
    pub(super) fn work(
        &self,
        request: &PlanRequest,
        purpose: &mut dyn Purpose,
        started: Instant,
    ) -> anyhow::Result<Work> {
        let PlannedBuild {
            id,
            plan,
            planning,
            mut bound,
            remembering,
        } = self.plan(request, started)?;
        let asked = Asked {
            packages: &request.packages,
            folder: &self.go.cwd,
            output: request.output.as_deref(),
            print_commands: self.options.showing.print_commands,
        };
        let outline = Outline::new(&plan, &bound, asked);
        for node in purpose.wanted(&outline)? {
            bound.graph.nodes[node].requested = true;
        }
        Ok(Work {
            id,
            plan,
            planning,
            supply: Arc::new(Supply::new(&mut bound)),
            bound,
            outline,
            started,
            remembering,
        })
    }

    /// The plan with the digests of its files; planned anew when a remembered plan names files that are gone, and when nothing
    /// that is remembered may be used.
    fn bind(&self, request: &PlanRequest) -> Result<(Planned, BoundPlan), PlanError> {
        let planner = Planner::new(self.go.clone(), self.folder.join("plans"));
        let mut files = SourceFiles::new(&self.index);
        let mut planned = match self.options.no_cache {
            true => planner.plan_anew(request, &mut files)?,
            false => planner.plan(request, &mut files)?,
        };
        let fooled = files.fooled();
        let mut bound = planned.plan.bind(&mut files);
        let is_stale = match planned.reused {
            true => bound.is_err(),
            // Only now it is known that cmd/go took a file for what it was before.
            false => files.fooled() && !fooled,
        };
        if is_stale {
            planned = planner.plan_anew(request, &mut files)?;
            bound = planned.plan.bind(&mut files);
        }
        Ok((planned, bound?))
    }

    /// Keeps the plan and the digests of files, on a thread.
    fn remember_plan(&self, unremembered: Option<Result<Unremembered, String>>) -> Remembering {
        let index = self.index.clone();
        Remembering(Some(std::thread::spawn(move || {
            if let Some(Ok(unremembered)) = unremembered {
                // The next build plans again, which is slower and nothing else.
                let _ = unremembered.remember(&mut SourceFiles::new(&index));
            }
            // What was hashed now is hashed again next time if this cannot be kept.
            let _ = index.save();
        })))
    }
}

/// Something that is written beside the build. Waited for before the process ends, however it does.
struct Remembering(Option<JoinHandle<()>>);

impl Drop for Remembering {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            let _ = thread.join();
        }
    }
}

pub(super) fn new_id() -> BuildId {
    BuildId(uuid::Uuid::new_v4().as_u128())
}

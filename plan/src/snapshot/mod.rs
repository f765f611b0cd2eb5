//! The plan snapshot: a plan is used again while nothing changed that planning depends on.
//!
//! A snapshot lies in a file whose name is a digest of the request, the environment and the `go` command ([`name`]); inside
//! are the plan and the facts that it rests on ([`fact`]). Facts are the answers to the questions that planning really asked:
//! cmd/go's by its own trace ([`trace`]), those that the trace leaves out ([`unsaid`], [`embed`], [`repository`]), and the
//! planner's own ([`crate::lookups`]). What cmd/go asks it asks of an overlay first ([`overlaid`]). One fact that does not hold
//! and the dry run is made again. Nothing is remembered when a question cannot be followed: then every build plans anew.

mod embed;
mod fact;
mod folders;
mod footing;
#[cfg(test)]
pub(crate) mod fuzzing;
mod gather;
pub(crate) mod header;
mod name;
mod overlaid;
mod record;
mod release;
mod repository;
mod surroundings;
pub(crate) mod trace;
mod unsaid;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::SystemTime;

use crate::cc::memory::Memory;
use crate::error::PlanError;
use crate::files::SourceFiles;
use crate::gocmd::{GoCommand, GoEnv};
use crate::lookups::Question;
use crate::overlay::{Overlay, Seen};
use crate::plan::{PackageIndex, Plan, plan_after};
use crate::request::PlanRequest;
pub use footing::{Access, Footing};
use gather::Before;
pub use gather::Unremembered;
pub(crate) use name::decides;
use record::Kept;

/// Plans builds and remembers plans.
#[derive(Debug, Clone)]
pub struct Planner {
    go: GoCommand,
    folder: PathBuf,
}

/// A plan and where it is from.
#[derive(Debug)]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// True when a snapshot held and no dry run was made.
    pub reused: bool,
    /// Why a snapshot that was there did not hold: what changed, in words for people.
    pub changed: Option<String>,
    /// What is still to be done so that the plan is remembered; `Err` says why it cannot be. `None` when it is.
    pub unremembered: Option<Result<Unremembered, String>>,
}

impl Planner {
    /// A planner that keeps its snapshots in this folder, which is made when there is something to keep.
    pub fn new(go: GoCommand, folder: impl Into<PathBuf>) -> Planner {
        Planner {
            go,
            folder: folder.into(),
        }
    }

    /// Beside the folder of the snapshots.
    fn memory(&self) -> Memory {
        Memory::of(self.folder.with_file_name("c-toolchains"))
    }

    fn file(&self, request: &PlanRequest) -> Option<PathBuf> {
        Some(self.folder.join(name::of(&self.go, request)?))
    }

    /// What the kept plan of this request rests on; `None` when none is kept.
    pub fn footing(&self, request: &PlanRequest) -> Option<Footing> {
        self.file(request).as_deref().and_then(Footing::read)
    }

    /// The plan of a build: remembered if every fact holds, else from a dry run.
    pub fn plan(
        &self,
        request: &PlanRequest,
        files: &mut SourceFiles<'_>,
    ) -> Result<Planned, PlanError> {
        let started = SystemTime::now();
        let sort = request.output_sort(&self.go.cwd);
        let file = self.file(request);
        let mut broken = None;
        let mut holding = None;
        if let Some(file) = &file
            && surroundings::serve(&self.go)
            && let Some(kept) = Kept::read(file)
            && let Some(facts) = kept.facts()
            && let (now_broken, Some(snapshot)) = thread::scope(|scope| {
                let snapshot = scope.spawn(|| kept.snapshot());
                let broken = facts.broken(&self.go, files);
                (broken, snapshot.join().ok().flatten())
            })
        {
            broken = now_broken;
            if broken.is_none() && snapshot.accepts(sort) {
                let _ = fs::File::open(file).and_then(|file| file.set_modified(SystemTime::now()));
                return Ok(Planned {
                    plan: snapshot.into_plan(sort, request.output.as_deref()),
                    reused: true,
                    changed: None,
                    unremembered: None,
                });
            }
            if broken.is_none() {
                holding = Some(snapshot);
            }
        }
        let mut planned = self.plan_since(started, request, files)?;
        planned.changed = broken;
        if let (Some(Ok(unremembered)), Some(earlier)) = (&mut planned.unremembered, holding) {
            unremembered.snapshot.accept_as(&earlier);
        }
        Ok(planned)
    }

    /// The plan of a build from a dry run, whatever is remembered.
    pub fn plan_anew(
        &self,
        request: &PlanRequest,
        files: &mut SourceFiles<'_>,
    ) -> Result<Planned, PlanError> {
        self.plan_since(SystemTime::now(), request, files)
    }

    fn plan_since(
        &self,
        started: SystemTime,
        request: &PlanRequest,
        files: &mut SourceFiles<'_>,
    ) -> Result<Planned, PlanError> {
        let index = match files.fooled() {
            true => PackageIndex::Passed,
            false => PackageIndex::Used,
        };
        let planned = self.dry_run(request, files, (index, started))?;
        match index == PackageIndex::Used && files.fooled() {
            true => self.dry_run(request, files, (PackageIndex::Passed, started)),
            false => Ok(planned),
        }
    }

    /// A plan of which nothing is kept but what was learned of C toolchains, for who wants to know what planning asks for: to keep a
    /// plan is to ask for all of that again.
    pub fn plan_only(&self, request: &PlanRequest) -> Result<Plan, PlanError> {
        let asked = plan_after(&self.go, request, PackageIndex::Used, self.memory(), || ())?;
        Ok(asked.plan)
    }

    fn dry_run(
        &self,
        request: &PlanRequest,
        files: &mut SourceFiles<'_>,
        (index, started): (PackageIndex, SystemTime),
    ) -> Result<Planned, PlanError> {
        let asked = plan_after(&self.go, request, index, self.memory(), || {
            Before::ask(&self.go)
        })?;
        if let Some(trace) = asked
            .grounds
            .trace
            .as_deref()
            .filter(|_| index == PackageIndex::Used)
        {
            self.compare_with_index(trace, &asked.grounds.overlay, &asked.env, files);
        }
        let unremembered = self
            .file(request)
            .map(|file| self.facts(file, request, &asked, (index, started)));
        Ok(Planned {
            plan: asked.plan,
            reused: false,
            changed: None,
            unremembered,
        })
    }

    /// Looks whether a file of the packages that cmd/go took from its index is another one than its times say.
    fn compare_with_index(
        &self,
        trace: &str,
        overlay: &Overlay,
        env: &GoEnv,
        files: &mut SourceFiles<'_>,
    ) {
        let goroot = Path::new(env.get("GOROOT"));
        for question in trace::parse(trace, &self.go.cwd).unwrap_or_default() {
            let Question::Package(folder) = question else {
                continue;
            };
            if folder.starts_with(goroot) && overlay.seen(&folder) == Seen::Real {
                continue;
            }
            for (_, file) in overlaid::planned_files(overlay, &folder) {
                files.doubt(&file);
            }
        }
    }
}

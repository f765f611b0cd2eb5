//! What planning asks the file system for, and whether a fact covers it.

pub mod exceptions;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use exceptions::Surroundings;
use gofarm_observe::{Access, Kind, LeftBehind, ObserveError, Outcome, Request, observe};
use gofarm_plan::{Footing, GoCommand, PlanRequest, Planner, SourceFiles};
use gofarm_specimens::{Specimen, Written};
use gofarm_store::FileIndex;

/// A path that planning asked for, and which program did.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The file name of the program, without its folder.
    pub program: String,
    /// The question.
    pub access: Access,
}

/// Every path that planning one specimen asked for.
#[derive(Debug)]
pub struct Planning {
    /// The specimen as it was planned.
    pub written: Written,
    /// In the order of asking, each once for a program, kind and outcome.
    pub asked: Vec<Asked>,
    /// What the planner said when it refused.
    pub refusal: Option<String>,
}

/// The first argument of a process that only plans. Planning is observed from outside, because the observer's own process asks for
/// paths, too.
pub const PLAN_ALONE: &str = "plan-alone";

/// Plans a specimen below `folder` in a process of its own and observes it with all that it starts.
///
/// `planner` is a program that calls [`plan_alone`] when its first argument is [`PLAN_ALONE`]; `gocache` may be shared, and is not
/// told of. What the planner knows of C toolchains is kept in `folder`, and asked for once.
///
/// # Errors
/// Of writing the specimen and of observing.
pub fn observe_planning(
    specimen: &Specimen,
    folder: &Path,
    planner: &Path,
    gocache: &Path,
) -> io::Result<Planning> {
    let written = specimen.write(&folder.join(specimen.name))?;
    // What the planner remembers of C toolchains lies beside its plans.
    let kept = folder.canonicalize()?.join(KEPT);
    let plans = kept.join(specimen.name);
    std::fs::create_dir_all(&plans)?;
    let mut args = vec![
        PLAN_ALONE.to_owned(),
        plans.display().to_string(),
        planned_output(&written),
    ];
    args.extend(written.flags.iter().cloned());
    args.push("--".to_owned());
    args.extend(written.packages.iter().cloned());
    let mut env = written.vars_os();
    env.push(("GOCACHE".into(), gocache.into()));
    env.push(("PWD".into(), written.folder.clone().into()));
    let request = Request {
        program: planner.to_owned(),
        args: args.into_iter().map(Into::into).collect(),
        env,
        folder: written.folder.clone(),
        left_behind: LeftBehind::Wait,
    };
    let mut programs: BTreeMap<u32, String> = BTreeMap::new();
    let mut asked = Vec::new();
    let mut seen = BTreeSet::new();
    let temporary = written.root.join("tmp");
    let own = [gocache, &kept, &temporary];
    let observed = observe(&request, &mut |access| {
        let path = access.lexical();
        if access.kind == Kind::Execute && access.outcome == Outcome::Found {
            let name = access.path.file_name().unwrap_or_default();
            let name = name.to_string_lossy().into_owned();
            // The kernel's own look at the program's loader comes behind the program.
            if !name.starts_with("ld-") {
                programs.insert(access.process, name);
            }
        }
        // cmd/go makes its cache below its folder.
        if own.iter().any(|own| path.starts_with(own)) || gocache.parent() == Some(path.as_path()) {
            return;
        }
        let program = programs.get(&access.process).cloned().unwrap_or_default();
        if seen.insert((
            program.clone(),
            access.path.clone(),
            access.kind,
            access.outcome,
        )) {
            asked.push(Asked { program, access });
        }
    })
    .map_err(|error: ObserveError| io::Error::other(error.to_string()))?;
    let refusal = (!observed.status.success())
        .then(|| String::from_utf8_lossy(&observed.stderr).into_owned());
    Ok(Planning {
        written,
        asked,
        refusal,
    })
}

/// Where planners keep plans, below the folder of the specimens.
const KEPT: &str = "kept";

/// `-o` of a build that is observed.
fn planned_output(written: &Written) -> String {
    if written.has_output {
        format!("{}/", written.out("planned").display())
    } else {
        String::new()
    }
}

/// Plans in the working folder what the arguments say; of the process that is observed. The exit code.
pub fn plan_alone(args: &[String]) -> u8 {
    let [plans, output, rest @ ..] = args else {
        return 2;
    };
    let mut parts = rest.split(|arg| arg == "--");
    let flags = parts.next().unwrap_or_default().to_vec();
    let packages = parts.next().unwrap_or_default().to_vec();
    let folder = std::env::var_os("PWD")
        .map(PathBuf::from)
        .unwrap_or_default();
    let request = PlanRequest {
        flags,
        output: Some(output.clone()).filter(|output| !output.is_empty()),
        packages,
        trimpath: true,
        compilers: declared(&std::env::var("PATH").unwrap_or_default()),
    };
    let planner = Planner::new(GoCommand::new(folder), plans);
    match planner.plan_only(&request) {
        Ok(_) => 0,
        Err(error) => {
            eprintln!("{error}");
            1
        }
    }
}

/// The compilers that a specimen may have of its own, which are scripts.
fn declared(path: &str) -> Vec<PathBuf> {
    let own = std::env::split_paths(path).next().into_iter();
    own.flat_map(|folder| ["gcc", "g++"].map(|name| folder.join(name)))
        .collect()
}

/// The facts of the kept plan of a specimen, from the planner in this process.
///
/// # Errors
/// The plan cannot be made, or cannot be kept; says why.
fn footing(written: &Written, gocache: &Path, plans: &Path) -> Result<Footing, String> {
    let mut env = written.vars_os();
    env.push(("GOCACHE".into(), gocache.into()));
    let go = GoCommand {
        program: "go".into(),
        cwd: written.folder.clone(),
        env,
    };
    let request = PlanRequest {
        flags: written.flags.clone(),
        output: Some(planned_output(written)).filter(|output| !output.is_empty()),
        packages: written.packages.clone(),
        trimpath: true,
        compilers: declared(written.var("PATH").unwrap_or_default()),
    };
    let index = FileIndex::load(&plans.with_extension("files"), SystemTime::now())
        .map_err(|error| error.to_string())?;
    let planner = Planner::new(go, plans);
    let mut files = SourceFiles::new(&index);
    let planned = planner
        .plan_anew(&request, &mut files)
        .map_err(|error| error.to_string())?;
    planned
        .unremembered
        .ok_or("the plan is never kept")?
        .and_then(|unremembered| unremembered.remember(&mut files))?;
    planner
        .footing(&request)
        .ok_or_else(|| "the plan is not kept".to_owned())
}

/// A line of the audit's table: a path that neither a fact nor an exception covers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Uncovered {
    /// Which planning asked.
    pub specimen: &'static str,
    /// Which program.
    pub program: String,
    /// What.
    pub kind: Kind,
    /// And was told what.
    pub outcome: Outcome,
    /// The path, with `ROOT` for the specimen's folder.
    pub path: String,
}

impl std::fmt::Display for Uncovered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:40} {:12} {:?} {:?} {}",
            self.specimen, self.program, self.kind, self.outcome, self.path
        )
    }
}

impl Planning {
    /// What neither a fact nor an exception covers.
    pub fn uncovered(
        &self,
        specimen: &Specimen,
        surroundings: &Surroundings,
        footing: &Footing,
    ) -> Vec<Uncovered> {
        let root = self.written.root.to_string_lossy().into_owned();
        let names = Names::of_planning(self);
        let mut found: Vec<Uncovered> = self
            .asked
            .iter()
            .filter(|asked| {
                surroundings.reason(asked).is_none()
                    // `go env` asks it, too, and nothing that it says then is used.
                    && (footing.rests_on_c() || !exceptions::is_of_c_toolchain(asked))
                    && !footing.asks(&asked.program)
                    && !is_covered(&asked.access, footing, &names)
            })
            .map(|asked| Uncovered {
                specimen: specimen.name,
                program: asked.program.clone(),
                kind: asked.access.kind,
                outcome: asked.access.outcome,
                path: asked
                    .access
                    .path
                    .display()
                    .to_string()
                    .replace(&root, "ROOT"),
            })
            .collect();
        found.sort();
        found
    }
}

/// Whether a fact covers it, under one of its names.
fn is_covered(access: &Access, footing: &Footing, names: &Names) -> bool {
    use gofarm_plan::Access as Asks;
    let covers = |path: &Path| match access.kind {
        Kind::List => footing.covers(path, Asks::List),
        // A folder is opened to be listed; that is told by itself.
        Kind::Read if path.is_dir() => {
            footing.covers(path, Asks::Look) || footing.covers(path, Asks::List)
        }
        Kind::Read | Kind::Execute => footing.covers(path, Asks::Read),
        Kind::Look { .. } | Kind::ReadLink => {
            footing.covers(path, Asks::Look) || is_of_no_interest(path, access, footing)
        }
        Kind::OpenWrite | Kind::Change => true,
    };
    names.of(&access.path).iter().any(|path| covers(path))
}

/// cmd/go looks at each name of a folder that it lists. A name that it does not take, by the fact of that folder, it may look at.
fn is_of_no_interest(path: &Path, access: &Access, footing: &Footing) -> bool {
    access.kind == (Kind::Look { follow: false })
        && path
            .parent()
            .is_some_and(|folder| footing.covers(folder, gofarm_plan::Access::List))
}

/// Other names of folders: a process may be told the real name of one that it opened by another, and goes on from there.
struct Names(BTreeMap<PathBuf, PathBuf>);

impl Names {
    fn of_planning(planning: &Planning) -> Names {
        let folder = &planning.written.folder;
        let asked = planning.asked.iter().map(|asked| &asked.access.path);
        let names = asked.chain([folder]).filter_map(|path| {
            let real = path.canonicalize().ok()?;
            (real != *path && real.is_dir()).then(|| (real, path.clone()))
        });
        Names(names.collect())
    }

    fn of(&self, path: &Path) -> Vec<PathBuf> {
        let mut names = vec![path.to_owned()];
        for (real, name) in &self.0 {
            if let Ok(rest) = path.strip_prefix(real) {
                names.push(name.join(rest).components().collect());
            }
        }
        names
    }
}

/// What came of one specimen.
#[derive(Debug)]
pub struct Audited {
    /// What was asked.
    pub planning: Planning,
    /// What nothing covers.
    pub uncovered: Vec<Uncovered>,
    /// Why its plan is not kept: then it needs no facts.
    pub not_kept: Option<String>,
    /// Where things are, of a plan that is kept: a go command that does not plan does not say it either.
    surroundings: Option<Surroundings>,
}

impl Audited {
    /// Every path with its reason, one a line: program, question, outcome, path, reason.
    pub fn listing(&self) -> String {
        let line = |asked: &Asked| {
            let reason = self.surroundings.as_ref();
            let reason = reason.and_then(|known| known.reason(asked));
            let reason = reason.unwrap_or_default();
            let Access {
                kind,
                outcome,
                path,
                ..
            } = &asked.access;
            format!(
                "{}\t{kind:?}\t{outcome:?}\t{}\t{reason}\n",
                asked.program,
                path.display()
            )
        };
        self.planning.asked.iter().map(line).collect()
    }
}

/// Observes the planning of a specimen below `folder` and holds it against the facts of its kept plan.
///
/// # Errors
/// As [`observe_planning`].
pub fn audit(
    specimen: &Specimen,
    folder: &Path,
    planner: &Path,
    gocache: &Path,
) -> io::Result<Audited> {
    let planning = observe_planning(specimen, folder, planner, gocache)?;
    let plans = folder.canonicalize()?.join(KEPT).join(specimen.name);
    // What was refused would be so again.
    let footing = match &planning.refusal {
        Some(refusal) => Err(refusal.clone()),
        None => footing(&planning.written, gocache, &plans),
    };
    let (uncovered, not_kept, surroundings) = match footing {
        Ok(footing) => {
            let surroundings = Surroundings::of(&planning.written, planner)?;
            let uncovered = planning.uncovered(specimen, &surroundings, &footing);
            (uncovered, None, Some(surroundings))
        }
        Err(reason) => (Vec::new(), Some(reason), None),
    };
    Ok(Audited {
        planning,
        uncovered,
        not_kept,
        surroundings,
    })
}

//! What planning asks the file system for, and whether a fact covers it.

pub mod exceptions;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use gofarm_observe::{Access, Kind, LeftBehind, ObserveError, Outcome, Request, observe};
use gofarm_plan::{GoCommand, PlanRequest, plan};
use gofarm_specimens::{Specimen, Written};

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

/// Plans a specimen in a process of its own and observes it with all that it starts.
///
/// `planner` is a program that calls [`plan_alone`] when its first argument is [`PLAN_ALONE`]; `gocache` may be shared, and is not
/// told of.
///
/// # Errors
/// Of writing the specimen and of observing.
pub fn observe_planning(
    specimen: &Specimen,
    root: &Path,
    planner: &Path,
    gocache: &Path,
) -> io::Result<Planning> {
    let written = specimen.write(root)?;
    let mut args = vec![PLAN_ALONE.to_owned(), planned_output(&written)];
    args.extend(written.flags.iter().cloned());
    args.push("--".to_owned());
    args.extend(written.packages.iter().cloned());
    let mut env = written.env.clone();
    env.push(("GOCACHE".to_owned(), gocache.display().to_string()));
    env.push(("PWD".to_owned(), written.folder.display().to_string()));
    let request = Request {
        program: planner.to_owned(),
        args: args.into_iter().map(Into::into).collect(),
        env: env
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        folder: written.folder.clone(),
        left_behind: LeftBehind::Wait,
    };
    let mut programs: BTreeMap<u32, String> = BTreeMap::new();
    let mut asked = Vec::new();
    let mut seen = BTreeSet::new();
    let temporary = written.root.join("tmp");
    let observed = observe(&request, &mut |access| {
        if access.kind == Kind::Execute && access.outcome == Outcome::Found {
            let name = access.path.file_name().unwrap_or_default();
            let name = name.to_string_lossy().into_owned();
            // The kernel's own look at the program's loader comes behind the program.
            if !name.starts_with("ld-") {
                programs.insert(access.process, name);
            }
        }
        let path = access.lexical();
        if path.starts_with(gocache) || path.starts_with(&temporary) {
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
    let Some((output, rest)) = args.split_first() else {
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
    };
    match plan(&GoCommand::new(folder), &request) {
        Ok(_) => 0,
        Err(error) => {
            eprintln!("{error}");
            1
        }
    }
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
            "{:32} {:12} {:?} {:?} {}",
            self.specimen, self.program, self.kind, self.outcome, self.path
        )
    }
}

impl Planning {
    /// What no fact covers, as `covers` says, and no exception either. A plan that was refused rests on nothing, because it is not kept.
    pub fn uncovered(
        &self,
        specimen: &Specimen,
        covers: impl Fn(&Access) -> bool,
    ) -> Vec<Uncovered> {
        if self.refusal.is_some() {
            return Vec::new();
        }
        let root = self.written.root.to_string_lossy().into_owned();
        let mut found: Vec<Uncovered> = self
            .asked
            .iter()
            .filter(|asked| exceptions::reason(asked).is_none() && !covers(&asked.access))
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

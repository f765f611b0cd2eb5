//! Collects what a plan rests on: the facts, from the questions that were asked while it was made.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use gofarm_identity::nanos;

use super::fact::{AnswerFact, Facts, FileFact, Kind, LookFact};
use super::folders::FolderFact;
use super::record::{self, Snapshot};
use super::repository::{self, Stamped};
use super::{Planner, embed, name, overlaid, release, trace, unsaid};
use crate::action::assemble::split_quoted;
use crate::files::SourceFiles;
use crate::gocmd::{GoCommand, GoEnv};
use crate::lookups::Question;
use crate::machine::{MachineFact, ProgramFact, bytes, changed, modified};
use crate::overlay::Overlay;
use crate::plan::{Asked, Grounds, PackageIndex, Plan, module_root};
use crate::request::PlanRequest;

/// A snapshot that lacks the headers of the files that the plan rests on. Reading them takes longer than planning, and
/// nobody waits for it: it is done beside the build.
#[derive(Debug)]
pub struct Unremembered {
    file: PathBuf,
    pub(super) snapshot: Snapshot,
    facts: Facts,
    /// And whether all of a file counts.
    files: BTreeSet<(PathBuf, bool)>,
    index: PackageIndex,
    /// When planning began: before what was kept was looked at, because what that read of files is not read again.
    started: SystemTime,
}

impl Unremembered {
    /// Reads the files and writes the snapshot; nothing is kept when one of them has changed since planning began.
    ///
    /// # Errors
    /// Says why nothing was kept.
    pub fn remember(mut self, files: &mut SourceFiles<'_>) -> Result<(), String> {
        for (path, whole) in &self.files {
            let recorded = files.record(path).map_err(|error| error.to_string())?;
            // Afterwards: what comes while it is read would be in the fact and not in the plan.
            if changed_since(path, self.started) {
                return Err(changing(path));
            }
            self.facts.files.push(FileFact {
                path: bytes(path),
                digest: FileFact::digest(&recorded, *whole),
                whole: *whole,
            });
        }
        if self.index == PackageIndex::Used && files.fooled() {
            return Err("a file changed and kept its size and time".to_owned());
        }
        record::write(&self.file, &self.facts, &self.snapshot);
        Ok(())
    }
}

impl Planner {
    /// Collects what a plan rests on but the contents of files.
    ///
    /// # Errors
    /// That cannot be followed, or is changing just now; says what.
    pub(super) fn facts(
        &self,
        file: PathBuf,
        request: &PlanRequest,
        asked: &Asked<Before>,
        (index, started): (PackageIndex, SystemTime),
    ) -> Result<Unremembered, String> {
        let Asked {
            plan,
            grounds,
            env,
            before,
        } = asked;
        let snapshot = Snapshot::of(plan, request.output_sort(&self.go.cwd));
        let mut facts = Facts::default();
        let git_roots = repository::git_roots(&self.go.cwd);
        match repository::stamped(plan) {
            Stamped::No => {}
            Stamped::Git => {
                facts.answers = repository::answers(&self.go, &git_roots);
                // Asked before and after: what is committed meanwhile is in the plan or not.
                if facts.answers != before.git {
                    return Err("git says something else than before".to_owned());
                }
            }
            Stamped::Other => return Err("a repository that is not git's".to_owned()),
        }
        let said = grounds.answers.iter().cloned();
        facts
            .answers
            .extend(said.map(|answer| AnswerFact::of(answer, false)));
        facts.answers.dedup();
        let mut programs: BTreeSet<&str> = grounds.compilers.iter().map(String::as_str).collect();
        programs.extend(grounds.answers.iter().map(|answer| answer.argv[0].as_str()));
        // Whether it is found decides whether C is allowed where nobody says so (cmd/go/internal/cfg/cfg.go, `defaultContext`).
        let compiler = split_quoted(env.get("CC"));
        programs.extend(compiler.first().map(String::as_str));
        if !git_roots.is_empty() {
            // Without it nothing is stamped.
            programs.insert("git");
        }
        let releases = release::candidates(&self.go, env, &name::goenv_file(&self.go));
        programs.extend(releases.iter().map(String::as_str));
        facts.programs = programs
            .into_iter()
            .map(|name| ProgramFact::of(&self.go, name))
            .collect();
        let path = self.go.var("PATH");
        if let Some(folder) = std::env::split_paths(&path).find(|it| changed_since(it, started)) {
            // Which of two programs was asked cannot be said.
            return Err(changing(&folder));
        }
        let mut machine = machine_files(grounds, env);
        machine.extend(release::defaults(&self.go));
        // A release on PATH is often a script, too.
        let found = releases.iter();
        machine.extend(found.filter_map(|name| self.go.look_up(Path::new(name))));
        facts.machine = machine.iter().map(|path| MachineFact::of(path)).collect();
        if let Some(path) = machine.iter().find(|path| changed_since(path, started)) {
            return Err(changing(path));
        }
        facts.listings = grounds.listings.clone();
        facts.searched = grounds.searched.clone();

        let questions = self
            .questions(request, plan, grounds, env)
            .ok_or("cmd/go does not say what it asked, or too much")?;
        let beside = unsaid::beside(&self.go);
        if looks(&beside) != before.beside {
            return Err("the folders above are changing".to_owned());
        }
        let mut files = BTreeSet::new();
        let modcache = Some(Path::new(env.get("GOMODCACHE"))).filter(|path| path.is_absolute());
        let mut folders: BTreeSet<(PathBuf, Option<String>)> = BTreeSet::new();
        let mut kinds: BTreeSet<(PathBuf, bool)> = BTreeSet::new();
        // One that is not there was not needed: it would have been fetched.
        let fetched = releases.iter().map(|name| release::fetched(env, name));
        kinds.extend(
            fetched
                .filter(|path| path.is_dir())
                .map(|path| (path, true)),
        );
        for question in questions.into_iter().chain(beside.iter().cloned()) {
            match within_cache(question, modcache) {
                Question::Kind(path) => {
                    kinds.insert((path, true));
                }
                Question::Entry(path) => {
                    kinds.insert((path, false));
                }
                Question::Packages(folder) => {
                    folders.insert((folder, None));
                }
                Question::Names(folder, pattern) => {
                    folders.insert((folder, Some(pattern)));
                }
                Question::Content(path) => {
                    kinds.insert((path.clone(), true));
                    files.insert((path, false));
                }
                Question::Whole(path) => {
                    kinds.insert((path.clone(), true));
                    files.insert((path, true));
                }
                Question::Package(folder) => {
                    let planned = overlaid::planned_files(&Overlay::default(), &folder);
                    files.extend(planned.into_iter().map(|(_, path)| (path, false)));
                    folders.insert((folder, None));
                }
            }
        }
        for (folder, pattern) in folders {
            facts.folders.push(FolderFact::of(&folder, pattern));
            if changed_since(&folder, started) {
                return Err(changing(&folder));
            }
        }
        for (path, follows) in kinds {
            let fact = LookFact::of(&path, follows);
            // Those beside were looked at before and after.
            let question = match follows {
                true => Question::Kind(path.clone()),
                false => Question::Entry(path.clone()),
            };
            if !beside.contains(&question) && is_in_motion(&path, fact.kind(), started) {
                return Err(changing(&path));
            }
            facts.looks.push(fact);
        }
        files.retain(|(path, _)| Kind::behind(path) == Kind::File);
        Ok(Unremembered {
            file,
            snapshot,
            facts,
            files,
            index,
            started,
        })
    }

    /// All that was asked while the plan was made; `None` when that is not known.
    fn questions(
        &self,
        request: &PlanRequest,
        plan: &Plan,
        grounds: &Grounds,
        env: &GoEnv,
    ) -> Option<BTreeSet<Question>> {
        let trace = grounds.trace.as_deref().filter(|trace| !trace.is_empty())?;
        let overlay = &grounds.overlay;
        // What cmd/go asks of the file system as it sees it, and what is asked of the file system itself.
        let mut seen = trace::parse(trace, &self.go.cwd)?;
        let mut questions = grounds.questions.clone();
        let mut modules: Vec<PathBuf> = ["GOWORK", "GOMOD"]
            .iter()
            .map(|name| PathBuf::from(env.get(name)))
            .filter(|file| file.is_absolute() && overlay.file(file).is_some())
            .collect();
        modules.extend(name::module_file(&self.go, env.get("GOFLAGS"), request));
        // `go env` knows nothing of an overlay on the command line.
        let is_named = |path: &&Path| path.ends_with("go.mod") || path.ends_with("go.work");
        let given = overlay.files().map(|(path, _)| path).filter(is_named);
        modules.extend(given.map(Path::to_owned));
        questions.extend(overlaid::module_files(overlay));
        let modules = unsaid::modules(overlay, &modules);
        questions.extend(modules.iter().cloned());
        seen.extend(modules);
        let goroot = Path::new(env.get("GOROOT"));
        questions.extend(unsaid::links(goroot));
        if let Some(root) = module_root(env) {
            questions.extend(unsaid::repositories(Path::new(&root)));
        }
        for node in &plan.nodes {
            let folder = Path::new(&node.folder);
            if node.folder.is_empty() || is_below(folder, env.get("GOMODCACHE")) {
                continue;
            }
            if !folder.starts_with(goroot) {
                questions.extend(unsaid::links(folder));
            }
            seen.extend(embed::questions(overlay, node)?);
        }
        for main in plan.nodes.iter().filter_map(|node| node.main) {
            let folder = Path::new(&plan.nodes.get(main as usize)?.folder);
            if !folder.as_os_str().is_empty() && !folder.starts_with(goroot) {
                questions.extend(unsaid::repositories(folder));
            }
        }
        if request
            .packages
            .iter()
            .any(|package| package.ends_with(".go"))
        {
            // Files named one by one: their folder is the package.
            seen.insert(Question::Package(self.go.cwd.clone()));
        }
        let underlying = |question| overlaid::underlying(overlay, question);
        questions.extend(seen.into_iter().flat_map(underlying));
        Some(questions)
    }
}

/// What is asked before planning too, because nothing shows later that it has changed meanwhile.
pub(super) struct Before {
    git: Vec<AnswerFact>,
    beside: Vec<LookFact>,
}

impl Before {
    pub fn ask(go: &GoCommand) -> Before {
        Before {
            git: repository::answers(go, &repository::git_roots(&go.cwd)),
            beside: looks(&unsaid::beside(go)),
        }
    }
}

fn changing(path: &Path) -> String {
    format!("{} is changing", path.display())
}

fn looks(questions: &BTreeSet<Question>) -> Vec<LookFact> {
    let facts = questions.iter().filter_map(|question| match question {
        Question::Kind(path) => Some(LookFact::of(path, true)),
        Question::Entry(path) => Some(LookFact::of(path, false)),
        _ => None,
    });
    facts.collect()
}

/// A module of the cache is what its version says, and cmd/go itself keeps an index of it that it never compares again. It may
/// go, though.
fn within_cache(question: Question, modcache: Option<&Path>) -> Question {
    let Some(modcache) = modcache else {
        return question;
    };
    match question {
        Question::Packages(path)
        | Question::Names(path, _)
        | Question::Content(path)
        | Question::Whole(path)
        | Question::Package(path)
            if path.starts_with(modcache) =>
        {
            Question::Kind(path)
        }
        other => other,
    }
}

fn is_below(path: &Path, root: &str) -> bool {
    !root.is_empty() && path.starts_with(root)
}

/// Files of the machine whose change changes plans: the C toolchain's, and those of the Go release.
fn machine_files(grounds: &Grounds, env: &GoEnv) -> BTreeSet<PathBuf> {
    let mut machine: BTreeSet<PathBuf> = grounds.machine_files.iter().cloned().collect();
    for name in ["VERSION", "go.env", "bin/go"] {
        machine.insert(Path::new(env.get("GOROOT")).join(name));
    }
    // Of a development tree: there the tools' own build IDs are in the identities.
    let tools = fs::read_dir(env.get("GOTOOLDIR"))
        .into_iter()
        .flatten()
        .flatten();
    machine.extend(tools.map(|tool| tool.path()));
    machine
}

/// Whether what is at this path, or that nothing is, may have become so while the plan was made.
fn is_in_motion(path: &Path, kind: Kind, started: SystemTime) -> bool {
    match kind {
        // A folder's time says that something came to it, which is nothing here.
        Kind::Folder => fs::metadata(path)
            .and_then(|metadata| metadata.created())
            .is_ok_and(|created| created >= started),
        Kind::File | Kind::Link | Kind::Other => changed_since(path, started),
        Kind::Nothing => {
            let mut above = path.ancestors().skip(1);
            let nearest = above.find(|folder| folder.is_dir());
            nearest.is_some_and(|folder| changed_since(folder, started))
        }
    }
}

/// True when something changed the path at or after this moment.
fn changed_since(path: &Path, moment: SystemTime) -> bool {
    // Times of files are taken from a clock that ticks every few milliseconds.
    let moment = nanos(moment) - 10_000_000;
    fs::metadata(path).is_ok_and(|metadata| modified(&metadata).max(changed(&metadata)) >= moment)
}

//! The plan snapshot: a plan is used again while nothing changed that planning depends on.
//!
//! A snapshot lies in a file named by a fingerprint of the request, the environment and the `go` command; inside are
//! the plan and the facts that it rests on: folder listings, headers of files, the presence of repositories and
//! module files above, the state of git where it is stamped into programs, and the C toolchain's files. One fact that
//! does not hold and the dry run is made again. Nothing is remembered when a fact cannot be followed: then every
//! build plans anew.

mod folders;
pub(crate) mod header;
mod modules;
mod record;
mod vcs;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use gofarm_proto::v1;

use crate::error::PlanError;
use crate::files::SourceFiles;
use crate::gocmd::{GoCommand, GoEnv};
use crate::node::PlannedNode;
use crate::plan::{Asked, Plan, module_root, plan_after};
use crate::request::PlanRequest;
use folders::FolderFact;
use record::{FileFact, MachineFact, ProgramFact, RootMessage, Snapshot};

/// Changes with the meaning of what is in the file.
const FORMAT: &str = "gofarm plan snapshot v1";

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
    /// What is still to be done so that the plan is remembered, if it can be.
    pub unremembered: Option<Unremembered>,
}

/// A snapshot that lacks the headers of the files that the plan rests on. Reading them takes longer than planning, and
/// nobody waits for it: it is done beside the build.
#[derive(Debug)]
pub struct Unremembered {
    file: PathBuf,
    snapshot: Snapshot,
    files: Vec<PathBuf>,
    /// When planning began.
    started: SystemTime,
}

impl Unremembered {
    /// Reads the files and writes the snapshot; nothing is kept when one of them has changed since planning began.
    pub fn remember(mut self, files: &mut SourceFiles<'_>) {
        for path in &self.files {
            if folders::changed_since(path, self.started) {
                return;
            }
            let Ok(recorded) = files.record(path) else {
                return;
            };
            self.snapshot.files.push(FileFact {
                path: path.to_string_lossy().into_owned(),
                header: recorded.header.to_vec(),
            });
        }
        record::write(&self.file, self.snapshot);
    }
}

impl Planner {
    /// A planner that keeps its snapshots in this folder, which is made when there is something to keep.
    pub fn new(go: GoCommand, folder: impl Into<PathBuf>) -> Planner {
        Planner {
            go,
            folder: folder.into(),
        }
    }

    /// The plan of a build: remembered if every fact holds, else from a dry run.
    pub fn plan(
        &self,
        request: &PlanRequest,
        files: &mut SourceFiles<'_>,
    ) -> Result<Planned, PlanError> {
        let file = self.snapshot_file(request);
        if let Some(snapshot) = file.as_deref().and_then(record::read)
            && self.holds(&snapshot, files)
        {
            if let Some(file) = &file {
                let _ = fs::File::open(file).and_then(|file| file.set_modified(SystemTime::now()));
            }
            return Ok(Planned {
                plan: snapshot.into_plan(),
                reused: true,
                unremembered: None,
            });
        }
        self.plan_anew(request)
    }

    /// The plan of a build from a dry run, whatever is remembered.
    pub fn plan_anew(&self, request: &PlanRequest) -> Result<Planned, PlanError> {
        let started = SystemTime::now();
        // Asked before and after: what is committed meanwhile is in the plan or not.
        let git = || {
            vcs::markers(&self.go.cwd)
                .iter()
                .any(|marker| marker.ends_with(".git"))
                .then(|| vcs::git_state(&self.go))
                .flatten()
        };
        let Asked { plan, env, before } = plan_after(&self.go, request, git)?;
        let unremembered = self
            .snapshot_file(request)
            .and_then(|file| self.facts(file, &env, request, &plan, before, started));
        Ok(Planned {
            plan,
            reused: false,
            unremembered,
        })
    }

    /// Where the snapshot of this request is; `None` for requests that are planned anew each time.
    fn snapshot_file(&self, request: &PlanRequest) -> Option<PathBuf> {
        if request.flags.iter().any(|flag| names_files(flag)) {
            return None;
        }
        let mut hasher = blake3::Hasher::new_derive_key(FORMAT);
        let mut add = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        add(&format!("{request:?}"));
        add(&self.go.cwd.to_string_lossy());
        // -o means another thing when a folder of that name is there.
        let output = request.output.as_deref().unwrap_or_default();
        add(&self.go.cwd.join(output).is_dir().to_string());
        let mut env: Vec<(String, String)> = self
            .go
            .env
            .iter()
            .map(|(name, value)| {
                (
                    name.to_string_lossy().into_owned(),
                    value.to_string_lossy().into_owned(),
                )
            })
            .filter(|(name, _)| decides(name))
            .collect();
        env.sort();
        env.dedup();
        for (name, value) in &env {
            add(name);
            add(value);
        }
        let go = self.go.locate()?;
        add(&format!("{:?}", MachineFact::of(&go)));
        // The go command on PATH is often a link or a script; what it finds is found again as long as these
        // two files are the same.
        add(&String::from_utf8_lossy(
            &fs::read(self.goenv_file()).unwrap_or_default(),
        ));
        if let Ok(own) = std::env::current_exe() {
            add(&format!("{:?}", MachineFact::of(&own)));
        }
        Some(self.folder.join(hasher.finalize().to_hex().as_str()))
    }

    /// The file in which `go env -w` keeps its settings (cmd/go/internal/cfg/cfg.go, `EnvFile`).
    fn goenv_file(&self) -> PathBuf {
        let named = self.go.var("GOENV");
        if named == "off" {
            return PathBuf::from("/dev/null");
        }
        if !named.is_empty() {
            return PathBuf::from(named);
        }
        let config = self.go.var("XDG_CONFIG_HOME");
        let config = if config.is_empty() {
            Path::new(&self.go.var("HOME")).join(".config")
        } else {
            PathBuf::from(config)
        };
        config.join("go/env")
    }

    fn holds(&self, snapshot: &Snapshot, files: &mut SourceFiles<'_>) -> bool {
        let git = snapshot.git.is_some().then(|| {
            let go = self.go.clone();
            std::thread::spawn(move || vcs::git_state(&go))
        });
        let markers: Vec<String> = paths(vcs::markers(&self.go.cwd));
        let holds = markers == snapshot.markers
            && snapshot
                .machine
                .iter()
                .all(|fact| MachineFact::of(Path::new(&fact.path)) == *fact)
            && snapshot.programs.iter().all(|fact| {
                self.go.look_up(Path::new(&fact.name)).as_deref() == Some(Path::new(&fact.path))
            })
            && snapshot.folders.iter().all(FolderFact::holds)
            && snapshot.files.iter().all(|fact| {
                files
                    .record(Path::new(&fact.path))
                    .is_ok_and(|recorded| recorded.header.as_slice() == fact.header)
            });
        let git_holds = match git {
            Some(git) => git.join().ok().flatten() == snapshot.git,
            None => true,
        };
        holds && git_holds
    }

    /// Collects what a plan rests on but the contents of files; `None` when that cannot be followed, or is changing just
    /// now.
    fn facts(
        &self,
        file: PathBuf,
        env: &GoEnv,
        request: &PlanRequest,
        plan: &Plan,
        git_before: Option<Vec<u8>>,
        started: SystemTime,
    ) -> Option<Unremembered> {
        let git = match vcs::stamped(plan) {
            vcs::Stamped::No => None,
            vcs::Stamped::Git => {
                Some(vcs::git_state(&self.go).filter(|git| git_before.as_ref() == Some(git))?)
            }
            vcs::Stamped::Other => return None,
        };
        if plan.asked_pkg_config || env.get("GOFLAGS").split_whitespace().any(names_files) {
            return None;
        }
        let modcache = Path::new(env.get("GOMODCACHE"));
        // Package folders, and whether all names in them count.
        let mut listed: BTreeSet<(PathBuf, bool)> = BTreeSet::new();
        let main = module_root(env);
        let mut trees: Vec<PathBuf> = main.iter().map(PathBuf::from).collect();
        trees.extend(
            plan.roots
                .entries()
                .iter()
                .filter(|(_, name)| name.contains("/ext/"))
                .map(|(real, _)| PathBuf::from(real)),
        );
        let mut module_files: Vec<PathBuf> = Vec::new();
        for name in ["GOWORK", "GOMOD"] {
            let file = PathBuf::from(env.get(name));
            if file.is_file() {
                module_files.push(file);
            }
        }
        for folder in modules::local_modules(&module_files) {
            if !trees.iter().any(|tree| folder.starts_with(tree)) {
                trees.push(folder);
            }
        }
        for file in module_files.clone() {
            // go.work.sum, whatever the workspace's file is called.
            let sum = PathBuf::from(format!("{}.sum", file.display()));
            if sum.is_file() {
                module_files.push(sum);
            }
            listed.extend(file.parent().map(|folder| (folder.to_path_buf(), false)));
        }
        for tree in &trees {
            listed.extend(
                folders::walk(tree)?
                    .into_iter()
                    .map(|folder| (folder, false)),
            );
            let vendor = tree.join("vendor");
            if vendor.is_dir() {
                listed.insert((vendor, false));
            }
        }
        for node in &plan.nodes {
            let folder = Path::new(&node.folder);
            if node.folder.is_empty()
                || (!env.get("GOMODCACHE").is_empty() && folder.starts_with(modcache))
            {
                continue;
            }
            listed.insert((folder.to_owned(), false));
            for folder in embed_folders(node, folder) {
                listed.extend(
                    folders::walk_all(&folder)?
                        .into_iter()
                        .map(|folder| (folder, true)),
                );
            }
        }
        if request
            .packages
            .iter()
            .any(|package| package.ends_with(".go"))
        {
            // Files named one by one: their folder is the package.
            listed.insert((self.go.cwd.clone(), false));
        }
        let mut snapshot = Snapshot {
            nodes: plan.nodes.clone(),
            roots: plan
                .roots
                .entries()
                .iter()
                .map(|(real, name)| RootMessage {
                    real: real.clone(),
                    name: name.clone(),
                })
                .collect(),
            go_version: plan.go_version.clone(),
            exe_suffix: plan.exe_suffix.clone(),
            markers: paths(vcs::markers(&self.go.cwd)),
            git,
            ..Snapshot::default()
        };
        let mut machine: BTreeSet<PathBuf> = plan.machine_files.iter().cloned().collect();
        for name in ["VERSION", "go.env", "bin/go"] {
            machine.insert(Path::new(env.get("GOROOT")).join(name));
        }
        // Of a development tree: there the tools' own build IDs are in the identities.
        let tools = fs::read_dir(env.get("GOTOOLDIR"))
            .into_iter()
            .flatten()
            .flatten();
        machine.extend(tools.map(|tool| tool.path()));
        snapshot.programs = plan
            .compilers
            .iter()
            .filter_map(|name| {
                Some(ProgramFact {
                    path: self
                        .go
                        .look_up(Path::new(name))?
                        .to_string_lossy()
                        .into_owned(),
                    name: name.clone(),
                })
            })
            .collect();
        let mut files = module_files;
        for (folder, all_names) in &listed {
            if folders::changed_since(folder, started) {
                return None;
            }
            snapshot.folders.push(FolderFact::of(folder, *all_names));
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                let planned = folders::is_planned_file(&entry.file_name().to_string_lossy());
                if !*all_names && planned && path.is_file() {
                    files.push(path);
                }
            }
        }
        snapshot.machine = machine.iter().map(|path| MachineFact::of(path)).collect();
        Some(Unremembered {
            file,
            snapshot,
            files,
            started,
        })
    }
}

/// Variables that cmd/go, its helpers, or the planner read.
fn decides(name: &str) -> bool {
    const NAMES: [&str; 20] = [
        "AR",
        "CC",
        "COMPILER_PATH",
        "CPATH",
        "CPLUS_INCLUDE_PATH",
        "CXX",
        "C_INCLUDE_PATH",
        "FC",
        "GCC_EXEC_PREFIX",
        "GCCGO",
        "HOME",
        "LIBRARY_PATH",
        "NETRC",
        "OBJC_INCLUDE_PATH",
        "PATH",
        "SDKROOT",
        "SOURCE_DATE_EPOCH",
        "SSH_AUTH_SOCK",
        "XDG_CONFIG_HOME",
        "TMPDIR",
    ];
    (name.starts_with("GO") && !name.starts_with("GOFARM_") && name != "GOCACHE")
        || name.starts_with("CGO_")
        || name.starts_with("PKG_CONFIG")
        || name.starts_with("GIT_")
        || NAMES.contains(&name)
}

/// The folders below a package in which a new file could match one of its //go:embed patterns.
fn embed_folders(node: &PlannedNode, folder: &Path) -> BTreeSet<PathBuf> {
    let config = node.action.steps.iter().find_map(|step| match &step.step {
        Some(v1::step::Step::WriteFile(file)) if file.path.ends_with("/embedcfg") => {
            serde_json::from_slice::<serde_json::Value>(&file.content).ok()
        }
        _ => None,
    });
    let patterns = config
        .as_ref()
        .and_then(|config| config.get("Patterns")?.as_object());
    patterns
        .into_iter()
        .flat_map(|patterns| patterns.keys())
        .filter_map(|pattern| {
            let first = pattern.trim_start_matches("all:").split('/').next()?;
            if first.contains(['*', '?', '[', '\\']) || first == "." {
                return Some(folder.to_path_buf());
            }
            let named = folder.join(first);
            named.is_dir().then_some(named)
        })
        .collect()
}

/// Flags that make cmd/go read files that no fact covers.
fn names_files(flag: &str) -> bool {
    let flag = flag.trim_matches(['"', '\'']).trim_start_matches('-');
    flag.starts_with("modfile") || flag.starts_with("overlay")
}

fn paths(paths: Vec<PathBuf>) -> Vec<String> {
    paths
        .into_iter()
        .map(|path| path.to_string_lossy().into_owned())
        .collect()
}

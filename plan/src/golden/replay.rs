//! Plans made of a recording.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output};
use std::sync::{Arc, Mutex};

use gofarm_identity::Listing;
use gofarm_identity::c_toolchain::{CToolchain, CToolchainError, SearchedFolder};

use super::cases::{Case, ROOT};
use super::recording::{Answers, Recorded};
use crate::cc::allowed::PkgConfigText;
use crate::cc::memory::Memory;
use crate::error::PlanError;
use crate::gocmd::{GoCommand, GoEnv};
use crate::host::{Host, Kind};
use crate::lookups::Lookups;
use crate::plan::{DryRun, Plan, interpret};

/// Makes the plan of a case.
///
/// # Panics
/// The planner asks something that was asked of no case when the release was recorded.
pub(super) fn plan(
    case: &Case,
    recorded: &Recorded,
    answers: &Arc<Answers>,
) -> Result<Plan, PlanError> {
    let mut env: Vec<(OsString, OsString)> = Vec::new();
    for (name, value) in case.env {
        env.push((name.into(), value.into()));
    }
    // Neither go nor any other program is there.
    env.push(("PATH".into(), format!("{ROOT}/nothing").into()));
    let go = GoCommand {
        program: PathBuf::from(format!("{ROOT}/goroot/bin/go")),
        cwd: PathBuf::from(format!("{ROOT}/modules/{}", case.folder)),
        env,
    };
    let go_env = GoEnv::read(recorded.go_env.as_bytes())?;
    go_env.check_version()?;
    let dry_run = DryRun {
        output: output(recorded.exit_code, "", &recorded.stderr),
        graph: recorded.graph.clone().ok_or_else(nothing),
        graph_file: PathBuf::from(format!("{ROOT}/graph.json")),
        trace: None,
    };
    let replay = Arc::new(Replay {
        answers: Arc::clone(answers),
        unanswered: Mutex::default(),
    });
    let host: Arc<dyn Host> = replay.clone();
    let request = case.request(&str::to_owned);
    let plan = interpret(
        &go,
        &go_env,
        &request,
        Memory::none(),
        dry_run,
        Lookups::of(host),
    );
    let unanswered = replay.unanswered.lock().unwrap();
    let first: Vec<&String> = unanswered.iter().take(10).collect();
    assert!(
        first.is_empty(),
        "planning {} asks what was not asked when it was recorded; record it again (docs/corpus.md): {first:#?}",
        case.name
    );
    plan.map(|(plan, _)| plan)
}

#[derive(Debug)]
struct Replay {
    answers: Arc<Answers>,
    unanswered: Mutex<BTreeSet<String>>,
}

impl Replay {
    fn unanswered(&self, question: String) {
        self.unanswered.lock().unwrap().insert(question);
    }

    fn find<T: Clone>(
        &self,
        answers: &BTreeMap<String, Option<T>>,
        what: &str,
        path: &Path,
    ) -> Option<T> {
        match path.to_str().and_then(|path| answers.get(path)) {
            Some(answer) => answer.clone(),
            None => {
                self.unanswered(format!("{what} of {}", path.display()));
                None
            }
        }
    }
}

impl Host for Replay {
    fn kind(&self, path: &Path) -> Option<Kind> {
        self.find(&self.answers.kinds, "kind", path)
    }

    fn entry(&self, path: &Path) -> Option<Kind> {
        self.find(&self.answers.entries, "entry", path)
    }

    fn real_path(&self, path: &Path) -> Option<PathBuf> {
        self.find(&self.answers.real_paths, "real path", path)
            .map(PathBuf::from)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.find(&self.answers.contents, "content", path)
            .map(String::into_bytes)
            .ok_or_else(nothing)
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<(OsString, Kind)>> {
        let names = self
            .find(&self.answers.names, "names", folder)
            .ok_or_else(nothing)?;
        Ok(names
            .into_iter()
            .map(|(name, kind)| (name.into(), kind))
            .collect())
    }

    fn look_up(&self, go: &GoCommand, name: &Path) -> Option<PathBuf> {
        // A path is what it says.
        if name.components().count() > 1 {
            return go.look_up(name);
        }
        self.find(&self.answers.programs_found, "program", name)
            .map(PathBuf::from)
    }

    fn ask_tool(&self, _: &GoCommand, argv: &[String], cwd: &Path) -> io::Result<Output> {
        let mut programs = self.answers.programs.iter();
        match programs.find(|asked| asked.argv == argv && Path::new(&asked.cwd) == cwd) {
            Some(said) => Ok(output(said.exit_code, &said.stdout, &said.stderr)),
            None => {
                self.unanswered(format!("{argv:?} in {}", cwd.display()));
                Err(nothing())
            }
        }
    }

    fn refused_flags(
        &self,
        _: &GoCommand,
        _: &str,
        said: &PkgConfigText,
    ) -> Result<Option<String>, PlanError> {
        let mut judged = self.answers.judged.iter();
        match judged.find(|(asked, _)| asked == said) {
            Some((_, refusal)) => Ok(refusal.clone()),
            None => {
                self.unanswered(format!("what go has against {said:?}"));
                Ok(None)
            }
        }
    }

    fn c_toolchain(
        &self,
        _: &GoCommand,
        compiler: &[String],
    ) -> Result<CToolchain, CToolchainError> {
        let mut toolchains = self.answers.toolchains.iter();
        match toolchains.find(|known| known.compiler == compiler) {
            Some(known) => Ok(CToolchain {
                identity: known.identity.clone(),
                name: known.name.clone(),
                folder: PathBuf::from(&known.folder),
                programs: Vec::new(),
                files: Vec::new(),
                listings: listed(&known.headers, true)
                    .chain(listed(&known.libraries, false))
                    .collect(),
                searched: known
                    .searched
                    .iter()
                    .map(|(spelled, leads_to)| SearchedFolder {
                        spelled: PathBuf::from(spelled),
                        leads_to: leads_to.as_ref().map(PathBuf::from),
                    })
                    .collect(),
                scripts: Vec::new(),
                launcher: None,
            }),
            None => {
                self.unanswered(format!("the C toolchain of {compiler:?}"));
                Err(CToolchainError::NotFound {
                    program: compiler.join(" "),
                })
            }
        }
    }
}

/// Folders of a toolchain, of which only the names decide a plan.
fn listed(folders: &[String], deep: bool) -> impl Iterator<Item = Listing> {
    folders.iter().map(move |folder| Listing {
        folder: PathBuf::from(folder),
        deep,
        digest: [0; 32],
        folders: Vec::new(),
    })
}

fn nothing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

fn output(exit_code: i32, stdout: &str, stderr: &str) -> Output {
    Output {
        // As wait(2) has it.
        status: ExitStatus::from_raw(exit_code << 8),
        stdout: stdout.as_bytes().to_vec(),
        stderr: stderr.as_bytes().to_vec(),
    }
}

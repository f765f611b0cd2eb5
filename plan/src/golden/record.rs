//! Makes a recording: runs a go on the modules of `tests/golden/modules`, and writes down what it printed and what the planner
//! was answered.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Arc, Mutex};

use gofarm_identity::c_toolchain::{CToolchain, CToolchainError};

use super::cases::{CASES, Case, ROOT};
use super::recording::{self, Answers, Program, Recorded, Recording, Toolchain};
use super::render;
use crate::cc::allowed::PkgConfigText;
use crate::cc::memory::Memory;
use crate::cc::named;
use crate::error::PlanError;
use crate::gocmd::{GoCommand, GoEnv};
use crate::host::{Host, Kind, ThisHost};
use crate::lookups::Lookups;
use crate::plan::{PackageIndex, dry_run, interpret};

/// Records every case, and returns the release with it.
///
/// # Panics
/// Something is not as it was thought: a recording is made by hand.
pub(super) fn record(program: &Path) -> (String, Recording) {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().canonicalize().unwrap();
    for name in ["home", "tmp"] {
        fs::create_dir(base.join(name)).unwrap();
    }
    copy(&recording::folder().join("modules"), &base.join("modules"));
    let mut go = GoCommand {
        program: program.to_owned(),
        cwd: base.clone(),
        env: surroundings(&base),
    };
    let said = go.go_env().unwrap();
    let version = said.get("GOVERSION").to_owned();
    let goroot = said.get("GOROOT").to_owned();
    go.program = Path::new(&goroot).join("bin/go");
    let places = Places {
        goroot,
        base: base.to_string_lossy().into_owned(),
    };
    let mut cases = BTreeMap::new();
    let mut answers = Answers::default();
    for case in &CASES {
        let recorded = places.record(&go, case, &mut answers);
        cases.insert(case.name.to_owned(), recorded);
    }
    let recording = Recording {
        cases,
        answers: Arc::new(answers),
    };
    let release: Vec<&str> = version.splitn(3, '.').take(2).collect();
    (release.join("."), recording)
}

/// Nothing of the user's, but PATH.
fn surroundings(base: &Path) -> Vec<(OsString, OsString)> {
    let mut env: Vec<(OsString, OsString)> =
        vec![("PATH".into(), std::env::var_os("PATH").unwrap_or_default())];
    for (name, value) in [
        ("GOENV", "off"),
        ("GOPROXY", "off"),
        ("GOTOOLCHAIN", "local"),
        ("LC_ALL", "C"),
    ] {
        env.push((name.into(), value.into()));
    }
    for (name, folder) in [("HOME", "home"), ("TMPDIR", "tmp"), ("GOCACHE", "cache")] {
        env.push((name.into(), base.join(folder).into()));
    }
    env
}

/// Where what stands below [`ROOT`] in a recording is on this machine.
struct Places {
    goroot: String,
    base: String,
}

impl Places {
    fn to_real(&self, text: &str) -> String {
        text.replace(&format!("{ROOT}/goroot"), &self.goroot)
            .replace(ROOT, &self.base)
    }

    fn to_recorded(&self, text: &str) -> String {
        text.replace(&self.goroot, &format!("{ROOT}/goroot"))
            .replace(&self.base, ROOT)
    }

    fn record(&self, go: &GoCommand, case: &Case, all: &mut Answers) -> Recorded {
        let mut go = go.clone();
        go.cwd = PathBuf::from(self.to_real(&format!("{ROOT}/modules/{}", case.folder)));
        for (name, value) in case.env {
            go.env.push((name.into(), self.to_real(value).into()));
        }
        let request = case.request(&|text| self.to_real(text));
        let argv = [&go.program.to_string_lossy(), "env", "-json"].map(str::to_owned);
        let said = go.ask_tool(&argv, &go.cwd).unwrap();
        // Without the index of packages, the text is half as long.
        let run = dry_run(&go, &request, PackageIndex::Passed).unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let recorded = Recorded {
            go_env: without_numbers(&text(&said.stdout)),
            stderr: text(&run.output.stderr),
            exit_code: run.output.status.code().unwrap(),
            graph: run.graph.as_ref().ok().map(|graph| without_times(graph)),
        };
        let recorder = Arc::new(Recorder {
            goroot: self.goroot.clone(),
            answers: Mutex::default(),
        });
        let host: Arc<dyn Host> = recorder.clone();
        let env = GoEnv::read(&said.stdout).unwrap();
        let lookups = Lookups::of(host);
        let plan = interpret(&go, &env, &request, Memory::none(), run, lookups);
        let shown = render::whole(&plan.map(|(plan, _)| plan));
        let mut answers = recorder.answers.lock().unwrap().clone();
        // Several are asked at once.
        let order = |program: &Program| (program.argv.clone(), program.cwd.clone());
        answers.programs.sort_by_key(order);
        let json = serde_json::to_string(&(&recorded, &answers)).unwrap();
        let (recorded, answers): (Recorded, Answers) =
            serde_json::from_str(&self.to_recorded(&json)).unwrap();
        all.add(&answers);
        // What was left out of the answers decides nothing.
        let replayed = super::replay::plan(case, &recorded, &Arc::new(answers));
        let replayed = render::whole(&replayed);
        let shown = self.to_recorded(&shown);
        let mut lines = shown.lines().zip(replayed.lines());
        assert_eq!(
            lines.find(|(one, other)| one != other),
            None,
            "{}",
            case.name
        );
        assert_eq!(shown.len(), replayed.len(), "{}", case.name);
        recorded
    }
}

/// `go env` names a folder that it would make.
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in text.split("/go-build").enumerate() {
        if index > 0 {
            out.push_str("/go-build");
        }
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        out.push_str(if index > 0 { &part[digits..] } else { part });
    }
    out
}

/// When each action was looked at.
fn without_times(graph: &str) -> String {
    let mut out = String::new();
    for line in graph.lines() {
        match line.split_once("\": \"") {
            Some((name, _)) if name.trim_start().starts_with("\"Time") => {
                out.push_str(&format!("{name}\": \"2000-01-01T00:00:00Z\",\n"));
            }
            _ => out.extend([line, "\n"]),
        }
    }
    out
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// This machine, whose answers are written down.
#[derive(Debug)]
struct Recorder {
    goroot: String,
    answers: Mutex<Answers>,
}

impl Recorder {
    fn note<T>(&self, answer: T, note: impl FnOnce(&mut Answers, &T)) -> T {
        note(&mut self.answers.lock().unwrap(), &answer);
        answer
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

impl Host for Recorder {
    fn kind(&self, path: &Path) -> Option<Kind> {
        self.note(ThisHost.kind(path), |answers, kind| {
            answers.kinds.insert(text(path), *kind);
        })
    }

    fn entry(&self, path: &Path) -> Option<Kind> {
        self.note(ThisHost.entry(path), |answers, kind| {
            answers.entries.insert(text(path), *kind);
        })
    }

    fn real_path(&self, path: &Path) -> Option<PathBuf> {
        self.note(ThisHost.real_path(path), |answers, real| {
            let real = real.as_deref().map(text);
            answers.real_paths.insert(text(path), real);
        })
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.note(ThisHost.read(path), |answers, content| {
            let content = content
                .as_ref()
                .ok()
                .map(|bytes| match path.starts_with(&self.goroot) {
                    true => shortened(&String::from_utf8_lossy(bytes)),
                    false => String::from_utf8(bytes.clone()).unwrap(),
                });
            answers.contents.insert(text(path), content);
        })
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<(OsString, Kind)>> {
        self.note(ThisHost.names(folder), |answers, names| {
            let names = names.as_ref().ok().map(|names| {
                let names = names.iter();
                names
                    .map(|(name, kind)| (name.to_str().unwrap().to_owned(), *kind))
                    .collect()
            });
            answers.names.insert(text(folder), names);
        })
    }

    fn look_up(&self, go: &GoCommand, name: &Path) -> Option<PathBuf> {
        self.note(ThisHost.look_up(go, name), |answers, found| {
            let found = found.as_deref().map(text);
            answers.programs_found.insert(text(name), found);
        })
    }

    fn ask_tool(&self, go: &GoCommand, argv: &[String], cwd: &Path) -> io::Result<Output> {
        let output = ThisHost.ask_tool(go, argv, cwd)?;
        self.answers.lock().unwrap().programs.push(Program {
            argv: argv.to_vec(),
            cwd: text(cwd),
            exit_code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout.clone()).unwrap(),
            stderr: String::from_utf8(output.stderr.clone()).unwrap(),
        });
        Ok(output)
    }

    fn refused_flags(
        &self,
        go: &GoCommand,
        goroot: &str,
        said: &PkgConfigText,
    ) -> Result<Option<String>, PlanError> {
        let refusal = ThisHost.refused_flags(go, goroot, said)?;
        let judged = (said.clone(), refusal.clone());
        self.answers.lock().unwrap().judged.push(judged);
        Ok(refusal)
    }

    fn c_toolchain(
        &self,
        go: &GoCommand,
        compiler: &[String],
    ) -> Result<CToolchain, CToolchainError> {
        let found = ThisHost.c_toolchain(go, compiler)?;
        let listed = |deep: bool| {
            let folders = found.listings.iter().filter(|found| found.deep == deep);
            folders.map(|found| text(&found.folder)).collect()
        };
        let searched = found.searched.iter();
        let searched = searched.map(|folder| {
            let leads_to = folder.leads_to.as_deref().map(text);
            (text(&folder.spelled), leads_to)
        });
        // Neither is planned with in any case.
        assert_eq!((&*found.scripts, &found.launcher), (&[][..], &None));
        self.answers.lock().unwrap().toolchains.push(Toolchain {
            compiler: compiler.to_vec(),
            identity: found.identity.clone(),
            name: found.name.clone(),
            folder: text(&found.folder),
            headers: listed(true),
            libraries: listed(false),
            searched: searched.collect(),
        });
        Ok(found)
    }
}

/// The lines of a source that name other files: all that planning reads of it. Go's own sources are not kept here.
fn shortened(source: &str) -> String {
    let counts = |line: &&str| !named::names(line).is_empty() || named::any_includes_by_macro(line);
    let mut short = String::new();
    for line in source.lines().filter(counts) {
        short.extend([line, "\n"]);
    }
    let all = |text: &str| {
        let names = named::names(text).into_iter();
        let names: BTreeSet<String> = names.map(|name| format!("{name:?}")).collect();
        (names, named::any_includes_by_macro(text))
    };
    assert_eq!(all(&short), all(source));
    short
}

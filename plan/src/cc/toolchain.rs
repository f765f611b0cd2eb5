//! The C toolchains of the machine that plans. What their identities are made of stands in
//! [`gofarm_identity::c_toolchain`]; a worker that can run the actions says the same of itself.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use gofarm_identity::c_toolchain::joined;
use gofarm_identity::c_toolchain::joined_names;

use super::memory::{Memory, Probe, Remembered};
use super::system::System;
use super::unseen;
use crate::error::PlanError;
use crate::gocmd::GoCommand;
use crate::host::Host;
use crate::machine::{ListingFact, MachineFact, ProgramFact, SearchedFact, bytes, path};
use crate::snapshot::decides;

/// The toolchains that a plan uses, each asked once, and not at all while it is the one that an earlier plan has asked.
#[derive(Debug)]
pub(crate) struct Toolchains {
    host: Arc<dyn Host>,
    memory: Memory,
    remembered: Option<Vec<Remembered>>,
    /// By the compiler's command line.
    used: HashMap<Vec<String>, Remembered>,
    learned: bool,
    /// Programs that are declared: they do nothing but by their own file and what they are given.
    declared: Vec<PathBuf>,
}

/// What a plan rests on that used toolchains.
pub(crate) struct Used {
    /// The names of the compilers, and of those of their parts that they leave to PATH.
    pub compilers: Vec<String>,
    pub files: Vec<PathBuf>,
    pub listings: Vec<ListingFact>,
    pub searched: Vec<SearchedFact>,
}

impl Toolchains {
    pub fn new(host: Arc<dyn Host>, memory: Memory, declared: Vec<PathBuf>) -> Toolchains {
        Toolchains {
            host,
            memory,
            declared,
            remembered: None,
            used: HashMap::new(),
            learned: false,
        }
    }

    /// The toolchain of a command line such as `gcc` or `ccache clang -m64`.
    pub fn identified(
        &mut self,
        go: &GoCommand,
        compiler: &[String],
    ) -> Result<&Remembered, PlanError> {
        self.toolchain(go, compiler).map(|toolchain| &*toolchain)
    }

    /// What the identities of these compilers cover: all of them are in the key of an action that runs one.
    pub fn system(
        &mut self,
        go: &GoCommand,
        compilers: &[Vec<String>],
    ) -> Result<System, PlanError> {
        let mut system = System::default();
        for compiler in compilers {
            system.add(self.toolchain(go, compiler)?);
        }
        Ok(system)
    }

    /// What people call the toolchain of these compilers, which are [identified](Toolchains::identified).
    pub fn name(&self, compilers: &[Vec<String>]) -> String {
        let known = compilers
            .iter()
            .filter_map(|compiler| self.used.get(compiler));
        joined_names(known.map(|toolchain| toolchain.name.as_str()))
    }

    /// Whether the compiler knows these flags (`gccSupportsFlag` in cmd/go/internal/work/exec.go): the command lines of the
    /// questions, answered in their order, and all at once where none is answered yet.
    pub fn supports(
        &mut self,
        go: &GoCommand,
        compiler: &[String],
        questions: &[Vec<String>],
    ) -> Result<Vec<bool>, PlanError> {
        let host = Arc::clone(&self.host);
        let host = &*host;
        let toolchain = self.toolchain(go, compiler)?;
        let known = |probes: &[Probe], argv: &[String]| {
            let probe = probes.iter().find(|probe| probe.argv == argv)?;
            Some(probe.answer)
        };
        let unknown: Vec<&Vec<String>> = questions
            .iter()
            .filter(|argv| known(&toolchain.probes, argv).is_none())
            .collect();
        let answers = std::thread::scope(|scope| {
            let asked: Vec<_> = unknown
                .iter()
                .map(|argv| scope.spawn(move || ask(host, go, argv)))
                .collect();
            let answers = asked.into_iter().map(|asked| {
                asked
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            answers.collect::<Result<Vec<bool>, PlanError>>()
        })?;
        let learned = !answers.is_empty();
        let probes = unknown.into_iter().cloned().zip(answers);
        toolchain
            .probes
            .extend(probes.map(|(argv, answer)| Probe { argv, answer }));
        let answers = questions
            .iter()
            .map(|argv| known(&toolchain.probes, argv).unwrap_or(false))
            .collect();
        self.learned |= learned;
        Ok(answers)
    }

    /// Remembers what was learned.
    pub fn finish(self) -> Used {
        let mut used = Used {
            compilers: Vec::new(),
            files: Vec::new(),
            listings: Vec::new(),
            searched: Vec::new(),
        };
        let mut records: Vec<Remembered> = Vec::new();
        for toolchain in self.used.into_values() {
            let programs = toolchain.programs.iter();
            used.compilers
                .extend(programs.map(|program| program.name.clone()));
            let files = toolchain.files.iter();
            used.files
                .extend(files.map(|fact| path(&fact.path).to_owned()));
            used.listings.extend(toolchain.listings.iter().cloned());
            used.searched.extend(toolchain.searched.iter().cloned());
            records.push(toolchain);
        }
        used.listings.sort_by(|a, b| a.path.cmp(&b.path));
        used.listings.dedup_by(|one, other| one.agrees(other));
        used.searched.sort_unstable();
        used.searched.dedup();
        if self.learned {
            let is_older = |old: &Remembered| {
                !records.iter().any(|new| {
                    (&new.compiler, &new.surroundings) == (&old.compiler, &old.surroundings)
                })
            };
            let mut older = self.remembered.unwrap_or_default();
            older.retain(is_older);
            records.extend(older);
            self.memory.write(records);
        }
        used
    }

    fn toolchain(
        &mut self,
        go: &GoCommand,
        compiler: &[String],
    ) -> Result<&mut Remembered, PlanError> {
        if !self.used.contains_key(compiler) {
            unseen::refuse(compiler.get(1..).unwrap_or_default())?;
            let surroundings = surroundings(go);
            let remembered = self.remembered.get_or_insert_with(|| self.memory.read());
            let known = remembered.iter().find(|known| {
                known.compiler == compiler && known.surroundings == surroundings && known.holds(go)
            });
            let record = match known {
                Some(known) => known.clone(),
                None => {
                    self.learned = true;
                    identify(&*self.host, go, compiler, surroundings)?
                }
            };
            self.refuse_undeclared(&record)?;
            self.used.insert(compiler.to_vec(), record);
        }
        self.used.get_mut(compiler).ok_or_else(|| {
            PlanError::Inconsistent(format!("{compiler:?} is a compiler that is not known"))
        })
    }
}

impl Toolchains {
    /// Refuses programs of which nobody can say what they read: scripts, and those that start a compiler.
    fn refuse_undeclared(&self, toolchain: &Remembered) -> Result<(), PlanError> {
        let real = |path: &Path| self.host.real_path(path);
        let is_declared = |path: &Path| {
            let path = real(path);
            self.declared.iter().any(|known| real(known) == path)
        };
        let scripts = toolchain.scripts.iter().map(|script| (script, true));
        let launcher = toolchain.launcher.iter().map(|launcher| (launcher, false));
        let refused = scripts
            .chain(launcher)
            .find(|(program, _)| !is_declared(Path::new(program)));
        let Some((program, is_script)) = refused else {
            return Ok(());
        };
        let what = match is_script {
            true => {
                "it is a script, and what it reads besides its own file and its arguments is in no key"
            }
            false => "it is no C compiler but starts one, and what it reads besides is in no key",
        };
        let instead = match is_script {
            true => "set CC and CXX to the compiler itself",
            false => {
                "set CC and CXX to the compiler alone (results are kept by gofarm itself, as ccache keeps them)"
            }
        };
        Err(PlanError::Unsupported {
            what: format!("the C compiler {}", toolchain.compiler.join(" ")),
            why: format!(
                "{program} has a part in it: {what}; {instead}, set CGO_ENABLED=0, or, if it reads nothing else, say so in \
                 gofarm.toml:\n\tcompilers = [{program:?}]"
            ),
        })
    }
}

fn identify(
    host: &dyn Host,
    go: &GoCommand,
    compiler: &[String],
    surroundings: Vec<u8>,
) -> Result<Remembered, PlanError> {
    let found = host.c_toolchain(go, compiler)?;
    let text = |path: &Path| path.to_string_lossy().into_owned();
    Ok(Remembered {
        compiler: compiler.to_vec(),
        surroundings,
        identity: found.identity,
        name: found.name,
        folder: found.folder.to_string_lossy().into_owned(),
        files: found
            .files
            .iter()
            .map(|file| MachineFact::of(file))
            .collect(),
        listings: found.listings.iter().map(ListingFact::from).collect(),
        searched: found.searched.iter().map(SearchedFact::of).collect(),
        probes: Vec::new(),
        scripts: found.scripts.iter().map(|path| text(path)).collect(),
        launcher: found.launcher.as_deref().map(text),
        programs: found
            .programs
            .iter()
            .map(|name| ProgramFact::of(go, name))
            .collect(),
    })
}

/// The environment that decides what a compiler says, as it decides plans.
fn surroundings(go: &GoCommand) -> Vec<u8> {
    let mut vars: Vec<_> = go.env.iter().collect();
    vars.retain(|(name, _)| decides(&name.to_string_lossy()));
    vars.sort();
    let mut hasher = blake3::Hasher::new_derive_key("gofarm surroundings of a C compiler v1");
    for text in vars.into_iter().flat_map(|(name, value)| [name, value]) {
        let text = bytes(Path::new(text));
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(&text);
    }
    hasher.finalize().as_bytes().to_vec()
}

fn ask(host: &dyn Host, go: &GoCommand, argv: &[String]) -> Result<bool, PlanError> {
    let output = host.run_tool(go, argv, &go.cwd)?;
    let mut text = output.stdout;
    text.extend_from_slice(&output.stderr);
    let text = String::from_utf8_lossy(&text);
    let refusals = [
        "unrecognized",
        "unknown",
        "unrecognised",
        "is not supported",
        "not recognized",
        "unsupported",
    ];
    Ok(!refusals.iter().any(|no| text.contains(no)))
}

//! What is planned with a release: specimens of every sort, and its own commands.

use std::path::Path;

use anyhow::Context;
use gofarm_plan::{GoCommand, PlanRequest};
use gofarm_specimens::Specimen;

use crate::go_command::Release;

/// A name, flags, and variables.
type Way = (
    &'static str,
    &'static [&'static str],
    &'static [(&'static str, &'static str)],
);

/// Flags and variables with which the commands of GOROOT are planned.
const WAYS: &[Way] = &[
    ("plain", &[], &[]),
    ("race", &["-race"], &[]),
    ("cover", &["-cover", "-covermode=atomic"], &[]),
    ("pie", &["-buildmode=pie"], &[]),
    (
        "flags",
        &[
            "-gcflags=all=-N -l",
            "-ldflags=-s -w",
            "-asmflags=-spectre=ret",
            "-tags=x",
        ],
        &[],
    ),
    ("without-cgo", &[], &[("CGO_ENABLED", "0")]),
    ("windows", &[], &[("GOOS", "windows"), ("GOARCH", "amd64")]),
    ("darwin", &[], &[("GOOS", "darwin"), ("GOARCH", "arm64")]),
    ("wasm", &[], &[("GOOS", "js"), ("GOARCH", "wasm")]),
    ("386", &[], &[("GOOS", "linux"), ("GOARCH", "386")]),
];

/// One dry run.
pub enum Trial {
    /// A specimen.
    Specimen(Specimen),
    /// The commands of GOROOT, in one of the [`WAYS`].
    Commands(usize),
}

/// All trials.
pub fn all() -> impl Iterator<Item = Trial> {
    let specimens = gofarm_specimens::specimens();
    (0..WAYS.len())
        .map(Trial::Commands)
        .chain(specimens.into_iter().map(Trial::Specimen))
}

impl Trial {
    /// Its name, of the letters of a file name.
    pub fn name(&self) -> String {
        match self {
            Trial::Specimen(specimen) => specimen.name.to_owned(),
            Trial::Commands(way) => format!("cmd-{}", WAYS[*way].0),
        }
    }

    /// Writes what is planned into a folder that does not exist yet.
    ///
    /// # Errors
    /// A folder cannot be written, or git or go failed.
    pub fn prepare(
        &self,
        release: &Release,
        root: &Path,
    ) -> anyhow::Result<(GoCommand, PlanRequest)> {
        std::fs::create_dir_all(root).with_context(|| format!("making {}", root.display()))?;
        let mut request = PlanRequest {
            trimpath: true,
            ..PlanRequest::default()
        };
        let go_folder = release.goroot.join("bin");
        let go = match self {
            Trial::Specimen(specimen) => {
                let mut written = specimen.write_for(&root.join("s"), Some(&go_folder))?;
                let cache = root.join("gocache").display().to_string();
                written.set_var("GOCACHE", Some(&cache));
                request.flags.clone_from(&written.flags);
                request.packages.clone_from(&written.packages);
                let own = written.root.join("bin");
                request.compilers = ["gcc", "g++"].map(|name| own.join(name)).to_vec();
                GoCommand {
                    program: release.go.clone(),
                    cwd: written.folder.clone(),
                    env: written.vars_os(),
                }
            }
            Trial::Commands(way) => {
                let (_, flags, variables) = WAYS[*way];
                request.flags = flags.iter().map(|&flag| flag.to_owned()).collect();
                request.packages = vec!["cmd".to_owned()];
                let process =
                    release.process(&release.go, &release.goroot.join("src/cmd"), root)?;
                let mut env = std::collections::BTreeMap::from_iter(std::env::vars_os());
                for (name, value) in process.env {
                    match value {
                        Some(value) => env.insert(name, value),
                        None => env.remove(&name),
                    };
                }
                for (name, value) in variables {
                    env.insert(name.into(), value.into());
                }
                let tmp = root.join("tmp");
                std::fs::create_dir_all(&tmp)
                    .with_context(|| format!("making {}", tmp.display()))?;
                GoCommand {
                    program: release.go.clone(),
                    cwd: process.cwd,
                    env: env.into_iter().collect(),
                }
            }
        };
        Ok((go, request))
    }
}

//! The folder of one test, and what was seen in it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use gofarm_observe::{Access, Kind, LeftBehind, ObserveError, Observed, Outcome, Request, observe};
use tempfile::TempDir;

pub struct Place {
    folder: TempDir,
}

/// A command that was observed to its end.
pub struct Seen {
    pub observed: Observed,
    pub accesses: Vec<Access>,
    folder: PathBuf,
}

impl Place {
    pub fn new(files: &[(&str, &str)]) -> Place {
        let folder = tempfile::Builder::new()
            .prefix("gofarm-observe-")
            .tempdir()
            .unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Place { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    pub fn request(&self, program: &str, args: &[&str]) -> Request {
        Request {
            program: found(program),
            args: args.iter().map(Into::into).collect(),
            env: std::env::vars_os().collect(),
            folder: self.path(""),
            left_behind: LeftBehind::Wait,
        }
    }

    pub fn try_run(&self, request: &Request) -> Result<Seen, ObserveError> {
        let mut accesses = Vec::new();
        let observed = observe(request, &mut |access| accesses.push(access))?;
        Ok(Seen {
            observed,
            accesses,
            folder: self.path(""),
        })
    }

    pub fn run(&self, program: &str, args: &[&str]) -> Seen {
        self.try_run(&self.request(program, args)).unwrap()
    }

    /// A shell script in the folder.
    pub fn shell(&self, script: &str) -> Seen {
        self.run("sh", &["-c", script])
    }

    /// Compiles a C program that the folder has.
    pub fn compile(&self, source: &str, program: &str, flags: &[&str]) {
        let source = self.path(source);
        let program = self.path(program);
        let mut args = vec![source.to_str().unwrap(), "-o", program.to_str().unwrap()];
        args.extend(flags);
        #[allow(clippy::disallowed_methods, reason = "makes what a test observes")]
        let made = std::process::Command::new("gcc")
            .args(args)
            .output()
            .unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
    }
}

impl Seen {
    /// What was asked of a path in the folder.
    pub fn asked(&self, name: &str) -> BTreeSet<(Kind, Outcome)> {
        self.accesses
            .iter()
            .filter(|access| access.path == self.folder.join(name))
            .map(|access| (access.kind, access.outcome))
            .collect()
    }

    pub fn ok(self) -> Seen {
        assert!(
            self.observed.status.success(),
            "{:?}\n{}",
            self.observed.status,
            String::from_utf8_lossy(&self.observed.stderr)
        );
        self
    }

    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.observed.stdout).into_owned()
    }
}

pub fn found(program: &str) -> PathBuf {
    if program.contains('/') {
        return PathBuf::from(program);
    }
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .unwrap_or_else(|| Path::new(program).to_owned())
}

//! The one module that runs `go`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use crate::error::PlanError;
use crate::goflags::{self, MARK};

/// A folder for files that a go command reads or writes: of this user alone, and with a name that nobody knows before.
pub(crate) fn temporary_folder() -> Result<tempfile::TempDir, PlanError> {
    let made = tempfile::Builder::new().prefix("gofarm-plan-").tempdir();
    made.map_err(|source| PlanError::Temporary {
        folder: std::env::temp_dir().display().to_string(),
        source,
    })
}

/// What a program that a plan depends on has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// What was run.
    pub argv: Vec<String>,
    /// Where.
    pub cwd: String,
    /// Its standard output; nothing when it failed.
    pub said: Option<Vec<u8>>,
}

impl Answer {
    /// What became of asking.
    pub fn of(argv: Vec<String>, cwd: String, output: std::io::Result<Output>) -> Answer {
        let output = output.ok().filter(|output| output.status.success());
        Answer {
            argv,
            cwd,
            said: output.map(|output| output.stdout),
        }
    }
}

/// A `go` command in a folder, with its whole environment.
#[derive(Debug, Clone)]
pub struct GoCommand {
    /// What is run: `go`, or a path.
    pub program: PathBuf,
    /// Where.
    pub cwd: PathBuf,
    /// The environment of the user.
    pub env: Vec<(OsString, OsString)>,
}

impl GoCommand {
    /// The `go` on PATH, in this folder, with this process's environment.
    pub fn new(cwd: impl Into<PathBuf>) -> GoCommand {
        GoCommand {
            program: PathBuf::from("go"),
            cwd: cwd.into(),
            env: std::env::vars_os().collect(),
        }
    }

    /// A variable of the user's environment, as text; empty when unset.
    pub fn var(&self, name: &str) -> String {
        self.env
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    /// The file that is run; `None` when it is not found.
    pub(crate) fn locate(&self) -> Option<PathBuf> {
        self.look_up(&self.program)
    }

    /// The file that this name means: a program on PATH, as exec.LookPath finds it, unless it is a path itself.
    pub(crate) fn look_up(&self, name: &Path) -> Option<PathBuf> {
        if name.components().count() > 1 {
            return Some(self.cwd.join(name));
        }
        std::env::split_paths(&self.var("PATH"))
            .map(|folder| folder.join(name))
            .find(|path| is_program(path))
    }

    /// Runs `go build` to its end, with the user's GOFLAGS.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn build(&self, args: &[String], env: &[(&str, String)]) -> Result<Output, PlanError> {
        let mut words = vec!["build".to_owned()];
        words.extend_from_slice(args);
        self.run(&words, env)
    }

    /// Runs a command of `go` that answers a question, to its end. GOFLAGS is not for it (`goflags.rs`): `go env` would
    /// take from it what it is to print, or that it is to forget a setting.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn ask(&self, words: &[&str]) -> Result<Output, PlanError> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        self.run(&words, &[("GOFLAGS", MARK.to_owned())])
    }

    fn run(&self, args: &[String], env: &[(&str, String)]) -> Result<Output, PlanError> {
        let mut command = process(&self.program, &self.cwd);
        command
            .args(args)
            .env_clear()
            .envs(self.env.iter().cloned());
        // As a shell's `cd` would: cmd/go prefers PWD's spelling of the working folder.
        command.env("PWD", &self.cwd);
        for (name, value) in env {
            command.env(name, value);
        }
        command.output().map_err(|source| PlanError::NoGo {
            program: self.program.display().to_string(),
            source,
        })
    }

    /// Runs another program of the user's machine that the planner asks for facts.
    pub fn ask_tool(&self, argv: &[String], cwd: &Path) -> std::io::Result<Output> {
        let mut command = process(Path::new(&argv[0]), cwd);
        command
            .args(&argv[1..])
            .env_clear()
            .envs(self.env.iter().cloned())
            .env("LC_ALL", "C");
        command.output()
    }

    /// Asks a program.
    pub(crate) fn answer(&self, argv: Vec<String>, cwd: String) -> Answer {
        let output = self.ask_tool(&argv, Path::new(&cwd));
        Answer::of(argv, cwd, output)
    }

    /// The flags that apply to every command: GOFLAGS, from the environment or `go env -w`.
    ///
    /// # Errors
    /// `go env` failed.
    pub fn flags(&self) -> Result<String, PlanError> {
        let env = self.ask_env(&["GOFLAGS", "GOENV", "GOROOT"])?;
        Ok(env.get("GOFLAGS").to_owned())
    }

    /// `go env -json`.
    ///
    /// # Errors
    /// `go env` failed.
    pub fn go_env(&self) -> Result<GoEnv, PlanError> {
        self.ask_env(&[])
    }

    /// `go env -json`, of these variables or of all.
    fn ask_env(&self, names: &[&str]) -> Result<GoEnv, PlanError> {
        let output = self.ask(&[&["env", "-json"], names].concat())?;
        if !output.status.success() {
            return Err(refused(&output));
        }
        let mut env = GoEnv::read(&output.stdout)?;
        let value = goflags::Asked {
            answer: env.get("GOFLAGS"),
            environment: &self.var("GOFLAGS"),
            settings_file: env.get("GOENV"),
            goroot: env.get("GOROOT"),
        }
        .value();
        env.vars.insert("GOFLAGS".to_owned(), value);
        Ok(env)
    }
}

/// Whether it is a file that somebody may start: others on PATH are passed over.
fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

fn refused(output: &Output) -> PlanError {
    let text = String::from_utf8_lossy(&output.stderr);
    PlanError::said_by_go(
        text.trim_end().to_owned(),
        output.status.code().unwrap_or(1),
    )
}

#[allow(clippy::disallowed_methods, reason = "this is the planner's wrapper")]
fn process(program: &Path, cwd: &Path) -> std::process::Command {
    let mut command = std::process::Command::new(program);
    command.current_dir(cwd).stdin(Stdio::null());
    command
}

/// What `go env` says.
#[derive(Debug, Clone, Default)]
pub struct GoEnv {
    vars: BTreeMap<String, String>,
}

impl GoEnv {
    /// The answer of `go env -json`.
    pub(crate) fn read(said: &[u8]) -> Result<GoEnv, PlanError> {
        let vars = serde_json::from_slice(said).map_err(|error| PlanError::Tool {
            program: "go env -json".to_owned(),
            detail: format!("its answer is no JSON ({error}); is the go on PATH a go command?"),
        })?;
        Ok(GoEnv { vars })
    }

    /// A variable; empty when cmd/go does not know it.
    pub fn get(&self, name: &str) -> &str {
        self.vars.get(name).map_or("", String::as_str)
    }

    /// Name and value of every variable.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.vars
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Refuses releases older than Go 1.24.
    ///
    /// Before 1.24 the linker wrote no GNU build ID of its own and cmd/go computed content IDs without leaving
    /// it out, so binaries of older releases cannot be stamped the same way.
    pub fn check_version(&self) -> Result<(), PlanError> {
        let version = self.get("GOVERSION");
        let minor = version
            .split_whitespace()
            .find_map(|word| word.strip_prefix("go1."))
            .and_then(|rest| {
                rest.split(|c: char| !c.is_ascii_digit())
                    .next()
                    .and_then(|minor| minor.parse::<u32>().ok())
            });
        match minor {
            Some(minor) if minor >= 24 => Ok(()),
            _ => Err(PlanError::UnsupportedGo {
                version: version.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_before_1_24_are_refused() {
        let check = |version: &str| {
            let vars = [("GOVERSION".to_owned(), version.to_owned())].into();
            GoEnv { vars }.check_version().is_ok()
        };
        for version in [
            "go1.24",
            "go1.24.11",
            "go1.27.3 X:nocoverageredesign",
            "devel go1.28-abc",
        ] {
            assert!(check(version), "{version}");
        }
        for version in ["go1.23.9", "go1.4", "", "go2.0"] {
            assert!(!check(version), "{version}");
        }
    }
}

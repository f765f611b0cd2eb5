//! The command line.

use std::path::PathBuf;

use anyhow::{Context, bail};
use gofarm_bench::command_line::{self, Flag, Parsed, Words};
use tempfile::TempDir;

use crate::go_command::Release;
use crate::list::{self, Program};
use crate::release;

/// What `--help` prints.
pub const HELP: &str = "\
Build public Go programs with go build and with gofarm, and compare them.

usage: gofarm-corpus [flags]            build the programs of the list
       gofarm-corpus list [flags]       print the list
       gofarm-corpus release [flags]    name what gofarm does not know of
                                        a Go release

	--go path        a go command; may be given several times; by default
	                 that of PATH
	--gofarm path    the gofarm command; by default the one beside this
	                 program
	--only a,b       only programs or specimens whose names have one of
	                 these in them
	--json           JSON on stdout, one line for each program or release,
	                 instead of a table or list
	--dir folder     make the temporary folder there; 12 GB are enough for
	                 all programs

Programs come from the Go module proxy, at the versions of the list, and
stay in the user's module cache. Nothing else outside of the temporary
folder is written. list takes --only and --json, release all but
--gofarm. The exit code is 0 when every program was identical, and with
release when nothing was unknown.
";

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Build public programs on both sides.
    Programs,
    /// Say what of a release is unknown.
    Release,
    /// Print the list.
    List,
}

/// What the user wants.
#[derive(Debug, PartialEq)]
pub struct Options {
    /// What is done.
    pub task: Task,
    /// At least one go command.
    pub go: Vec<PathBuf>,
    /// As the user names it.
    pub gofarm: Option<PathBuf>,
    /// Parts of names; none for all.
    pub only: Vec<String>,
    /// Lines for programs instead of a table.
    pub json: bool,
    /// Where the temporary folder is made.
    pub dir: PathBuf,
}

impl Options {
    /// Reads the words behind the program's name.
    ///
    /// # Errors
    /// A word that is not known, or a value that is missing.
    pub fn parse(words: impl IntoIterator<Item = String>) -> anyhow::Result<Parsed<Options>> {
        let mut options = Options {
            task: Task::Programs,
            go: Vec::new(),
            gofarm: None,
            only: Vec::new(),
            json: false,
            dir: std::env::temp_dir(),
        };
        let mut words = Words::new(words);
        if let Some(task) = words.plain() {
            options.task = match task.as_str() {
                "release" => Task::Release,
                "list" => Task::List,
                _ => bail!("{task:?} is none of list, release"),
            };
        }
        while let Some(flag) = words.flag() {
            match flag.name() {
                _ if flag.is_help() => return Ok(Parsed::Help),
                "go" | "dir" | "gofarm" if options.task == Task::List => {
                    return Err(no_use(&flag, "list"));
                }
                "gofarm" if options.task == Task::Release => return Err(no_use(&flag, "release")),
                "json" if flag.is_bare() => options.json = true,
                "go" => options.go.push(words.value(&flag)?.into()),
                "gofarm" => options.gofarm = Some(words.value(&flag)?.into()),
                "only" => {
                    let parts = words.value(&flag)?;
                    options.only.extend(parts.split(',').map(str::to_owned));
                }
                "dir" => options.dir = words.value(&flag)?.into(),
                _ => return Err(flag.unknown()),
            }
        }
        if options.go.is_empty() {
            options.go.push("go".into());
        }
        options.check_only()?;
        Ok(Parsed::Run(options))
    }

    /// The command to compare.
    ///
    /// # Errors
    /// There is none.
    pub fn gofarm(&self) -> anyhow::Result<PathBuf> {
        command_line::gofarm(self.gofarm.as_deref())
    }

    /// The releases of the go commands, in their order.
    ///
    /// # Errors
    /// A go command cannot be run.
    pub fn releases(&self) -> anyhow::Result<Vec<Release>> {
        self.go.iter().map(|go| Release::find(go)).collect()
    }

    /// A new folder in that of `--dir`, which goes with what is returned.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn temporary_folder(&self) -> anyhow::Result<TempDir> {
        let prefix = match self.task {
            Task::Programs | Task::List => "gofarm-corpus-",
            Task::Release => "gofarm-release-",
        };
        tempfile::Builder::new()
            .prefix(prefix)
            .tempdir_in(&self.dir)
            .with_context(|| format!("making a folder in {}", self.dir.display()))
    }

    /// Whether `--only` picks this name.
    pub fn picks(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part.as_str()))
    }

    /// The programs that `--only` picks; at least one.
    ///
    /// # Errors
    /// The list contradicts itself.
    pub fn programs(&self) -> anyhow::Result<Vec<Program>> {
        let mut programs = list::programs()?;
        programs.retain(|program| self.picks(&program.name));
        Ok(programs)
    }

    /// Each part of `--only` picks something: a word that picks nothing is a mistake, also beside one that picks much.
    fn check_only(&self) -> anyhow::Result<()> {
        let names: Vec<String> = match self.task {
            Task::Release => release::names(),
            Task::Programs | Task::List => {
                let programs = list::programs()?;
                programs.into_iter().map(|program| program.name).collect()
            }
        };
        let picks_nothing = |part: &&String| !names.iter().any(|name| name.contains(part.as_str()));
        if let Some(part) = self.only.iter().find(picks_nothing) {
            bail!(
                "--only {part}: no name has that in it; there are {}",
                names.join(", ")
            );
        }
        Ok(())
    }
}

fn no_use(flag: &Flag, task: &str) -> anyhow::Error {
    anyhow::anyhow!("--{} is of no use to {task}", flag.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> anyhow::Result<Parsed<Options>> {
        Options::parse(words.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn several_releases_and_parts_of_names_are_taken() {
        let Parsed::Run(options) =
            parse(&["--go", "a/go", "--go=b/go", "--only", "sql,age", "--json"]).unwrap()
        else {
            panic!("asked for help");
        };
        assert_eq!(options.task, Task::Programs);
        assert_eq!(options.go, [PathBuf::from("a/go"), PathBuf::from("b/go")]);
        assert!(options.json && options.picks("litestream-sqlite") && options.picks("age"));
        assert!(!options.picks("fzf"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (words, text) in [
            (vec!["releases"], "\"releases\" is none of list, release"),
            (vec!["release", "--go"], "--go needs a value"),
            (vec!["--json=x"], "\"--json=x\" is not known"),
        ] {
            assert_eq!(parse(&words).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn only_with_a_name_that_is_not_there_is_refused_with_those_that_are() {
        for (words, there) in [
            (&["--only", "sqlite,nosuch"][..], "age"),
            (&["list", "--only=nosuch"], "age"),
            (&["release", "--only=nosuch"], "without-cgo"),
        ] {
            let error = parse(words).unwrap_err().to_string();
            let list = error.strip_prefix("--only nosuch: no name has that in it; there are ");
            let list = list.unwrap_or_else(|| panic!("{error}"));
            assert!(list.split(", ").any(|name| name.contains(there)), "{error}");
        }
        assert!(parse(&["release", "--only=without-cgo"]).is_ok());
    }

    #[test]
    fn a_flag_that_a_task_has_no_use_for_is_refused() {
        for (words, text) in [
            (&["list", "--go=go"][..], "--go is of no use to list"),
            (&["list", "--dir", "/"], "--dir is of no use to list"),
            (
                &["release", "--gofarm=x"],
                "--gofarm is of no use to release",
            ),
        ] {
            assert_eq!(parse(words).unwrap_err().to_string(), text);
        }
        assert!(parse(&["list", "--json"]).is_ok());
    }
}

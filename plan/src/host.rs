//! The machine that plans, as far as planning asks it.
//!
//! Planning is a function of what cmd/go printed and of the answers that come through [`Host`]. So a plan can be made again
//! from a record of both, on any machine, by no process (`golden`).

use std::ffi::OsString;
use std::fmt::Debug;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Output;

use gofarm_identity::c_toolchain::{self, CToolchain, CToolchainError};

use crate::cc::allowed::{self, PkgConfigText};
use crate::error::PlanError;
use crate::gocmd::GoCommand;

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum Kind {
    File,
    Folder,
    Link,
    /// A socket, a device.
    Other,
}

impl Kind {
    fn of(kind: fs::FileType) -> Kind {
        if kind.is_file() {
            Kind::File
        } else if kind.is_dir() {
            Kind::Folder
        } else if kind.is_symlink() {
            Kind::Link
        } else {
            Kind::Other
        }
    }
}

/// Answers the planner's questions. Which of them decide a plan is noted by [`Lookups`](crate::lookups::Lookups), which asks.
pub(crate) trait Host: Debug + Send + Sync {
    /// What is there, links followed; nothing where nothing is.
    fn kind(&self, path: &Path) -> Option<Kind>;

    /// What is there, be it a link.
    fn entry(&self, path: &Path) -> Option<Kind>;

    /// The path without links; nothing where nothing is.
    fn real_path(&self, path: &Path) -> Option<PathBuf>;

    /// The bytes of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The names in a folder, and what they are without following links, in any order.
    fn names(&self, folder: &Path) -> io::Result<Vec<(OsString, Kind)>>;

    /// The file that a name of a program means: see [`GoCommand::look_up`].
    fn look_up(&self, go: &GoCommand, name: &Path) -> Option<PathBuf>;

    /// What a program says.
    fn ask_tool(&self, go: &GoCommand, argv: &[String], cwd: &Path) -> io::Result<Output>;

    /// As [`ask_tool`](Host::ask_tool), with an error that names the program.
    fn run_tool(&self, go: &GoCommand, argv: &[String], cwd: &Path) -> Result<Output, PlanError> {
        self.ask_tool(go, argv, cwd)
            .map_err(|error| PlanError::Tool {
                program: argv.join(" "),
                detail: error.to_string(),
            })
    }

    /// What go has against flags that pkg-config said: see [`allowed::refusal`].
    fn refused_flags(
        &self,
        go: &GoCommand,
        goroot: &str,
        said: &PkgConfigText,
    ) -> Result<Option<String>, PlanError>;

    /// What a C compiler, which is a command line, is made of.
    fn c_toolchain(
        &self,
        go: &GoCommand,
        compiler: &[String],
    ) -> Result<CToolchain, CToolchainError>;
}

/// The machine that this process runs on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ThisHost;

impl Host for ThisHost {
    fn kind(&self, path: &Path) -> Option<Kind> {
        let metadata = fs::metadata(path).ok()?;
        Some(Kind::of(metadata.file_type()))
    }

    fn entry(&self, path: &Path) -> Option<Kind> {
        let metadata = fs::symlink_metadata(path).ok()?;
        Some(Kind::of(metadata.file_type()))
    }

    fn real_path(&self, path: &Path) -> Option<PathBuf> {
        path.canonicalize().ok()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<(OsString, Kind)>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            names.push((entry.file_name(), Kind::of(entry.file_type()?)));
        }
        Ok(names)
    }

    fn look_up(&self, go: &GoCommand, name: &Path) -> Option<PathBuf> {
        go.look_up(name)
    }

    fn ask_tool(&self, go: &GoCommand, argv: &[String], cwd: &Path) -> io::Result<Output> {
        go.ask_tool(argv, cwd)
    }

    fn refused_flags(
        &self,
        go: &GoCommand,
        goroot: &str,
        said: &PkgConfigText,
    ) -> Result<Option<String>, PlanError> {
        allowed::refusal(go, goroot, said)
    }

    fn c_toolchain(
        &self,
        go: &GoCommand,
        compiler: &[String],
    ) -> Result<CToolchain, CToolchainError> {
        let run = |argv: &[String]| {
            let output = go.ask_tool(argv, &go.cwd)?;
            Ok((output.stdout, output.stderr))
        };
        c_toolchain::identify(compiler, &go.var("PATH"), &run)
    }
}

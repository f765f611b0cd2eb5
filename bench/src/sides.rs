//! The two sides: the same packages of the same GOROOT, each side with caches of its own.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::events::Summary;
use crate::process::{self, Process};

/// The folders of one side: what it caches and what it writes.
#[derive(Debug, Clone)]
pub struct Side {
    folder: PathBuf,
}

impl Side {
    /// A side that keeps everything below this folder, which is made.
    pub fn new(folder: PathBuf) -> anyhow::Result<Side> {
        let side = Side { folder };
        for folder in [side.out(), side.folder.join("tmp")] {
            fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        }
        Ok(side)
    }

    /// Where the programs are written.
    pub fn out(&self) -> PathBuf {
        self.folder.join("out")
    }

    /// Removes the programs and keeps the caches.
    pub fn remove_programs(&self) -> anyhow::Result<()> {
        fs::remove_dir_all(self.out())
            .with_context(|| format!("removing {}", self.out().display()))?;
        fs::create_dir(self.out()).with_context(|| format!("making {}", self.out().display()))
    }

    /// Removes everything.
    pub fn remove(self) -> anyhow::Result<()> {
        fs::remove_dir_all(&self.folder)
            .with_context(|| format!("removing {}", self.folder.display()))
    }

    /// The `go` command of a GOROOT, in its module `cmd`, with nothing of the user's settings. gofarm plans with a go
    /// command; it gets a GOCACHE of its own, as cold as all its caches.
    fn process(&self, program: &Path, goroot: &Path) -> anyhow::Result<Process> {
        let path = process::path_behind(goroot.join("bin"))?;
        let mut process = Process::new(program, &goroot.join("src/cmd"));
        process.env = [
            "GOROOT",
            "GOFARM_CACHE_SIZE",
            "GOFARM_KEEP_GOING",
            "GOFARM_NO_CACHE",
            "GOFARM_SANDBOX",
            "GOFARM_SERVER",
            "GOFARM_TOKEN",
            "GOFARM_WORKERS",
        ]
        .into_iter()
        .map(|name| (name.into(), None))
        .collect();
        let set = [
            ("PATH", Some(path)),
            ("GOCACHE", Some(self.folder.join("gocache").into())),
            ("GOFARM_CACHE_DIR", Some(self.folder.join("farm").into())),
            ("TMPDIR", Some(self.folder.join("tmp").into())),
            ("GOENV", Some("off".into())),
            ("GOFLAGS", Some(OsString::new())),
            ("GOWORK", Some("off".into())),
            ("GOPROXY", Some("off".into())),
            ("GOTOOLCHAIN", Some("local".into())),
        ];
        let set = set.into_iter().map(|(name, value)| (name.into(), value));
        process.env.extend(set);
        Ok(process)
    }
}

/// What `go build` does with what it links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Writes it to [`Side::out`]; a program that is there and up to date is not linked again.
    Written,
    /// Throws it away, as `go build` does of several programs without `-o`; it links always.
    Discarded,
}

/// The side of `go build`.
#[derive(Debug, Clone)]
pub struct GoBuild {
    /// Its folders.
    pub side: Side,
    /// What it builds.
    pub packages: &'static [&'static str],
}

impl GoBuild {
    /// Builds with the go command of this GOROOT; seconds.
    pub fn build(&self, goroot: &Path, output: Output) -> anyhow::Result<f64> {
        let out = match output {
            Output::Written => folder_argument(&self.side.out()),
            Output::Discarded => "/dev/null".into(),
        };
        let process = self
            .side
            .process(&goroot.join("bin/go"), goroot)?
            // gofarm's default; it costs nothing and lets a second checkout use the first one's cache.
            .args(["build", "-trimpath", "-o"])
            .args([out])
            .args(self.packages.iter().copied());
        Ok(process.run()?.wall.as_secs_f64())
    }
}

/// The side of gofarm.
#[derive(Debug, Clone)]
pub struct Farm {
    /// Its folders.
    pub side: Side,
    /// The command.
    pub program: PathBuf,
    /// What it builds.
    pub packages: &'static [&'static str],
}

impl Farm {
    /// Builds with the go command of this GOROOT as planner; seconds, and what gofarm says about it. Embedded, unless the
    /// flags name a server.
    pub fn build(&self, goroot: &Path, flags: &[&str]) -> anyhow::Result<(f64, Summary)> {
        let summary = self.side.folder.join("summary.json");
        let process = self
            .side
            .process(&self.program, goroot)?
            // A flag that comes later counts.
            .args(["submit", "--progress=none", "--server=off", "-o"])
            .args([folder_argument(&self.side.out())])
            .args(["--summary-json".into(), OsString::from(&summary)])
            .args(flags.iter().copied())
            .args(self.packages.iter().copied());
        let wall = process.run()?.wall.as_secs_f64();
        Ok((wall, Summary::read(&summary)?))
    }

    /// Where `--events` can be written.
    pub fn events(&self) -> PathBuf {
        self.side.folder.join("events.ndjson")
    }
}

/// Fails unless both sides have written the same programs: a figure for something else would be worthless.
pub fn require_equal(go: &Side, farm: &Side) -> anyhow::Result<()> {
    let entries =
        fs::read_dir(go.out()).with_context(|| format!("listing {}", go.out().display()))?;
    for entry in entries {
        let built = entry?.path();
        let ours = farm.out().join(built.file_name().unwrap_or_default());
        let read =
            |path: &Path| fs::read(path).with_context(|| format!("reading {}", path.display()));
        if read(&built)? != read(&ours)? {
            bail!(
                "{} is not what go build makes; the builds cannot be compared ('gofarm verify' shows more)",
                ours.display()
            );
        }
    }
    Ok(())
}

/// A name that ends in a slash takes any number of programs.
fn folder_argument(folder: &Path) -> OsString {
    let mut text = folder.as_os_str().to_owned();
    text.push("/");
    text
}

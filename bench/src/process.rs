//! The one place that starts processes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// The exit code of a program that a shell has interrupted.
const INTERRUPTED: i32 = 130;

static STOPPED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From now on Ctrl-C and SIGTERM let the running command end (Ctrl-C in a terminal goes to it as well) and then make
/// [`Process::run`] an error, so that the temporary folder is removed on the way out. A second one ends this program at once.
pub fn watch_signals() -> anyhow::Result<()> {
    let flag = STOPPED.get_or_init(Arc::default);
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // In this order: the first signal finds the flag unset.
        signal_hook::flag::register_conditional_shutdown(signal, INTERRUPTED, flag.clone())
            .context("watching for signals")?;
        signal_hook::flag::register(signal, flag.clone()).context("watching for signals")?;
    }
    Ok(())
}

/// PATH with a folder in front of it.
///
/// # Errors
/// A folder has a name that PATH cannot hold.
pub fn path_behind(folder: PathBuf) -> anyhow::Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths([folder].into_iter().chain(std::env::split_paths(&path)))
        .context("putting a folder in front of PATH")
}

/// Whether a signal has come.
pub fn is_stopped() -> bool {
    STOPPED
        .get()
        .is_some_and(|flag| flag.load(Ordering::Relaxed))
}

/// Fails once a signal has come.
pub fn check_stopped() -> anyhow::Result<()> {
    if is_stopped() {
        bail!("interrupted");
    }
    Ok(())
}

/// A command that is to be run.
#[derive(Debug, Clone)]
pub struct Process {
    /// A path, or a name that is looked up in PATH.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Where it runs.
    pub cwd: PathBuf,
    /// Set over this process's environment; `None` takes a variable out.
    pub env: Vec<(OsString, Option<OsString>)>,
}

/// A command that has ended well.
#[derive(Debug)]
pub struct Ran {
    /// From before it was started until it was gone.
    pub wall: Duration,
    /// What it printed on stdout.
    pub stdout: String,
}

impl Process {
    /// A command in this folder with this process's environment.
    pub fn new(program: impl Into<PathBuf>, cwd: &Path) -> Process {
        Process {
            program: program.into(),
            args: Vec::new(),
            cwd: cwd.to_owned(),
            env: Vec::new(),
        }
    }

    /// Adds arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Process {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// The command as the system's library has it.
    pub fn command(&self) -> std::process::Command {
        #[allow(clippy::disallowed_methods, reason = "this is the wrapper")]
        let mut command = std::process::Command::new(&self.program);
        command.args(&self.args).current_dir(&self.cwd);
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// It cannot be started, exits with another code than 0, or the user has interrupted the measurement.
    pub fn run(&self) -> anyhow::Result<Ran> {
        check_stopped()?;
        let begun = Instant::now();
        let output = self
            .command()
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run {}: is it installed?", self.program.display()))?;
        let wall = begun.elapsed();
        check_stopped()?;
        if !output.status.success() {
            bail!(
                "{} {} in {} ended with {}:\n{}",
                self.program.display(),
                self.args.join(&OsString::from(" ")).display(),
                self.cwd.display(),
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(Ran {
            wall,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        })
    }
}

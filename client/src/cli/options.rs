//! What a `gofarm submit` or `gofarm verify` is to do, in full.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::server_choice::ServerChoice;

/// Everything that the flags, GOFLAGS and the environment say.
///
/// Paths that were given relative are relative to the folder that `-C` names: cmd/go changes there before anything else.
/// [`rooted_at`](SubmitOptions::rooted_at) makes them absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmitOptions {
    /// -C: the folder to work in.
    pub chdir: Option<PathBuf>,
    /// Flags for the dry run, in order, each as one argument `-name=value`. Without -a, -n, -p, -C, -trimpath and what
    /// is in GOFLAGS, which cmd/go reads itself. `-o=`, `-v=false`, `-work=false` and `-x=false` are here only when GOFLAGS
    /// says otherwise: they would change what the dry run prints.
    pub plan_flags: Vec<String>,
    /// -toolexec, also when it is in GOFLAGS: a program and its arguments.
    pub toolexec: Option<String>,
    /// -o. None also for `-o=`.
    pub output: Option<String>,
    /// Package patterns or files; none means the package in the working folder.
    pub packages: Vec<String>,
    /// -trimpath. On by default, unlike in `go build`.
    pub trimpath: bool,
    /// -a was given. Implies `no_cache`.
    pub all: bool,
    /// -n: show the plan, run nothing.
    pub dry_run: bool,
    /// -v: print the names of packages as they are compiled.
    pub verbose: bool,
    /// -x: print the commands that run, and where.
    pub print_commands: bool,
    /// -work: keep the working folders, and say where they are.
    pub keep_work: bool,
    /// --workers, else -p: actions that run at once; at least 1. None: by the machine.
    pub workers: Option<usize>,
    /// --progress.
    pub progress: ProgressChoice,
    /// --summary-json.
    pub summary_json: Option<PathBuf>,
    /// --events.
    pub events: Option<PathBuf>,
    /// --timeout, for the whole command. None: as long as it takes.
    pub timeout: Option<Duration>,
    /// --keep-going: what does not depend on a failure goes on.
    pub keep_going: bool,
    /// --no-cache, or -a: execute everything again; results are written all the same.
    pub no_cache: bool,
    /// --sandbox.
    pub sandbox: SandboxChoice,
    /// --cache-dir: the store's folder.
    pub cache_dir: PathBuf,
    /// --cache-size: bytes that the store may hold.
    pub cache_size: u64,
    /// --server and what belongs to it, as far as flags and environment say.
    pub server: ServerChoice,
    /// --detach: end when the farm has all that it needs.
    pub detach: bool,
    /// --fallback: build embedded when the farm cannot be reached.
    pub fallback: bool,
    /// --workers or --sandbox as it stands on the command line: only an embedded build can heed it.
    pub embedded_only: Option<String>,
    /// -p as it stands on the command line: as above, but `go build` has it, so it is no reason to refuse.
    pub parallel: Option<String>,
}

/// --progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProgressChoice {
    /// A redrawn block on a terminal, else plain lines.
    #[default]
    Auto,
    /// A redrawn block; an error where stderr is no terminal.
    Tty,
    /// A line now and then.
    Plain,
    /// Nothing.
    None,
}

/// --sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SandboxChoice {
    /// Where the system allows one.
    #[default]
    Auto,
    /// Without one nothing runs.
    Required,
    /// Never.
    Off,
}

impl SubmitOptions {
    /// Makes the paths of gofarm's own files absolute. `cwd` is the working folder, after `-C`.
    pub fn rooted_at(mut self, cwd: &Path) -> SubmitOptions {
        self.cache_dir = cwd.join(self.cache_dir);
        self.summary_json = self.summary_json.map(|path| cwd.join(path));
        self.events = self.events.map(|path| cwd.join(path));
        self.server = self.server.rooted_at(cwd);
        self
    }
}

//! How an executor works, and what of it this machine allows.

use std::path::PathBuf;
use std::time::Duration;

use crate::collection::KeptWork;
use crate::sandbox::Launcher;

/// Whether actions see nothing but what they declare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SandboxMode {
    /// Where the machine allows it.
    #[default]
    Auto,
    /// Always; a machine that does not allow it cannot execute.
    Required,
    /// Never.
    Off,
}

/// What became of the [`SandboxMode`] on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SandboxState {
    /// Actions run in a sandbox.
    Active,
    /// Nobody wants one.
    Off,
    /// [`SandboxMode::Auto`] and the machine does not allow one.
    Unavailable {
        /// Which part failed and what the system said.
        reason: String,
    },
}

/// How an [`Executor`](super::Executor) works.
#[derive(Debug, Clone)]
pub struct ExecutorOptions {
    /// Whether actions run in a sandbox.
    pub sandbox: SandboxMode,
    /// CPUs that the actions share which run at the same time: see [`crate::compiler_concurrency`].
    pub cpus: usize,
    /// Variables for every program, where the action does not set them itself. Only such as decide how fast a program is
    /// and never what it writes, because they are in no key: see [`crate::go_tools`].
    pub tuning: Vec<(String, String)>,
    /// Words of the command lines of compilers, for those that are not on PATH: actions with `host_tools` see the programs among
    /// them, and where they are installed.
    pub compilers: Vec<String>,
    /// Folders and files of which no action may see anything but its inputs, and a compiler that lies there: what is built, a
    /// token. That of the store and the user's own are known.
    pub private: Vec<PathBuf>,
    /// How long an action may take that does not say so itself.
    pub default_timeout: Duration,
    /// Where scratch folders are kept; else they go with the action.
    pub kept_work: Option<KeptWork>,
    /// How to start a launcher.
    pub launcher: Launcher,
}

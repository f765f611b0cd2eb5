//! Why an action could not be brought to an end, and whose matter that is.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use gofarm_proto::Digest;
use gofarm_store::{ErrorClass, StoreError};

use crate::printed::Printed;

/// A result whose error is an [`ExecuteError`].
pub type Result<T, E = ExecuteError> = std::result::Result<T, E>;

/// Why an execution has no result.
///
/// A tool that exits with a code other than 0 is not among these: that is a result.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// Blobs that the action needs are not in the store. All of them are named; running their actions makes them again.
    #[error("{} of the action's inputs are not in the store (the first is {}); run the actions that make them again", .0.len(), first(.0))]
    MissingInputs(Vec<Digest>),
    /// Files of inputs in the store were written to or replaced while the action ran, so nobody knows what it read. To be run
    /// again.
    #[error("{} of the action's inputs were changed in the store while it ran (the first is {}); if that goes on, find out what writes to the cache folder", .0.len(), first(.0))]
    InputsChanged(Vec<Digest>),
    /// The action is not one: what its definition says breaks the specification.
    #[error("the action {label:?} is malformed: {problem}")]
    Malformed {
        /// The action's label, or its definition digest when it could not be read.
        label: String,
        /// What is wrong.
        problem: String,
    },
    /// All steps succeeded and a file that others wait for is not there.
    #[error("the action {label:?} succeeded without writing its output {name:?} ({path})")]
    MissingOutput {
        /// The action's label.
        label: String,
        /// Name of the output.
        name: String,
        /// Its virtual path.
        path: String,
    },
    /// A step that the worker does itself failed.
    #[error("the action {label:?} failed in a step that gofarm does itself: {problem}")]
    NativeStep {
        /// The action's label.
        label: String,
        /// What was tried and what went wrong, with virtual paths.
        problem: String,
    },
    /// The action has put something into its tree that the worker does not touch: a link where it would have to be followed, a
    /// folder or a device in the place of a file, a file that is not its own.
    #[error("the action {label:?} was refused: {problem}")]
    Refused {
        /// The action's label.
        label: String,
        /// What was tried and what is in the way, with virtual paths.
        problem: String,
    },
    /// The caller cancelled; all processes are gone.
    #[error("the action was cancelled")]
    Cancelled,
    /// The action took longer than it may; all processes are gone.
    #[error("the action {label:?} was killed after {limit:?}, while {tool} was running")]
    TimedOut {
        /// The action's label.
        label: String,
        /// Its limit.
        limit: Duration,
        /// What ran at that moment.
        tool: String,
        /// What had been printed, and this error as its last line.
        printed: Printed,
    },
    /// A tool was killed from outside with SIGKILL, which is what the kernel does when memory runs out, or said itself that
    /// it got no more.
    #[error("{tool} was killed (signal: killed), most likely because memory ran out; its largest process held {} MiB", peak_memory >> 20)]
    OutOfMemory {
        /// The action's label.
        label: String,
        /// Which program.
        tool: String,
        /// Largest resident set of one process, bytes.
        peak_memory: u64,
        /// The last of what had been printed.
        log: Vec<u8>,
    },
    /// A tool was ended by another signal: it crashed, or somebody ended it.
    #[error("{tool} was ended by signal {signal} ({name})", name = signal_name(*signal))]
    KilledBySignal {
        /// The action's label.
        label: String,
        /// Which program.
        tool: String,
        /// The signal's number.
        signal: i32,
        /// The last of what had been printed.
        log: Vec<u8>,
    },
    /// A program could not be started.
    #[error("the action {label:?} cannot run: {reason}")]
    CannotStart {
        /// The action's label.
        label: String,
        /// What was tried and what the system said.
        reason: String,
        /// The program is not there at all, which with `host_tools` means that it is not installed.
        no_program: bool,
    },
    /// A sandbox is required and this machine does not allow one.
    #[error(
        "a sandbox is required and cannot be made on this machine: {reason}; allow unprivileged user namespaces, or turn the sandbox off"
    )]
    SandboxUnavailable {
        /// Which part failed and what the system said.
        reason: String,
    },
    /// No space left for the action's files.
    #[error("the disk is full: {what}; free some space in {} or choose another folder for the cache", folder.display())]
    Full {
        /// What was tried.
        what: String,
        /// Where.
        folder: PathBuf,
        /// The last of what the tools had printed.
        log: Vec<u8>,
    },
    /// Its inputs could not be brought to this machine, for another reason than that nobody has them.
    #[error("cannot fetch the inputs of the action: {0}")]
    Fetch(String),
    /// The store refused.
    #[error(transparent)]
    Store(StoreError),
    /// The system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was tried and on what.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// The launcher process did not do its part.
    #[error("the launcher of the action's tools failed: {0}")]
    Launcher(String),
    /// The worker panicked while it had the action; all processes are gone.
    #[error("a defect of gofarm: the worker panicked over this action ({0}); its log says where")]
    Panicked(String),
}

impl ExecuteError {
    /// Whose matter this is.
    pub fn class(&self) -> ErrorClass {
        match self {
            ExecuteError::Cancelled
            | ExecuteError::TimedOut { .. }
            | ExecuteError::Refused { .. }
            | ExecuteError::CannotStart {
                no_program: true, ..
            } => ErrorClass::User,
            ExecuteError::Malformed { .. }
            | ExecuteError::MissingOutput { .. }
            | ExecuteError::NativeStep { .. }
            | ExecuteError::Panicked(_) => ErrorClass::Bug,
            ExecuteError::Store(error) => match error.class() {
                gofarm_store::ErrorClass::User => ErrorClass::User,
                gofarm_store::ErrorClass::Environment => ErrorClass::Environment,
                gofarm_store::ErrorClass::Bug => ErrorClass::Bug,
            },
            ExecuteError::MissingInputs(_)
            | ExecuteError::InputsChanged(_)
            | ExecuteError::OutOfMemory { .. }
            | ExecuteError::KilledBySignal { .. }
            | ExecuteError::CannotStart { .. }
            | ExecuteError::SandboxUnavailable { .. }
            | ExecuteError::Full { .. }
            | ExecuteError::Fetch(_)
            | ExecuteError::Io { .. }
            | ExecuteError::Launcher(_) => ErrorClass::Environment,
        }
    }

    /// The last of what the tools had printed before the execution ended this way, with virtual paths. Nothing when all of it
    /// is a blob.
    pub fn log(&self) -> &[u8] {
        match self {
            ExecuteError::TimedOut {
                printed: Printed::Inline(log),
                ..
            }
            | ExecuteError::OutOfMemory { log, .. }
            | ExecuteError::KilledBySignal { log, .. }
            | ExecuteError::Full { log, .. } => log,
            _ => &[],
        }
    }

    /// Names what was tried when the system refuses it; a full disk becomes [`ExecuteError::Full`].
    pub(crate) fn io(
        what: impl Into<String>,
        path: &std::path::Path,
    ) -> impl FnOnce(io::Error) -> ExecuteError {
        let (what, folder) = (what.into(), path.to_owned());
        move |source| {
            let what = format!("{what} {}", folder.display());
            match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ExecuteError::Full {
                    what,
                    folder,
                    log: Vec::new(),
                },
                _ => ExecuteError::Io { what, source },
            }
        }
    }
}

impl From<StoreError> for ExecuteError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Missing { digest } | StoreError::Corrupt { digest, .. } => {
                ExecuteError::MissingInputs(vec![digest])
            }
            StoreError::Full { folder, source } => ExecuteError::Full {
                what: format!("writing to the store: {source}"),
                folder,
                log: Vec::new(),
            },
            other => ExecuteError::Store(other),
        }
    }
}

fn first(digests: &[Digest]) -> String {
    digests.first().map(Digest::to_string).unwrap_or_default()
}

fn signal_name(signal: i32) -> &'static str {
    nix::sys::signal::Signal::try_from(signal).map_or("unknown", |signal| signal.as_str())
}

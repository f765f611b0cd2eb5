//! Executes actions on this machine: stages inputs by hard link, runs steps in a sandbox, collects outputs into the store;
//! and takes leases from a queue, as many at once as CPUs and memory allow.
//!
//! Start reading at [`Executor::execute`], the life of one action. [`WorkerLoop`] is the life of a worker. Tools are never
//! started by the worker itself but by a [launcher](launcher_main), a small process that serves one action at a time.

mod by_reference;
mod causes;
mod collect;
mod definition;
mod ends;
mod error;
mod executor;
#[cfg(test)]
mod fuzz;
mod hold;
mod host_tree;
mod kept_work;
mod launcher;
mod lease;
mod log;
mod machine;
mod metering;
mod native_step;
mod outcome;
mod pace;
mod process;
mod protocol;
#[cfg(feature = "remote")]
pub mod remote;
mod response_file;
mod room;
mod run_step;
mod said;
mod sandbox;
mod sandbox_view;
mod shown;
mod slots;
mod spool;
mod staged_links;
mod staging;
mod task;
mod tree;
mod tuning;
mod undeclared;
mod virtual_path;
mod virtual_text;
mod workspace;

pub use causes::with_causes;
pub use error::{ErrorClass, ExecuteError, Result};
pub use executor::{Executor, ExecutorOptions, SandboxMode, SandboxState};
pub use kept_work::KeptWork;
pub use launcher::launcher_main;
pub use lease::{
    ASSUMED_MEMORY, Capacity, Lease, LeaseSource, LeaseToken, Lost, Renewal, SourceError,
};
pub use log::{LOG_LIMIT, LogSink, TraceSink, TracedCommand};
pub use machine::{Machine, machine};
pub use outcome::{Surroundings, broken_off, ended};
pub use process::Launcher;
pub use slots::{WorkerLoop, WorkerOptions};
pub use spool::Printed;
pub use task::{Execution, Task};
pub use tuning::{compiler_concurrency, go_tools};

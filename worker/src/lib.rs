//! Executes actions on this machine: stages inputs by hard link, runs steps in a sandbox, collects outputs into the store;
//! and takes leases from a queue, as many at once as CPUs and memory allow.
//!
//! Start reading at [`Executor::execute`], the life of one action. [`WorkerLoop`] is the life of a worker. Tools are never
//! started by the worker itself but by a [launcher](launcher_main), a small process that serves one action at a time.
//!
//! The folders, each of which uses those before it:
//!
//! - `action`: what is to be executed, read and checked;
//! - `tree`: the files of one action, by handles;
//! - `logs`: what tools print;
//! - `sandbox`: where tools run, and the launcher that starts them;
//! - `staging`: inputs; `collection`: outputs;
//! - `running`: one action from its staging to its result;
//! - `leasing`: the leases of a worker, and how many tasks fit;
//! - `remote`: leases, inputs and outputs by way of a farm, and the process `gofarm-worker`.

mod action;
mod blocking;
mod causes;
mod collection;
mod error;
mod leasing;
mod logs;
mod printed;
#[cfg(feature = "remote")]
pub mod remote;
mod running;
mod sandbox;
mod staging;
mod task;
mod tree;

pub use causes::with_causes;
pub use collection::KeptWork;
pub use error::{ExecuteError, Result};
pub use gofarm_store::ErrorClass;
pub use leasing::{
    ASSUMED_MEMORY, Capacity, Lease, LeaseSource, LeaseToken, Lost, Machine, Renewal, SourceError,
    WorkerLoop, WorkerOptions, machine,
};
pub use logs::{LOG_LIMIT, LogSink, TraceSink, TracedCommand};
pub use printed::Printed;
pub use running::{
    Executor, ExecutorOptions, SandboxMode, SandboxState, Surroundings, broken_off,
    compiler_concurrency, ended, go_tools,
};
pub use sandbox::{Launcher, launcher_main};
pub use task::{Execution, Task};

#[cfg(test)]
mod fuzz;

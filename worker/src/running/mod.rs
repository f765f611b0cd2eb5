//! The life of one action on this machine, and its steps.
//!
//! [`Executor::execute`] stages, runs the steps one after the other and collects. It knows of no lease and no queue.

mod executor;
mod native_step;
mod options;
mod outcome;
mod response_file;
mod run_step;
mod staged_action;
mod tuning;
mod undeclared;

pub use executor::Executor;
pub use options::{ExecutorOptions, SandboxMode, SandboxState};
pub use outcome::{Surroundings, broken_off, ended};
pub use tuning::{compiler_concurrency, go_tools};

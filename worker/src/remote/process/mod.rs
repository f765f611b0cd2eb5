//! The worker as a process of its own: its command line, its name, what it can run, its start and its end.

mod arguments;
mod c_toolchains;
mod name;
mod run;

pub use arguments::{Arguments, SandboxChoice, SlotCount};
pub use c_toolchains::c_toolchains;
pub use run::run;

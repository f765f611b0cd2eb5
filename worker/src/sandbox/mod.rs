//! Where the tools of an action run: the folders that they have, what they see of the machine, and the launcher that starts
//! them, from both of its ends.
//!
//! The worker's end is [`Spawned`] and [`Tools`]; the other is [`launcher_main`], a process of its own, which alone enters
//! namespaces and starts tools. Between the two there is nothing but the messages of `protocol`.

mod enter;
mod host_tree;
mod launcher;
mod metering;
mod protocol;
mod tools;
mod view;
mod workspace;

pub(crate) use launcher::find_in_path;
pub use launcher::launcher_main;
pub(crate) use protocol::{Command, Finished, Setup};
pub use tools::Launcher;
pub(crate) use tools::{Interruption, Spawned, Tools};
pub(crate) use view::{Private, SandboxView};
pub(crate) use workspace::{Workspace, Workspaces};

// For fuzz targets.
#[cfg(test)]
pub(crate) use protocol::{Report, frame, receive};

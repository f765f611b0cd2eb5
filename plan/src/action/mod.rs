//! From the entries of a dry run to actions.

pub(crate) mod assemble;
mod command;
pub(crate) mod environment;
pub(crate) mod group;
pub(crate) mod inputs;
pub(crate) mod package;
pub(crate) mod program;
mod sources;
mod vendored;
mod wrapped;

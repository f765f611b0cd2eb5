//! What the worker is asked to execute, read and checked: the action's definition, its paths, and what its exec root is called.
//!
//! Pure: no file is looked at here, so what is accepted is accepted on every machine.

mod definition;
mod place;
mod virtual_path;
mod virtual_text;

pub(crate) use definition::Definition;
pub(crate) use place::{STORE_IN_SANDBOX, SYSTEM_FOLDERS, below_tmp};
pub(crate) use virtual_path::VirtualPath;
pub(crate) use virtual_text::ExecRoot;

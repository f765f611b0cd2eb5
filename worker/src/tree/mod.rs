//! The files of one action, as the worker itself touches them: by handles, and nowhere else.
//!
//! Whatever stages, writes, copies, packs or collects below an exec root does it through [`ActionTree`]; a test reads the
//! sources for anything else (`tests/escape/rule.rs`).

mod action_tree;
mod staged_links;
mod trouble;

pub(crate) use action_tree::{ActionTree, FOLDER_MODE};
pub(crate) use staged_links::StagedLinks;
pub(crate) use trouble::{Result, Trouble, Uncollected, checked};

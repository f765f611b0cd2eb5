//! What the steps of one action work with.

use crate::action::{Definition, ExecRoot};
use crate::staging::References;
use crate::tree::ActionTree;

/// What the steps of one action work with.
#[derive(Debug)]
pub(crate) struct StagedAction {
    pub definition: Definition,
    pub root: ExecRoot,
    pub tree: ActionTree,
    pub references: References,
}

//! What is kept of an action when its tools have ended: its outputs, in the store; and, where somebody wants to look at it, its
//! scratch folder.

mod kept_work;
mod outputs;

pub use kept_work::KeptWork;
pub(crate) use outputs::collect;

//! How inputs come to where an action expects them: linked into its tree, shown at other paths, or only mentioned in what is
//! written for it.

mod by_reference;
pub(crate) mod shown;
mod stage;

pub(crate) use by_reference::References;
pub(crate) use stage::{blobs_folder, references, require_inputs, stage};

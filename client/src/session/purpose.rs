//! What a command wants of a build.

use std::collections::BTreeSet;

use crate::blobs::Blobs;
use crate::farm::Finished;
use crate::outline::Outline;

/// What a command wants of a build.
pub trait Purpose {
    /// The nodes whose results are read when the build is over: their blobs are kept until then. Called once, when the plan is
    /// known and nothing runs yet.
    ///
    /// # Errors
    /// What the command knows by now that it cannot do: nothing is built then.
    fn wanted(&mut self, outline: &Outline) -> anyhow::Result<BTreeSet<usize>>;

    /// The build is over, well or badly. Called again when it was done again, because a blob that was to be read is lost.
    ///
    /// # Errors
    /// A lost blob ([`StoreError::is_lost_blob`](gofarm_store::StoreError::is_lost_blob) among the causes) makes the session
    /// build again. Any other ends the command.
    fn deliver(
        &mut self,
        outline: &Outline,
        finished: &Finished,
        blobs: &dyn Blobs,
    ) -> anyhow::Result<Delivered>;
}

/// What became of what was made, for the summary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Programs that the user has now.
    pub programs: usize,
    /// Bytes that were written for that.
    pub bytes: u64,
}

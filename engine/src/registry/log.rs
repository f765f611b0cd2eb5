//! The numbered events of a build, as they are stored.

use bytes::Bytes;
use gofarm_proto::v1;

use super::Ownership;

/// An event as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedEvent {
    /// Its number.
    pub cursor: u64,
    /// The encoded `v1::BuildEvent`.
    pub bytes: Bytes,
}

/// A change to a build's log and record, made whole or not at all.
#[derive(Clone, Debug)]
pub struct Append {
    /// The proof.
    pub ownership: Ownership,
    /// The last event that is there already.
    pub after: u64,
    /// What follows, ascending.
    pub events: Vec<LoggedEvent>,
    /// Numbers of events to be taken out: live output beyond the bound of a log. Everything else stays.
    pub dropped: Vec<u64>,
    /// The build as it now is. With `finished_ms` it is over, owned no more, and forgotten after
    /// what a registry keeps of builds that are over.
    pub record: v1::Build,
}

/// What became of an [`Append`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is there, perhaps since an earlier try.
    Done,
    /// See [`Tenure::Lost`](super::Tenure::Lost). Nothing was changed.
    Lost,
    /// The registry lacks the build or events before these. Nothing was changed; the owner restores the build.
    Behind,
}

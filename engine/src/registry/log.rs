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
    /// The build as it is with these events; it replaces a record of as many or fewer. With `finished_ms` it is over, owned no more, and forgotten after
    /// what a registry keeps of builds that are over.
    pub record: v1::Build,
}

impl Append {
    /// The last event that is there with it.
    pub fn up_to(&self) -> u64 {
        self.events.last().map_or(self.after, |event| event.cursor)
    }
}

/// A build that the registry has lost, or lost events of, to be made known again with an empty log.
#[derive(Clone, Debug)]
pub struct Restore {
    /// The proof.
    pub ownership: Ownership,
    /// As it is, but not over: what follows is appended.
    pub record: v1::Build,
    /// The last event that the registry is known to have had. One that has it still has lost nothing, and is left as it is: this is
    /// an earlier try that comes late.
    pub confirmed: u64,
}

/// What became of an [`Append`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is there, perhaps since an earlier try.
    Done,
    /// See [`Tenure::Lost`](super::Tenure::Lost). Also said to an owner that does not know the last events, which another one wrote: it
    /// lets go of the build, and whoever takes it next reads them. Nothing was changed.
    Lost,
    /// The registry lacks the build or events before these. Nothing was changed; the owner restores the build.
    Behind,
}

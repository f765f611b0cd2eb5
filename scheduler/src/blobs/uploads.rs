//! Uploads that are under way, or were broken off and may go on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gofarm_proto::Digest;
use gofarm_store::{Incoming, Result as StoreResult};
use tonic::Status;

use super::compression::unpack;
use super::refusal::refusal;
use super::{PIECE, blocking};
use crate::metrics::Room;

/// How long an upload that nothing comes for is kept.
const KEPT: Duration = Duration::from_secs(10 * 60);

/// How often what is kept is looked at.
const SWEEP: Duration = Duration::from_secs(60);

/// Each upload holds a file open, and a process may have some thousand.
const MOST: usize = 512;

/// The uploads of one process, by name. Another replica knows nothing of them: an upload that goes on there begins
/// again.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_name: HashMap<String, Upload>,
    swept: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Upload {
    digest: Digest,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    // Gone when it was stored or turned out wrong.
    incoming: Option<Incoming>,
    // The number of calls that have written here. Only the last may go on: a call whose connection has died does not
    // always know it, and its successor must not wait for it.
    calls: u64,
    touched: Instant,
}

/// The right of one call to write, until another one takes it.
#[derive(Debug)]
pub(super) struct Turn {
    upload: Upload,
    call: u64,
}

impl Uploads {
    /// The upload of this name.
    pub(super) fn get(&self, name: &str, digest: Digest) -> Result<Option<Upload>, Status> {
        match self.known().by_name.get(name) {
            Some(upload) if upload.digest != digest => Err(Status::invalid_argument(format!(
                "upload {name:?} is one of blob {}, not of {digest}",
                upload.digest
            ))),
            upload => Ok(upload.cloned()),
        }
    }

    /// Begins an upload under a name that has none, or whose upload is over.
    pub(super) fn begin(
        self: &Arc<Uploads>,
        name: &str,
        incoming: Incoming,
    ) -> Result<Upload, Status> {
        let upload = Upload {
            digest: incoming.digest(),
            state: Arc::new(Mutex::new(State {
                incoming: Some(incoming),
                calls: 0,
                touched: Instant::now(),
            })),
        };
        let mut known = self.known();
        if known.by_name.len() >= MOST {
            return Err(Status::unavailable(format!(
                "{MOST} uploads are under way here; try again in a moment"
            )));
        }
        known.by_name.insert(name.to_owned(), upload.clone());
        if !known.swept {
            known.swept = true;
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
        Ok(upload)
    }

    /// Drops the upload, unless another one has its name by now.
    pub(super) fn forget(&self, name: &str, upload: &Upload) {
        let mut known = self.known();
        let same = known
            .by_name
            .get(name)
            .is_some_and(|other| Arc::ptr_eq(&other.state, &upload.state));
        if same {
            known.by_name.remove(name);
        }
    }

    /// Drops what nothing has come for since then. False when nothing is left.
    fn sweep(&self, now: Instant) -> bool {
        let mut known = self.known();
        known
            .by_name
            .retain(|_, upload| now.duration_since(upload.state().touched) < KEPT);
        known.swept = !known.by_name.is_empty();
        known.swept
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn sweep(uploads: std::sync::Weak<Uploads>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        // Ends with the service, or when there is nothing to sweep.
        if !uploads
            .upgrade()
            .is_some_and(|uploads| uploads.sweep(Instant::now()))
        {
            return;
        }
    }
}

impl Upload {
    /// Plain bytes that have come.
    pub(super) fn received(&self) -> u64 {
        let state = self.state();
        state.incoming.as_ref().map_or(0, Incoming::received)
    }

    /// True when it was stored or turned out wrong: nothing can be added.
    pub(super) fn is_over(&self) -> bool {
        self.state().incoming.is_none()
    }

    /// Takes the turn from whoever has it.
    ///
    /// # Errors
    ///
    /// FAILED_PRECONDITION when the upload does not stand at this offset.
    pub(super) fn take_turn(&self, offset: u64) -> Result<Turn, Status> {
        let mut state = self.state();
        let stands = state.incoming.as_ref().map_or(0, Incoming::received);
        if stands != offset {
            return Err(stands_elsewhere(stands, offset));
        }
        state.calls += 1;
        state.touched = Instant::now();
        Ok(Turn {
            upload: self.clone(),
            call: state.calls,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn stands_elsewhere(stands: u64, offset: u64) -> Status {
    Status::failed_precondition(format!(
        "the upload stands at {stands}, not at {offset}; ask QueryWrite and go on from there"
    ))
}

impl Turn {
    /// Adds one message's bytes. Finished even when the call is dropped meanwhile, so that the upload always stands
    /// where it says.
    pub(super) async fn write(
        &self,
        data: bytes::Bytes,
        packed: bool,
        room: &Room,
    ) -> Result<(), Status> {
        let (upload, call, room) = (self.upload.clone(), self.call, room.clone());
        blocking(move || Ok(upload.write(call, &data, packed, &room)))
            .await
            .map_err(refusal)?
    }

    /// All that has come, when that is the whole blob.
    pub(super) fn whole(&self) -> Result<Option<Incoming>, Status> {
        let mut state = self.upload.state();
        state.is_turn_of(self.call)?;
        let whole = state
            .incoming
            .as_ref()
            .is_some_and(|incoming| incoming.received() == self.upload.digest.size);
        Ok(if whole { state.incoming.take() } else { None })
    }
}

impl Upload {
    fn write(&self, call: u64, data: &[u8], packed: bool, room: &Room) -> Result<(), Status> {
        let plain = unpack(data, packed, PIECE).map_err(Status::invalid_argument)?;
        let mut state = self.state();
        state.is_turn_of(call)?;
        let Some(incoming) = &mut state.incoming else {
            return Err(Status::aborted("the upload has ended"));
        };
        let written: StoreResult<()> = incoming.write(&plain);
        state.touched = Instant::now();
        written.map_err(|error| {
            // Half of a piece may have been written.
            state.incoming = None;
            if error.is_full() {
                room.is_full(&error);
            }
            refusal(error)
        })
    }
}

impl State {
    fn is_turn_of(&self, call: u64) -> Result<(), Status> {
        if self.calls == call {
            Ok(())
        } else {
            Err(Status::aborted("another call goes on with this upload"))
        }
    }
}

#[cfg(test)]
mod tests {
    use gofarm_store::DiskStore;

    use super::*;

    #[tokio::test]
    async fn an_upload_is_kept_for_some_minutes_after_its_last_piece() {
        let folder = tempfile::tempdir().unwrap();
        let store = DiskStore::open(folder.path(), Default::default()).unwrap();
        let uploads = Arc::new(Uploads::default());
        let digest = Digest::of(b"some bytes");
        let upload = uploads.begin("u", store.incoming(digest).unwrap()).unwrap();
        let turn = upload.take_turn(0).unwrap();
        let (piece, room) = (b"some ".as_slice().into(), Room::default());
        turn.write(piece, false, &room).await.unwrap();
        let written = Instant::now();
        assert!(uploads.sweep(written + KEPT / 2));
        assert_eq!(uploads.get("u", digest).unwrap().unwrap().received(), 5);
        assert!(uploads.get("u", Digest::of(b"other")).is_err());
        assert!(!uploads.sweep(written + KEPT));
        assert!(uploads.get("u", digest).unwrap().is_none());
    }

    #[tokio::test]
    async fn there_is_a_bound_on_uploads() {
        let folder = tempfile::tempdir().unwrap();
        let store = DiskStore::open(folder.path(), Default::default()).unwrap();
        let uploads = Arc::new(Uploads::default());
        let digest = Digest::of(b"some bytes");
        let begin = |i: usize| uploads.begin(&i.to_string(), store.incoming(digest).unwrap());
        for i in 0..MOST {
            begin(i).unwrap();
        }
        let status = begin(MOST).unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unavailable);
    }
}

//! A store that is measured.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gofarm_proto::{ActionKey, Digest, v1};
use gofarm_store::{BlobReader, Entry, FarmStore, Incoming, Recorded, Result, StoreError};

use super::{Calls, Lookups, Room};
use crate::just_recorded::JustRecorded;

/// With less room than this a disk is as good as full: many a program is larger, bytes.
const TRIAL: usize = 4 << 20;

/// The farm's store as one replica uses it, with every call timed. A blob that is not there is an answer, not a failed call.
#[derive(Clone)]
pub struct MeteredStore {
    inner: FarmStore,
    calls: Calls,
    room: Room,
    lookups: Lookups,
    /// When the last probe was answered; none once a call has failed since.
    answered: Arc<Mutex<Option<Instant>>>,
    recorded: Arc<JustRecorded>,
}

/// How long an answer of an object store holds, unless a call fails: each question is paid for.
const PROBED: Duration = Duration::from_secs(60);

/// Timed for nobody.
impl From<FarmStore> for MeteredStore {
    fn from(inner: FarmStore) -> MeteredStore {
        MeteredStore::new(inner, Calls::default(), Room::default())
    }
}

impl fmt::Debug for MeteredStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl MeteredStore {
    /// Measures `inner`.
    pub fn new(inner: FarmStore, calls: Calls, room: Room) -> MeteredStore {
        MeteredStore {
            inner,
            calls,
            room,
            lookups: Lookups::default(),
            answered: Arc::default(),
            recorded: Arc::default(),
        }
    }

    /// Whether writes have found room.
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// Looks whether a store that was full has room again, by writing something now and then.
    ///
    /// # Errors
    ///
    /// Why it takes nothing.
    pub async fn check_room(&self) -> Result<(), String> {
        if self.room.is_to_be_tried() {
            match self.try_to_write().await {
                Ok(()) => self.room.is_back(),
                error => self.room.note(&error),
            }
        }
        self.room.why().map_or(Ok(()), Err)
    }

    /// Writes to the folder what is not kept, and then something small to all of the store.
    async fn try_to_write(&self) -> Result<()> {
        let trial = vec![0; TRIAL];
        let mut incoming = self.inner.incoming(Digest::of(&trial)).await?;
        let written = tokio::task::spawn_blocking(move || incoming.write(&trial));
        written.await.map_err(|_| StoreError::ShuttingDown)??;
        // Not what is there already.
        let unique = uuid::Uuid::new_v4().as_bytes().to_vec();
        self.inner.put_bytes(unique).await.map(drop)
    }

    /// Counts hits and misses, too.
    pub fn counting(self, lookups: Lookups) -> MeteredStore {
        MeteredStore { lookups, ..self }
    }

    /// Whether the store can be used, for a readiness that asks every second. A folder is looked at each time; an object store
    /// is asked once a minute, and at once when a call has failed since it answered.
    pub async fn probe(&self) -> Result<()> {
        self.probe_at(Instant::now()).await
    }

    /// As [`probe`](Self::probe), asked now.
    pub(super) async fn probe_at(&self, now: Instant) -> Result<()> {
        let holds = |at: Instant| now.duration_since(at) < PROBED;
        if self.inner.is_remote() && self.answered().is_some_and(holds) {
            return Ok(());
        }
        self.time("probe", self.inner.probe()).await?;
        *self.answered() = Some(now);
        Ok(())
    }

    fn answered(&self) -> MutexGuard<'_, Option<Instant>> {
        // One word: whatever a panic left is as good as any.
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, call: &'static str) {
        *self.answered() = None;
        self.calls.failed(call);
    }

    /// See [`FarmStore::missing`].
    pub async fn missing(&self, digests: Vec<Digest>) -> Result<Vec<Digest>> {
        let asked = digests.len();
        let missing = self.time("find_missing", self.inner.missing(digests));
        let missing = missing.await?;
        self.lookups.blobs(asked, missing.len());
        Ok(missing)
    }

    /// See [`FarmStore::unsound`].
    pub async fn unsound(&self, digests: Vec<Digest>) -> Result<Vec<Digest>> {
        self.time("verify", self.inner.unsound(digests)).await
    }

    /// See [`FarmStore::read`].
    pub async fn read(&self, digest: Digest) -> Result<Vec<u8>> {
        self.time("read", self.inner.read(digest)).await
    }

    /// See [`FarmStore::read_blobs`].
    pub async fn read_blobs(&self, digests: Vec<Digest>) -> Result<Vec<Result<Vec<u8>>>> {
        let call = "read_batch";
        let read = self.time(call, self.inner.read_blobs(digests)).await?;
        Ok(self.each(call, read))
    }

    /// See [`FarmStore::put_blobs`].
    pub async fn put_blobs(
        &self,
        blobs: Vec<(Digest, impl AsRef<[u8]> + Send + 'static)>,
    ) -> Result<Vec<Result<()>>> {
        let call = "write_batch";
        let written = self.time(call, self.inner.put_blobs(blobs)).await?;
        for one in &written {
            self.room.note(one);
        }
        Ok(self.each(call, written))
    }

    /// See [`FarmStore::reader`]. What is read of it afterwards is not timed: the caller's reader sets the pace.
    pub async fn reader(&self, digest: Digest, offset: u64) -> Result<BlobReader> {
        self.time("open", self.inner.reader(digest, offset)).await
    }

    /// See [`FarmStore::incoming`].
    pub async fn incoming(&self, digest: Digest) -> Result<Incoming> {
        let begun = self.time("begin_write", self.inner.incoming(digest)).await;
        begun.inspect_err(|error| {
            if error.is_full() {
                self.room.is_full(error);
            }
        })
    }

    /// See [`FarmStore::accept`].
    pub async fn accept(&self, incoming: Incoming) -> Result<()> {
        let accepted = self.time("end_write", self.inner.accept(incoming)).await;
        self.room.note(&accepted);
        accepted
    }

    /// See [`FarmStore::put_bytes`].
    pub async fn put_bytes(&self, bytes: Vec<u8>) -> Result<Digest> {
        let written = self.time("write", self.inner.put_bytes(bytes)).await;
        self.room.note(&written);
        written
    }

    /// See [`FarmStore::action`].
    pub async fn action(&self, key: ActionKey) -> Result<Option<v1::ActionResult>> {
        Ok(self.entry(key).await?.map(|entry| entry.result))
    }

    /// See [`FarmStore::entry`].
    pub async fn entry(&self, key: ActionKey) -> Result<Option<Entry>> {
        let found = self.time("get_action", self.inner.entry(key)).await?;
        self.lookups.result(found.is_some());
        Ok(found)
    }

    /// Whether the action cache has a result, asked by who does not want it: no hit and no miss.
    pub async fn has_result(&self, key: ActionKey) -> Result<bool> {
        let found = self.time("get_action", self.inner.entry(key)).await?;
        Ok(found.is_some())
    }

    /// What this process has recorded lately.
    pub fn recorded(&self) -> &JustRecorded {
        &self.recorded
    }

    /// See [`FarmStore::record_action`].
    pub async fn record_action(
        &self,
        key: ActionKey,
        result: v1::ActionResult,
        made: v1::Provenance,
    ) -> Result<Recorded> {
        let call = self.inner.record_action(key, result, made);
        self.time("record_action", call).await
    }

    /// Notes failures of the store with single blobs of a batch; one that is lost or came damaged is none.
    fn each<T>(&self, call: &'static str, outcomes: Vec<Result<T>>) -> Vec<Result<T>> {
        let mut errors = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
        if errors.any(is_the_stores) {
            self.failed(call);
        }
        outcomes
    }

    async fn time<T>(
        &self,
        call: &'static str,
        future: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let begun = Instant::now();
        let answer = future.await;
        self.calls.took(call, begun.elapsed());
        if let Err(error) = &answer
            && is_the_stores(error)
        {
            self.failed(call);
        }
        answer
    }
}

/// Whether the store has failed; a blob that is not there is an answer, and wrong bytes are the caller's.
fn is_the_stores(error: &StoreError) -> bool {
    !error.is_lost_blob() && !matches!(error, StoreError::WrongBytes { .. })
}

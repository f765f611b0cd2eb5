//! What a build keeps on the local disk: the content-addressed store (CAS), the action cache, the index of
//! source files and the history of durations.
//!
//! Start reading at [`DiskStore`]. It and all that belongs to it is synchronous and built on `std::fs`; callers on an
//! async runtime use a blocking thread for anything that moves bytes. `FarmStore` (feature `farm`) is the store of a
//! farm: such a folder, alone or in front of an object store, behind async calls.
//!
//! # The folder
//!
//! ```text
//! cas/ab/<64 hex digits>       blobs, by the BLAKE3 of their bytes
//! actions/ab/<64 hex digits>   action results, by action key
//! quarantine/                  blobs and entries that turned out damaged
//! findings/                    results of actions that gave different outputs for one key
//! invalidations/               of a farm: notes of results that have been taken back
//! sessions/                    one locked file for each running build
//! tmp/<process>/               scratch and half-written files of one process, with its lock
//! tally                        what the last scan and later additions say about the size
//! gate.lock, evict.lock        see `gate.rs` and `evict.rs`
//! format, CACHEDIR.TAG         the version of this layout; the mark that tells backups to skip it
//! ```
//!
//! # What may be relied on
//!
//! - A blob appears under its name whole or not at all: it is written elsewhere, sealed and renamed.
//! - *Sealed* means: a regular file of the digest's size, mode 0555, with the fixed modification time
//!   that no ordinary write leaves in place. It is what one `stat` can see. An unsealed blob is read and
//!   compared with its digest before it is used; if its bytes are right a sealed copy takes its place, so that
//!   nobody keeps a way to write to it.
//! - *Verified* means: this process has hashed the file and nothing has changed it since, also behind the seal.
//!   See `verification.rs`. What an action reads is verified; a look that needs no bytes is content with the seal.
//! - Nothing is flushed to the platter. After a power cut the filesystem may hold a blob that is shorter
//!   than its digest says, or an action entry with a wrong checksum; both are seen at the next use, set aside
//!   and made again by running the action. A cache needs no more.
//! - While a [`Pin`] lives, no process evicts what was used since it began.
//! - Every process may die at any point. Its locks go with it, and its temporary files are swept later.

mod access;
mod action_cache;
mod adopt;
mod custody;
mod disk;
mod displaced;
mod draft;
mod error;
mod evict;
#[cfg(feature = "farm")]
mod farm_store;
mod file_index;
mod frame;
#[cfg(test)]
mod fuzz;
mod gate;
mod go_hash;
mod harmless;
mod history;
mod incoming;
mod ingest;
mod known;
mod layout;
mod link;
mod pin;
mod quarantine;
mod reader;
mod scan;
mod scrub;
mod seal;
mod table;
mod tally;
mod temporary;
mod verification;

pub use action_cache::Recorded;
pub use custody::Entry;
pub use disk::{DiskStore, DiskStoreOptions, FoundDamage};
pub use draft::Draft;
pub use error::{ErrorClass, Result, StoreError};
pub use evict::EvictReport;
#[cfg(feature = "farm")]
pub use farm_store::{
    Amount, Collected, Examined, FarmStore, Fault, GRACE, NOTICED_WITHIN, Retention, TakeBack,
    TakenBackReport, TakenBackResult,
};
pub use file_index::{FileIndex, FileRecord};
pub use go_hash::GoFileHash;
pub use gofarm_proto::Estimate;
pub use history::History;
pub use incoming::Incoming;
pub use pin::Pin;
pub use reader::BlobReader;
pub use scan::Usage;
pub use scrub::Scrubbed;
pub use verification::{Reading, Verified, VerifiedBytes};

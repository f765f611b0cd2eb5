//! Files and folders of the machine on which plans and the identities of C toolchains rest. They are compared by size and times,
//! not read.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use gofarm_identity::c_toolchain::SearchedFolder;
use gofarm_identity::{FolderState, Listing};
use prost::Message;

use crate::gocmd::GoCommand;

/// A file or folder of the machine: a compiler, a header folder. It is not read; any change of it counts.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct MachineFact {
    #[prost(bytes = "vec", tag = "1")]
    pub path: Vec<u8>,
    #[prost(int64, tag = "2")]
    pub modified: i64,
    #[prost(uint64, tag = "3")]
    pub size: u64,
    #[prost(uint64, tag = "4")]
    pub inode: u64,
    #[prost(int64, tag = "5")]
    pub changed: i64,
}

impl MachineFact {
    pub fn of(path: &Path) -> MachineFact {
        let fact = MachineFact {
            path: bytes(path),
            ..MachineFact::default()
        };
        match fs::metadata(path) {
            Ok(metadata) => MachineFact {
                modified: modified(&metadata),
                size: metadata.len(),
                inode: metadata.ino(),
                changed: changed(&metadata),
                ..fact
            },
            Err(_) => fact,
        }
    }

    pub fn holds(&self) -> bool {
        MachineFact::of(path(&self.path)) == *self
    }
}

/// Where a program was found on PATH; empty when it was not.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ProgramFact {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(bytes = "vec", tag = "2")]
    pub path: Vec<u8>,
}

impl ProgramFact {
    pub fn of(go: &GoCommand, name: &str) -> ProgramFact {
        let found = go.look_up(Path::new(name));
        ProgramFact {
            name: name.to_owned(),
            path: found.map(|found| bytes(&found)).unwrap_or_default(),
        }
    }

    pub fn holds(&self, go: &GoCommand) -> bool {
        ProgramFact::of(go, &self.name) == *self
    }
}

/// [`SearchedFolder`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Message)]
pub(crate) struct SearchedFact {
    #[prost(bytes = "vec", tag = "1")]
    pub spelled: Vec<u8>,
    /// Nothing where there is none.
    #[prost(bytes = "vec", tag = "2")]
    pub leads_to: Vec<u8>,
}

impl SearchedFact {
    pub fn of(folder: &SearchedFolder) -> SearchedFact {
        SearchedFact {
            spelled: bytes(&folder.spelled),
            leads_to: folder.leads_to.as_deref().map(bytes).unwrap_or_default(),
        }
    }

    pub fn holds(&self) -> bool {
        SearchedFact::of(&SearchedFolder::of(path(&self.spelled))) == *self
    }
}

/// A folder of headers or libraries.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ListingFact {
    #[prost(bytes = "vec", tag = "1")]
    pub path: Vec<u8>,
    #[prost(bool, tag = "2")]
    pub deep: bool,
    #[prost(bytes = "vec", tag = "3")]
    pub digest: Vec<u8>,
    /// By their paths. They save time and decide nothing.
    #[prost(message, repeated, tag = "4")]
    pub folders: Vec<ListedFolderMessage>,
}

/// [`gofarm_identity::ListedFolder`].
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ListedFolderMessage {
    #[prost(bytes = "vec", tag = "1")]
    pub below: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub device: u64,
    #[prost(uint64, tag = "3")]
    pub inode: u64,
    #[prost(int64, tag = "4")]
    pub changed: i64,
    #[prost(bytes = "vec", tag = "5")]
    pub names: Vec<u8>,
}

impl From<&Listing> for ListingFact {
    fn from(listing: &Listing) -> ListingFact {
        let folders = listing.folders.iter().map(|folder| ListedFolderMessage {
            below: bytes(&folder.below),
            device: folder.state.device,
            inode: folder.state.inode,
            changed: folder.state.changed,
            names: folder.names.clone(),
        });
        ListingFact {
            path: bytes(&listing.folder),
            deep: listing.deep,
            digest: listing.digest.to_vec(),
            folders: folders.collect(),
        }
    }
}

impl ListingFact {
    pub fn holds(&self) -> bool {
        let known = |below: &Path| {
            let below = below.as_os_str().as_bytes();
            let folders = &self.folders;
            let at = folders.binary_search_by(|folder| folder.below.as_slice().cmp(below));
            let folder = at.ok().and_then(|at| folders.get(at))?;
            let state = FolderState {
                device: folder.device,
                inode: folder.inode,
                changed: folder.changed,
            };
            Some((state, folder.names.as_slice()))
        };
        let now = Listing::digest_of(path(&self.path), self.deep, &known);
        now.is_ok_and(|now| now.as_slice() == self.digest)
    }

    /// Whether both say the same of the same folder.
    pub fn agrees(&self, other: &ListingFact) -> bool {
        (&self.path, self.deep, &self.digest) == (&other.path, other.deep, &other.digest)
    }
}

pub(crate) fn bytes(path: &Path) -> Vec<u8> {
    path.as_os_str().as_bytes().to_vec()
}

pub(crate) fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// Nanoseconds since the epoch.
pub(crate) fn modified(metadata: &Metadata) -> i64 {
    metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec()
}

/// When content or attributes changed: nobody can set this one. Nanoseconds since the epoch.
pub(crate) fn changed(metadata: &Metadata) -> i64 {
    metadata.ctime() * 1_000_000_000 + metadata.ctime_nsec()
}

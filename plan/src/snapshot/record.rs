//! A snapshot as it lies in its file.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use prost::Message;

use crate::node::PlannedNode;
use crate::plan::Plan;
use crate::roots::Roots;
use crate::snapshot::folders::FolderFact;

/// Snapshots kept; the least recently used go first.
const KEPT: usize = 64;

#[derive(Clone, PartialEq, Message)]
pub(super) struct Snapshot {
    #[prost(message, repeated, tag = "1")]
    pub nodes: Vec<PlannedNode>,
    #[prost(message, repeated, tag = "2")]
    pub roots: Vec<RootMessage>,
    #[prost(string, tag = "3")]
    pub go_version: String,
    #[prost(string, tag = "4")]
    pub exe_suffix: String,
    #[prost(message, repeated, tag = "5")]
    pub folders: Vec<FolderFact>,
    #[prost(message, repeated, tag = "6")]
    pub files: Vec<FileFact>,
    #[prost(string, repeated, tag = "7")]
    pub markers: Vec<String>,
    #[prost(bytes = "vec", optional, tag = "8")]
    pub git: Option<Vec<u8>>,
    #[prost(message, repeated, tag = "9")]
    pub machine: Vec<MachineFact>,
    #[prost(message, repeated, tag = "10")]
    pub programs: Vec<ProgramFact>,
}

/// Where a program was found on PATH.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ProgramFact {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub path: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RootMessage {
    #[prost(string, tag = "1")]
    pub real: String,
    #[prost(string, tag = "2")]
    pub name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct FileFact {
    #[prost(string, tag = "1")]
    pub path: String,
    #[prost(bytes = "vec", tag = "2")]
    pub header: Vec<u8>,
}

/// A file or folder of the machine: a compiler, a header folder.
#[derive(Clone, PartialEq, Message)]
pub(super) struct MachineFact {
    #[prost(string, tag = "1")]
    pub path: String,
    #[prost(int64, tag = "2")]
    pub modified: i64,
    #[prost(uint64, tag = "3")]
    pub size: u64,
    #[prost(uint64, tag = "4")]
    pub inode: u64,
}

impl MachineFact {
    pub fn of(path: &Path) -> MachineFact {
        let metadata = fs::metadata(path).ok();
        let path = path.to_string_lossy().into_owned();
        metadata.map_or(
            MachineFact {
                path: path.clone(),
                ..MachineFact::default()
            },
            |metadata| MachineFact {
                path: path.clone(),
                modified: metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec(),
                size: metadata.len(),
                inode: metadata.ino(),
            },
        )
    }
}

impl Snapshot {
    pub fn into_plan(self) -> Plan {
        Plan {
            nodes: self.nodes,
            roots: Roots::from_entries(
                self.roots
                    .into_iter()
                    .map(|root| (root.real, root.name))
                    .collect(),
            ),
            go_version: self.go_version,
            exe_suffix: self.exe_suffix,
            notes: Vec::new(),
            asked_pkg_config: false,
            machine_files: Vec::new(),
            compilers: Vec::new(),
        }
    }
}

pub(super) fn read(file: &Path) -> Option<Snapshot> {
    let bytes = fs::read(file).ok()?;
    let (check, body) = bytes.split_first_chunk::<32>()?;
    if blake3::hash(body).as_bytes() != check {
        return None;
    }
    Snapshot::decode(body).ok()
}

/// Keeps a snapshot. A failure costs a dry run next time and nothing else; the store says so when its folder
/// cannot be written.
pub(super) fn write(file: &Path, snapshot: Snapshot) {
    let body = snapshot.encode_to_vec();
    let mut bytes = blake3::hash(&body).as_bytes().to_vec();
    bytes.extend_from_slice(&body);
    let Some(folder) = file.parent() else { return };
    let temporary = file.with_extension(format!("tmp{}", std::process::id()));
    let written = fs::create_dir_all(folder)
        .and_then(|()| fs::write(&temporary, bytes))
        .and_then(|()| fs::rename(&temporary, file));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    prune(folder);
}

fn prune(folder: &Path) {
    let mut kept: Vec<(SystemTime, PathBuf)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    kept.sort();
    for (_, path) in kept.iter().rev().skip(KEPT) {
        let _ = fs::remove_file(path);
    }
}

//! Folder listings: which files and packages there are.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A tree with more folders than this is not remembered; it is planned anew each time.
const MAX_FOLDERS: usize = 50_000;
/// A folder changed so shortly before it was listed may change again without its time showing it.
const SETTLED_NS: i64 = 2_000_000_000;

/// What a folder held when a plan was made.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FolderFact {
    #[prost(string, tag = "1")]
    pub path: String,
    /// Modification time, nanoseconds since the epoch; 0 when it was too fresh to be trusted.
    #[prost(int64, tag = "2")]
    pub modified: i64,
    #[prost(uint64, tag = "3")]
    pub inode: u64,
    /// Every name counts, because //go:embed may match any file.
    #[prost(bool, tag = "4")]
    pub all_names: bool,
    #[prost(bytes = "vec", tag = "5")]
    pub listing: Vec<u8>,
}

impl FolderFact {
    /// Lists a folder. A folder that is not there has an empty listing.
    pub fn of(path: &Path, all_names: bool) -> FolderFact {
        let metadata = fs::metadata(path).ok();
        let listing = names(path, all_names);
        let now = nanos(SystemTime::now());
        let (modified, inode) =
            metadata.map_or((0, 0), |metadata| (modified(&metadata), metadata.ino()));
        FolderFact {
            path: path.to_string_lossy().into_owned(),
            modified: if now - modified > SETTLED_NS {
                modified
            } else {
                0
            },
            inode,
            all_names,
            listing: digest(&listing),
        }
    }

    /// True while the folder still holds the same names. A changed time alone is not a change: files that
    /// planning does not read come and go.
    pub fn holds(&self) -> bool {
        let path = Path::new(&self.path);
        if self.modified != 0
            && let Ok(metadata) = fs::metadata(path)
            && modified(&metadata) == self.modified
            && metadata.ino() == self.inode
        {
            return true;
        }
        digest(&names(path, self.all_names)) == self.listing
    }
}

fn nanos(time: SystemTime) -> i64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as i64)
}

fn modified(metadata: &Metadata) -> i64 {
    metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec()
}

fn digest(names: &[String]) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new_derive_key("gofarm folder listing v1");
    for name in names {
        hasher.update(name.as_bytes());
        hasher.update(b"\0");
    }
    hasher.finalize().as_bytes().to_vec()
}

/// The names in a folder that planning depends on, folders with a slash.
fn names(path: &Path, all: bool) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_folder = entry.path().is_dir();
            let counts = if is_folder {
                is_package_folder(&name) && has_planned_file(&entry.path())
            } else {
                is_planned_file(&name)
            };
            (all || counts).then(|| if is_folder { format!("{name}/") } else { name })
        })
        .collect();
    names.sort();
    names
}

/// True when there is anything in a tree that cmd/go would look at. A folder of programs, such as the one that a
/// build writes, comes and goes without a package coming or going.
fn has_planned_file(folder: &Path) -> bool {
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        if path.is_dir() {
            if is_package_folder(&name) && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            }
        } else if is_planned_file(&name) {
            return true;
        }
    }
    folders.iter().any(|folder| has_planned_file(folder))
}

/// Folders that a `...` pattern walks into (cmd/go/internal/search/search.go).
fn is_package_folder(name: &str) -> bool {
    !name.starts_with(['.', '_']) && name != "testdata"
}

/// Files that cmd/go looks at when it loads a package or a module.
pub(crate) fn is_planned_file(name: &str) -> bool {
    if matches!(
        name,
        "go.mod" | "go.sum" | "go.work" | "go.work.sum" | "modules.txt" | "default.pgo"
    ) {
        return true;
    }
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    matches!(
        extension,
        "go" | "s"
            | "S"
            | "sx"
            | "c"
            | "cc"
            | "cpp"
            | "cxx"
            | "m"
            | "h"
            | "hh"
            | "hpp"
            | "hxx"
            | "f"
            | "F"
            | "for"
            | "f90"
            | "syso"
            | "swig"
            | "swigcxx"
            | "inc"
    ) && !name.ends_with("_test.go")
        && !name.starts_with(['.', '_'])
}

/// All folders of a module's tree in which packages can be; `None` when there are too many to remember.
pub(crate) fn walk(root: &Path) -> Option<Vec<PathBuf>> {
    walk_where(root, |name| is_package_folder(name) && name != "vendor")
}

/// All folders below a package that embeds files.
pub(crate) fn walk_all(root: &Path) -> Option<Vec<PathBuf>> {
    walk_where(root, |_| true)
}

fn walk_where(root: &Path, enter: impl Fn(&str) -> bool) -> Option<Vec<PathBuf>> {
    let mut folders = vec![root.to_path_buf()];
    let mut next = 0;
    while next < folders.len() {
        if folders.len() > MAX_FOLDERS {
            return None;
        }
        for entry in fs::read_dir(&folders[next]).into_iter().flatten().flatten() {
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder && enter(&entry.file_name().to_string_lossy()) {
                folders.push(entry.path());
            }
        }
        next += 1;
    }
    Some(folders)
}

/// True when something changed the path at or after this moment.
pub(crate) fn changed_since(path: &Path, moment: SystemTime) -> bool {
    // Times of files are taken from a clock that ticks every few milliseconds.
    let moment = nanos(moment) - 10_000_000;
    fs::metadata(path).is_ok_and(|metadata| {
        let changed = metadata.ctime() * 1_000_000_000 + metadata.ctime_nsec();
        modified(&metadata).max(changed) >= moment
    })
}

//! Folder listings: which files and packages there are.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use gofarm_identity::{nanos, settled};

use super::embed::matches;
use super::fact::Kind;
use crate::lookups::{HEADERS, is_header_name};
use crate::machine::{bytes, changed, path};

/// What a folder held when a plan was made.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct FolderFact {
    #[prost(bytes = "vec", tag = "1")]
    pub path: Vec<u8>,
    /// When an entry came, went or became something else, nanoseconds since the epoch; 0 when it was too fresh to be trusted.
    #[prost(int64, tag = "2")]
    pub changed: i64,
    #[prost(uint64, tag = "3")]
    pub inode: u64,
    /// The names that match this count, because //go:embed or a C compiler may take any file; without it those that cmd/go
    /// looks at when it loads packages.
    #[prost(string, optional, tag = "4")]
    pub pattern: Option<String>,
    /// Digest of names and kinds; nothing where there is no folder that can be listed.
    #[prost(bytes = "vec", optional, tag = "5")]
    pub listing: Option<Vec<u8>>,
}

impl FolderFact {
    /// Lists a folder.
    pub fn of(folder: &Path, pattern: Option<String>) -> FolderFact {
        // The time first: what comes while the folder is listed then shows.
        let metadata = fs::metadata(folder).ok();
        let (changed, inode) = metadata.map_or((0, 0), |metadata| {
            (self::changed(&metadata), metadata.ino())
        });
        FolderFact {
            path: bytes(folder),
            changed: settled(changed, nanos(SystemTime::now())),
            inode,
            listing: listing(folder, pattern.as_deref()),
            pattern,
        }
    }

    pub fn path(&self) -> &Path {
        path(&self.path)
    }

    /// True while nothing at all has come to the folder or gone.
    pub fn is_untouched(&self) -> bool {
        self.changed != 0
            && fs::metadata(self.path()).is_ok_and(|metadata| {
                changed(&metadata) == self.changed && metadata.ino() == self.inode
            })
    }

    /// True while the folder still holds the same names that count. A changed time alone is not a change: files that
    /// planning does not read come and go.
    pub fn holds(&self) -> bool {
        listing(self.path(), self.pattern.as_deref()) == self.listing
    }
}

/// Digest of the names in a folder that planning depends on, and of what they are.
fn listing(folder: &Path, pattern: Option<&str>) -> Option<Vec<u8>> {
    let mut entries: Vec<(Vec<u8>, Kind, Kind)> = Vec::new();
    for entry in fs::read_dir(folder).ok()? {
        let entry = entry.ok()?;
        let name = entry.file_name();
        let kind = Kind::of(entry.file_type().ok()?);
        let text = name.to_string_lossy();
        let behind = match kind {
            Kind::Link => Kind::behind(&entry.path()),
            _ => kind,
        };
        let counts = match pattern {
            Some(pattern) => fits(pattern, &text),
            None if is_planned_file(&text) => true,
            None => match kind {
                Kind::Folder => is_package_folder(&text) && has_planned_file(&entry.path()),
                // Not walked into, which cmd/go warns of.
                Kind::Link => behind == Kind::Folder && is_package_folder(&text),
                _ => false,
            },
        };
        if counts {
            entries.push((name.as_bytes().to_vec(), kind, behind));
        }
    }
    entries.sort();
    let mut hasher = blake3::Hasher::new_derive_key("gofarm folder listing v2");
    for (name, kind, behind) in entries {
        hasher.update(&name);
        hasher.update(&[0, kind as u8, behind as u8]);
    }
    Some(hasher.finalize().as_bytes().to_vec())
}

/// Whether a name is one of those that a question about names asks for.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix(HEADERS) {
        Some(others) if others.is_empty() || others.starts_with('/') => {
            is_header_name(others, name)
        }
        _ => matches(pattern, name),
    }
}

/// True when there is anything in a tree that cmd/go would look at. A folder of programs, such as the one that a
/// build writes, comes and goes without a package coming or going.
fn has_planned_file(folder: &Path) -> bool {
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if is_planned_file(&name) {
            return true;
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && is_package_folder(&name) {
            folders.push(entry.path());
        }
    }
    folders.iter().any(|folder| has_planned_file(folder))
}

/// Folders that a `...` pattern walks into (cmd/go/internal/search/search.go).
fn is_package_folder(name: &str) -> bool {
    !name.starts_with(['.', '_']) && name != "testdata"
}

/// Files that cmd/go looks at when it loads a package or a module. Those of tests are among them: cmd/go refuses a package
/// when one cannot be parsed, or is of another package (go/build/build.go, `Context.Import`).
pub(super) fn is_planned_file(name: &str) -> bool {
    if matches!(
        name,
        "go.mod" | "go.sum" | "go.work" | "go.work.sum" | "modules.txt" | "default.pgo"
    ) {
        return true;
    }
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    // go/build/build.go, `knownExtensions`.
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
    ) && !name.starts_with(['.', '_'])
}

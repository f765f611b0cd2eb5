//! What lies in a folder of the system: names, sizes and times of its files, which change with any package upgrade and are
//! the same on machines of one image.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A header folder with more files than this is an accident, not a toolchain.
pub(crate) const MAX_FILES: usize = 200_000;

/// A folder of the system, and what was in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The folder.
    pub folder: PathBuf,
    /// Whether the folders below count.
    pub deep: bool,
    /// BLAKE3 of names, sizes and modification times. A file that is written where it stands changes it, although its folder
    /// does not change.
    pub digest: [u8; 32],
}

impl Listing {
    /// Lists a folder. One that cannot be read is empty.
    ///
    /// # Errors
    ///
    /// There are more than 200,000 files.
    pub fn of(folder: &Path, deep: bool) -> io::Result<Listing> {
        // By folder, so that nothing has to be put together or sorted that is longer than a name: a build that finds nothing
        // to do spends most of its time here and in the like.
        let mut hasher = blake3::Hasher::new_derive_key("gofarm folder of the system v2");
        let mut folders = vec![PathBuf::new()];
        let mut count = 0;
        while let Some(below) = folders.pop() {
            let mut names = Vec::new();
            for entry in std::fs::read_dir(folder.join(&below))
                .into_iter()
                .flatten()
                .flatten()
            {
                let Ok(kind) = entry.file_type() else {
                    continue;
                };
                if deep && kind.is_dir() {
                    names.push((entry.file_name(), None));
                    continue;
                }
                // Libraries are often links to files of other folders, and what counts is what a linker reads.
                let metadata = match deep {
                    true => entry.metadata(),
                    false => entry.path().metadata(),
                };
                if let Ok(metadata) = metadata
                    && (deep || metadata.is_file())
                {
                    names.push((entry.file_name(), Some(stamp(&metadata))));
                }
            }
            names.sort_unstable();
            count += names.len();
            if count > MAX_FILES {
                return Err(io::Error::other(format!("more than {MAX_FILES} files")));
            }
            let mut line = Vec::new();
            put(&mut line, below.as_os_str());
            line.extend((names.len() as u64).to_le_bytes());
            for (name, stamp) in &names {
                put(&mut line, name);
                line.extend(stamp.unwrap_or([0; 25]));
            }
            hasher.update(&line);
            let deeper = names.iter().filter(|(_, stamp)| stamp.is_none());
            folders.extend(deeper.map(|(name, _)| below.join(name)));
        }
        Ok(Listing {
            folder: folder.to_owned(),
            deep,
            digest: *hasher.finalize().as_bytes(),
        })
    }

    /// Whether the folder is as it was.
    pub fn holds(&self) -> bool {
        Listing::of(&self.folder, self.deep).is_ok_and(|now| now == *self)
    }
}

/// Size and modification time of a file, never all zero bytes as those that stand for a folder.
fn stamp(metadata: &Metadata) -> [u8; 25] {
    let mut stamp = [1; 25];
    stamp[1..9].copy_from_slice(&metadata.len().to_le_bytes());
    stamp[9..17].copy_from_slice(&metadata.mtime().to_le_bytes());
    stamp[17..25].copy_from_slice(&metadata.mtime_nsec().to_le_bytes());
    stamp
}

/// A name with its length before it.
fn put(line: &mut Vec<u8>, name: &OsStr) {
    line.extend((name.len() as u64).to_le_bytes());
    line.extend(name.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_written_where_it_stands_changes_the_listing() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("sub");
        std::fs::create_dir(&below).unwrap();
        std::fs::write(below.join("a.h"), "1").unwrap();
        let listing = Listing::of(folder.path(), true).unwrap();
        let flat = Listing::of(folder.path(), false).unwrap();
        assert!(listing.holds() && flat.holds());
        std::fs::write(below.join("a.h"), "12").unwrap();
        assert!(!listing.holds());
        assert!(flat.holds());
        std::fs::write(folder.path().join("libx.a"), "x").unwrap();
        assert!(!flat.holds());
    }

    #[test]
    fn a_file_and_a_folder_of_one_name_are_two_listings() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("a");
        std::fs::write(&name, "").unwrap();
        let listing = Listing::of(folder.path(), true).unwrap();
        std::fs::remove_file(&name).unwrap();
        assert!(!listing.holds());
        std::fs::create_dir(&name).unwrap();
        assert!(!listing.holds());
    }
}

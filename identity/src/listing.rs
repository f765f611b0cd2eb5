//! What lies in a folder of the system: names, sizes and times of its files, which change with any package upgrade and are
//! the same on machines of one image.

use std::io;
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
        let mut lines = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
                let Ok(kind) = entry.file_type() else {
                    continue;
                };
                let path = entry.path();
                if deep && kind.is_dir() {
                    folders.push(path);
                    continue;
                }
                // Libraries are often links to files of other folders, and what counts is what a linker reads.
                let metadata = match deep {
                    true => entry.metadata(),
                    false => path.metadata(),
                };
                if let Ok(metadata) = metadata
                    && (deep || metadata.is_file())
                {
                    let name = path.strip_prefix(folder).unwrap_or(&path);
                    lines.push(format!(
                        "{} {} {}.{}",
                        name.display(),
                        metadata.len(),
                        metadata.mtime(),
                        metadata.mtime_nsec()
                    ));
                }
                if lines.len() > MAX_FILES {
                    return Err(io::Error::other(format!("more than {MAX_FILES} files")));
                }
            }
        }
        lines.sort();
        let mut hasher = blake3::Hasher::new_derive_key("gofarm folder of the system v1");
        for line in lines {
            hasher.update(&(line.len() as u64).to_le_bytes());
            hasher.update(line.as_bytes());
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
}

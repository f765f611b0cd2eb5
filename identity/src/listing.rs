//! What lies in a folder of the system: names, sizes and times of its files, which change with any package upgrade and are
//! the same on machines of one image.

use std::collections::BTreeSet;
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
        let mut hasher = blake3::Hasher::new_derive_key("gofarm folder of the system v3");
        let mut folders = vec![PathBuf::new()];
        // Folders that links lead to, each listed once: links may go round.
        let mut linked = BTreeSet::from_iter(folder.canonicalize());
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
                let path = || entry.path();
                let (file, led_to) = match kind.is_symlink() {
                    // What counts is what a compiler or a linker reads, and where that is.
                    true => (path().metadata(), path().read_link().ok()),
                    false => (entry.metadata(), None),
                };
                // What a link leads to that is not there comes and goes like a file.
                let Ok(file) = file else { continue };
                let found = match file.is_dir() {
                    true if !deep => continue,
                    true => (led_to.is_some() && !is_new(&path(), &mut linked)).then_some(SEEN),
                    false if deep || file.is_file() => Some(stamp(&file)),
                    false => continue,
                };
                names.push((entry.file_name(), found, led_to));
            }
            names.sort_unstable();
            count += names.len();
            if count > MAX_FILES {
                return Err(io::Error::other(format!("more than {MAX_FILES} files")));
            }
            let mut line = Vec::new();
            put(&mut line, below.as_os_str());
            line.extend((names.len() as u64).to_le_bytes());
            for (name, found, led_to) in &names {
                put(&mut line, name);
                line.extend(found.unwrap_or([0; 25]));
                put(
                    &mut line,
                    led_to.as_deref().unwrap_or(Path::new("")).as_os_str(),
                );
            }
            hasher.update(&line);
            let deeper = names.iter().filter(|(_, found, _)| found.is_none());
            folders.extend(deeper.map(|(name, ..)| below.join(name)));
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

/// Whether no link has led to the same folder yet.
fn is_new(link: &Path, linked: &mut BTreeSet<PathBuf>) -> bool {
    link.canonicalize()
        .is_ok_and(|folder| linked.insert(folder))
}

/// Stands for a folder that a link leads to and another one has led to before.
const SEEN: [u8; 25] = [2; 25];

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
    fn what_links_lead_to_is_listed_too() {
        let folder = tempfile::tempdir().unwrap();
        let [headers, one, two] = ["headers", "one", "two"].map(|name| folder.path().join(name));
        for made in [&headers, &one, &two] {
            std::fs::create_dir(made).unwrap();
        }
        std::fs::write(one.join("a.h"), "1").unwrap();
        std::fs::write(two.join("a.h"), "1").unwrap();
        let link =
            |to: &Path, name: &str| std::os::unix::fs::symlink(to, headers.join(name)).unwrap();
        link(&one, "sub");
        link(&headers, "round");
        link(&one.join("a.h"), "b.h");
        let listing = Listing::of(&headers, true).unwrap();
        assert!(listing.holds());
        std::fs::write(one.join("c.h"), "").unwrap();
        assert!(!listing.holds());
        std::fs::remove_file(one.join("c.h")).unwrap();
        assert!(listing.holds());
        std::fs::write(one.join("a.h"), "12").unwrap();
        let changed = Listing::of(&headers, true).unwrap();
        assert_ne!(changed, listing);
        std::fs::remove_file(headers.join("sub")).unwrap();
        link(&two, "sub");
        assert!(!changed.holds());
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

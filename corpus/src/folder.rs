//! Copies of folders, and what is in them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use sha2::{Digest, Sha256};

/// Copies a folder of the module cache to one that does not exist yet, with files and folders that may be written.
///
/// # Errors
/// Something cannot be read or written.
pub fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    copy_entries(from, to)
        .with_context(|| format!("copying {} to {}", from.display(), to.display()))
}

fn copy_entries(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        // The module cache has no links.
        if entry.file_type()?.is_dir() {
            copy_entries(&from, &to)?;
        } else {
            io::copy(&mut fs::File::open(&from)?, &mut fs::File::create_new(&to)?)?;
        }
    }
    Ok(())
}

/// SHA-256 of every file below a folder, by the path in it.
///
/// # Errors
/// Something cannot be read.
pub fn digests(folder: &Path) -> anyhow::Result<BTreeMap<PathBuf, String>> {
    let mut digests = BTreeMap::new();
    for path in files(folder).with_context(|| format!("listing {}", folder.display()))? {
        let mut hash = Sha256::new();
        let mut file =
            fs::File::open(&path).with_context(|| format!("opening {}", path.display()))?;
        io::copy(&mut file, &mut hash).with_context(|| format!("reading {}", path.display()))?;
        let name = path.strip_prefix(folder).unwrap_or(&path).to_owned();
        digests.insert(name, hex::encode(hash.finalize()));
    }
    Ok(digests)
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path())?);
        } else {
            found.push(entry.path());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_what_may_only_be_read_may_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("a"), dir.path().join("b/c"));
        fs::create_dir_all(from.join("d")).unwrap();
        fs::write(from.join("d/f"), "abc").unwrap();
        let mut mode = fs::metadata(from.join("d/f")).unwrap().permissions();
        mode.set_readonly(true);
        fs::set_permissions(from.join("d/f"), mode).unwrap();
        copy(&from, &to).unwrap();
        assert_eq!(digests(&from).unwrap(), digests(&to).unwrap());
        fs::write(to.join("d/f"), "abd").unwrap();
        assert_ne!(digests(&from).unwrap(), digests(&to).unwrap());
        assert_eq!(
            digests(&from).unwrap()[Path::new("d/f")],
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}

//! A specimen's state, kept so that it can be had again.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::run::run;
use crate::specimen::Written;

/// What is no part of a state: temporary files and what was built.
const PASSED_OVER: [&str; 2] = ["tmp", "out"];

/// A copy of a specimen, with contents, kinds, modes and times of modification. Inodes and times of status changes, which nobody can
/// set, are others when it is restored.
#[derive(Debug)]
pub struct Saved {
    written: Written,
    folder: PathBuf,
}

impl Saved {
    /// Copies a specimen into this folder; what is there is replaced.
    ///
    /// # Errors
    /// Something cannot be read or written.
    pub fn of(written: &Written, folder: &Path) -> io::Result<Saved> {
        if folder.exists() {
            remove(folder)?;
        }
        fs::create_dir(folder)?;
        replace(&written.root, folder)?;
        Ok(Saved {
            written: written.clone(),
            folder: folder.to_owned(),
        })
    }

    /// Puts everything back and says how it is built.
    ///
    /// # Errors
    /// Something cannot be read or written.
    pub fn restore(&self) -> io::Result<Written> {
        replace(&self.folder, &self.written.root)?;
        Ok(self.written.clone())
    }
}

/// Everything in one folder instead of what is in the other.
fn replace(from: &Path, to: &Path) -> io::Result<()> {
    for old in names(to)? {
        remove(&to.join(old))?;
    }
    for new in names(from)? {
        copy(&from.join(&new), &to.join(new))?;
    }
    Ok(())
}

fn names(folder: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name());
    }
    names.retain(|name| PASSED_OVER.iter().all(|passed| name != passed));
    Ok(names)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let metadata = from.symlink_metadata()?;
    let kind = metadata.file_type();
    if kind.is_symlink() {
        return symlink(fs::read_link(from)?, to);
    }
    if kind.is_fifo() {
        return run(
            "mkfifo",
            &[&to.to_string_lossy()],
            Path::new("/"),
            &path_of_this_process(),
        );
    }
    if metadata.mode() & 0o400 == 0 {
        // Who owns it may read it all the same.
        fs::set_permissions(from, Permissions::from_mode(metadata.mode() | 0o500))?;
    }
    if kind.is_dir() {
        fs::create_dir(to)?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            copy(&from.join(&name), &to.join(name))?;
        }
    } else {
        fs::copy(from, to)?;
    }
    File::open(to)?.set_modified(metadata.modified()?)?;
    for copied in [from, to] {
        fs::set_permissions(copied, Permissions::from_mode(metadata.mode()))?;
    }
    Ok(())
}

fn path_of_this_process() -> Vec<(String, String)> {
    let path = std::env::var("PATH").unwrap_or_default();
    vec![("PATH".to_owned(), path)]
}

/// Removes a file, a link or a whole folder, be its folders read-only, as those of a module cache are.
///
/// # Errors
/// It is not there, or cannot be removed.
pub fn remove(path: &Path) -> io::Result<()> {
    let metadata = path.symlink_metadata()?;
    if !metadata.is_dir() {
        return fs::remove_file(path);
    }
    if metadata.mode() & 0o700 != 0o700 {
        fs::set_permissions(path, Permissions::from_mode(metadata.mode() | 0o700))?;
    }
    for entry in fs::read_dir(path)? {
        remove(&entry?.path())?;
    }
    fs::remove_dir(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    #[test]
    fn what_was_there_is_there_again() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("s");
        let written = crate::specimens()[0].write(&root).unwrap();
        let time = SystemTime::now() - Duration::from_secs(1000);
        fs::create_dir(root.join("d")).unwrap();
        fs::write(root.join("d/f"), "1").unwrap();
        File::open(root.join("d/f"))
            .unwrap()
            .set_modified(time)
            .unwrap();
        symlink("f", root.join("d/l")).unwrap();
        fs::set_permissions(root.join("d"), Permissions::from_mode(0o555)).unwrap();
        fs::write(root.join("out/program"), "1").unwrap();

        let saved = Saved::of(&written, &dir.path().join("saved")).unwrap();
        remove(&root.join("d")).unwrap();
        fs::write(root.join("d"), "a file").unwrap();
        fs::write(root.join("added"), "1").unwrap();
        fs::write(root.join("out/program"), "2").unwrap();
        saved.restore().unwrap();

        let metadata = root.join("d/f").metadata().unwrap();
        assert_eq!(fs::read(root.join("d/f")).unwrap(), b"1");
        assert_eq!(metadata.modified().unwrap(), time);
        assert_eq!(root.join("d").metadata().unwrap().mode() & 0o777, 0o555);
        assert_eq!(fs::read_link(root.join("d/l")).unwrap(), Path::new("f"));
        assert!(!root.join("added").exists());
        assert_eq!(fs::read(root.join("out/program")).unwrap(), b"2");
        remove(&root.join("d")).unwrap();
    }
}

//! What there is to change.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::random::Random;
use crate::specimen::Written;

/// Everything of a specimen, in the order of its names: the same wherever it lies.
pub(super) struct Things {
    /// Files with their content.
    pub files: Vec<(String, Vec<u8>)>,
    /// Folders.
    pub folders: Vec<String>,
    /// Links and their texts.
    pub links: Vec<(String, String)>,
    /// Folders that have a repository, or a link to one, in them.
    pub repositories: Vec<String>,
}

/// Not of the user's making: temporary files, what was built, module caches and proxies, which go takes to be unchangeable, go's own
/// counts.
const PASSED_OVER: [&str; 7] = [
    "tmp",
    "out",
    "gopath/pkg",
    "modcache",
    "proxy",
    "hosts",
    "home/.config/go/telemetry",
];

impl Things {
    pub fn of(written: &Written) -> io::Result<Things> {
        let mut things = Things {
            files: Vec::new(),
            folders: Vec::new(),
            links: Vec::new(),
            repositories: Vec::new(),
        };
        things.collect(&written.root, "")?;
        Ok(things)
    }

    fn collect(&mut self, root: &Path, folder: &str) -> io::Result<()> {
        let mut entries: Vec<_> = fs::read_dir(root.join(folder))?.collect::<Result<_, _>>()?;
        entries.sort_by(|a, b| {
            let bytes = |entry: &fs::DirEntry| entry.file_name().as_bytes().to_vec();
            bytes(a).cmp(&bytes(b))
        });
        for entry in entries {
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let path = if folder.is_empty() {
                name.clone()
            } else {
                format!("{folder}/{name}")
            };
            if PASSED_OVER.contains(&path.as_str()) {
                continue;
            }
            if name == ".git" {
                self.repositories.push(folder.to_owned());
                continue;
            }
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.folders.push(path.clone());
                self.collect(root, &path)?;
            } else if kind.is_symlink() {
                let target = fs::read_link(root.join(&path))?;
                self.links
                    .push((path, target.to_string_lossy().into_owned()));
            } else if kind.is_file() {
                let content = fs::read(root.join(&path))?;
                self.files.push((path, content));
            }
        }
        Ok(())
    }

    /// One of the files; the user's home is chosen now and then only.
    pub fn file(&self, random: &mut Random) -> Option<&(String, Vec<u8>)> {
        let at_home = random.once_in(12);
        let files: Vec<_> = self
            .files
            .iter()
            .filter(|(path, _)| path.starts_with("home/") == at_home)
            .collect();
        random.pick(&files).copied()
    }

    /// True when nothing has this name.
    pub fn is_free(&self, path: &str) -> bool {
        !self.files.iter().any(|(known, _)| known == path)
            && !self.folders.iter().any(|known| known == path)
            && !self.links.iter().any(|(known, _)| known == path)
    }

    /// The folders in which sources are: those that have any file at all, and no home.
    pub fn source_folders(&self) -> Vec<&str> {
        let mut folders: Vec<&str> = self
            .files
            .iter()
            .map(|(path, _)| parent(path))
            .filter(|folder| !folder.is_empty() && !folder.starts_with("home"))
            .collect();
        folders.dedup();
        folders.sort_unstable();
        folders.dedup();
        folders
    }
}

/// Whether this is a go command by which both sides are run: without it there is nothing to compare with.
pub(super) fn is_go(path: &str) -> bool {
    path == "bin/go"
}

/// The folder of a path; empty for the root.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The last part of a path.
pub(super) fn base(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// A name in a folder.
pub(super) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

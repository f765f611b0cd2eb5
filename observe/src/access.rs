//! One question to the kernel.

use std::path::{Component, Path, PathBuf};

/// A path that a process named to the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Access {
    /// The process; all its threads have this number.
    pub process: u32,
    /// The path, absolute: what the process said, behind its working folder or the folder that it named. Links in it are not
    /// resolved and `..` is kept, because behind a link it means something else.
    pub path: PathBuf,
    /// What it asked.
    pub kind: Kind,
    /// What came of it.
    pub outcome: Outcome,
}

/// What a process asked of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// To open it for reading.
    Read,
    /// To open it for writing, or to make it.
    OpenWrite,
    /// Whether it is there and what it is; at the end of a link, or of the link itself.
    Look {
        /// True when a link as last part is followed.
        follow: bool,
    },
    /// The names in a folder.
    List,
    /// Where a link leads.
    ReadLink,
    /// To run it, or to run a program by it: an interpreter or a loader.
    Execute,
    /// To make, rename, remove or change it.
    Change,
}

/// What the kernel said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// It is there, or was made.
    Found,
    /// There is no such file or folder.
    Absent,
    /// Another error, by its number: no permission, not a link, and so on.
    Failed(i32),
}

impl Access {
    /// The path with `..` resolved in the text.
    pub fn lexical(&self) -> PathBuf {
        lexical(&self.path)
    }
}

fn lexical(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_resolved_in_the_text() {
        assert_eq!(lexical(Path::new("/a/./b/../c//d")), Path::new("/a/c/d"));
        assert_eq!(lexical(Path::new("/../a")), Path::new("/a"));
    }
}

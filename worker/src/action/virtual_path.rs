//! The paths of an action, checked.

use std::fmt;
use std::path::Path;

use gofarm_proto::EXEC_ROOT;
use gofarm_tree::TreePath;

/// A path below the exec root. It leads to something in the tree of an action by way of its [`TreePath`], and to nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VirtualPath<'a> {
    text: &'a str,
    below: TreePath<'a>,
}

impl<'a> VirtualPath<'a> {
    /// Accepts the paths that stand for a file or folder below the exec root, and nothing that could lead out of it.
    pub fn new(text: &'a str) -> Result<VirtualPath<'a>, String> {
        let below = text
            .strip_prefix(EXEC_ROOT)
            .and_then(|rest| rest.strip_prefix('/'));
        let Some(below) = below else {
            return Err(format!("{text:?} is not a path below {EXEC_ROOT}"));
        };
        match TreePath::new(below) {
            Ok(below) => Ok(VirtualPath { text, below }),
            Err(why) => Err(format!("{text:?} is not a path below {EXEC_ROOT}: {why}")),
        }
    }

    /// The same for a folder, which may be the exec root itself: `None`.
    pub fn folder(text: &'a str) -> Result<Option<VirtualPath<'a>>, String> {
        match text == EXEC_ROOT {
            true => Ok(None),
            false => VirtualPath::new(text).map(Some),
        }
    }

    /// Where it is in the tree.
    pub fn below(self) -> TreePath<'a> {
        self.below
    }

    /// What messages of the store call it.
    pub fn called(self) -> &'a Path {
        Path::new(self.text)
    }
}

impl fmt::Display for VirtualPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_lead_out_of_the_exec_root_are_refused() {
        for path in [
            "",
            "/",
            "/etc/passwd",
            "/__gofarm__",
            "/__gofarm__x/a",
            "/__gofarm__/",
            "/__gofarm__/../a",
            "/__gofarm__/w/../../a",
            "/__gofarm__/w/./a",
            "/__gofarm__/w/",
            "/__gofarm__/w//a",
            "/__gofarm__//etc",
            "/__gofarm__/w\0",
            "w/a",
        ] {
            assert!(VirtualPath::new(path).is_err(), "{path:?}");
            let root = path == EXEC_ROOT;
            assert_eq!(VirtualPath::folder(path) == Ok(None), root, "{path:?}");
        }
        for path in ["/__gofarm__/w", "/__gofarm__/mod/a@v1/b c.go"] {
            assert!(VirtualPath::new(path).is_ok(), "{path:?}");
        }
    }
}

//! Paths below a folder.

use std::fmt;

/// A path below a folder: one or more names with a slash between each two. No name is empty, `.` or `..`, none has a NUL.
///
/// It is no [`std::path::Path`] and does not turn into one, so that it cannot be joined to the name of a folder by accident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TreePath<'a>(&'a str);

/// Why a text is no [`TreePath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// It, or one of the names in it, is empty: it begins or ends with a slash, or has two in a row.
    #[error("it has an empty name in it")]
    EmptyName,
    /// One of the names is `.` or `..`.
    #[error("it has the name {0:?} in it, which may lead elsewhere")]
    Leads(&'static str),
    /// It has a NUL in it.
    #[error("it has a NUL in it")]
    Nul,
}

impl<'a> TreePath<'a> {
    /// Checks a text.
    pub fn new(text: &'a str) -> Result<TreePath<'a>, BadPath> {
        if text.contains('\0') {
            return Err(BadPath::Nul);
        }
        for name in text.split('/') {
            match name {
                "" => return Err(BadPath::EmptyName),
                "." => return Err(BadPath::Leads(".")),
                ".." => return Err(BadPath::Leads("..")),
                _ => {}
            }
        }
        Ok(TreePath(text))
    }

    /// The text, for messages.
    pub fn text(self) -> &'a str {
        self.0
    }

    /// The folder that it is in, unless that is the root of the tree.
    pub fn parent(self) -> Option<TreePath<'a>> {
        let (parent, _) = self.0.rsplit_once('/')?;
        Some(TreePath(parent))
    }

    /// The last name.
    pub fn name(self) -> &'a str {
        self.0.rsplit_once('/').map_or(self.0, |(_, name)| name)
    }

    /// The path of each folder above it and its own, the topmost first.
    pub fn steps(self) -> impl Iterator<Item = TreePath<'a>> {
        let text = self.0;
        let ends = text.match_indices('/').map(|(at, _)| at);
        ends.chain([text.len()]).map(|end| TreePath(&text[..end]))
    }
}

impl fmt::Display for TreePath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_lead_elsewhere_is_no_path() {
        for (text, bad) in [
            ("", BadPath::EmptyName),
            ("/a", BadPath::EmptyName),
            ("a/", BadPath::EmptyName),
            ("a//b", BadPath::EmptyName),
            (".", BadPath::Leads(".")),
            ("a/./b", BadPath::Leads(".")),
            ("..", BadPath::Leads("..")),
            ("a/../b", BadPath::Leads("..")),
            ("a/..", BadPath::Leads("..")),
            ("a\0b", BadPath::Nul),
        ] {
            assert_eq!(TreePath::new(text), Err(bad), "{text:?}");
        }
        for text in ["a", "a/b c/d", "...", "a\n/b", "..a/b.."] {
            assert_eq!(TreePath::new(text).map(TreePath::text), Ok(text));
        }
    }

    #[test]
    fn a_path_has_a_parent_a_name_and_steps() {
        let path = TreePath::new("a/b/c").unwrap();
        assert_eq!(path.parent().map(TreePath::text), Some("a/b"));
        assert_eq!(path.name(), "c");
        let steps: Vec<&str> = path.steps().map(TreePath::text).collect();
        assert_eq!(steps, ["a", "a/b", "a/b/c"]);
        let top = TreePath::new("a").unwrap();
        assert_eq!((top.parent(), top.name()), (None, "a"));
    }
}

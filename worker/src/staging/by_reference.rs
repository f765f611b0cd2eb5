//! Inputs that are only mentioned in written files: the path where the blob is kept is written in place of the virtual path.

use std::borrow::Cow;
use std::collections::HashMap;

use gofarm_proto::EXEC_ROOT;
use memchr::memmem;

use crate::action::ExecRoot;

/// Where each by-reference input is kept, as the tools of this action see it.
#[derive(Debug, Default)]
pub(crate) struct References {
    /// By virtual path.
    pub kept_at: HashMap<String, String>,
}

impl References {
    /// A file's content with every mention of a by-reference input replaced, and the exec root where it needs to be.
    ///
    /// One pass: at each mention of the exec root, what follows is taken up to the end of the line (an importcfg, whose
    /// paths may hold spaces), up to a quote (JSON), or up to a space, whichever names an input first.
    pub fn write_into<'a>(&self, content: &'a [u8], root: &ExecRoot) -> Cow<'a, [u8]> {
        if self.kept_at.is_empty() && root.is_mounted() {
            return Cow::Borrowed(content);
        }
        let mut written = Vec::with_capacity(content.len() * 2);
        let mut copied = 0;
        for at in memmem::find_iter(content, EXEC_ROOT) {
            if at < copied {
                continue;
            }
            written.extend_from_slice(&content[copied..at]);
            match self.mention(&content[at..]) {
                Some((length, kept_at)) => {
                    written.extend_from_slice(kept_at.as_bytes());
                    copied = at + length;
                }
                None => {
                    written.extend_from_slice(root.seen().as_bytes());
                    copied = at + EXEC_ROOT.len();
                }
            }
        }
        written.extend_from_slice(&content[copied..]);
        Cow::Owned(written)
    }

    /// The input that a text begins with, and how long its virtual path is.
    fn mention(&self, text: &[u8]) -> Option<(usize, &str)> {
        if self.kept_at.is_empty() {
            return None;
        }
        let line = &text[..memchr::memchr(b'\n', text).unwrap_or(text.len())];
        let until_quote = &line[..memchr::memchr(b'"', line).unwrap_or(line.len())];
        let until_space = &line[..memchr::memchr2(b' ', b'\t', line).unwrap_or(line.len())];
        [line, until_quote, until_space]
            .into_iter()
            .find_map(|path| {
                let kept_at = self.kept_at.get(std::str::from_utf8(path).ok()?)?;
                Some((path.len(), kept_at.as_str()))
            })
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn references() -> References {
        let kept_at = [
            ("/__gofarm__/in/1/x y", "/c/1"),
            ("/__gofarm__/in/12/x", "/c/12"),
        ];
        References {
            kept_at: kept_at
                .map(|(path, at)| (path.to_owned(), at.to_owned()))
                .into(),
        }
    }

    fn written(root: &ExecRoot, content: &str) -> String {
        String::from_utf8(
            references()
                .write_into(content.as_bytes(), root)
                .into_owned(),
        )
        .unwrap()
    }

    #[test]
    fn importcfg_and_json_name_the_store() {
        let root = ExecRoot::mounted(PathBuf::from("/s"));
        assert_eq!(
            written(
                &root,
                "# import config\npackagefile a=/__gofarm__/in/1/x y\npackagefile b=/__gofarm__/in/12/x\n\
                 {\"F\":\"/__gofarm__/in/1/x y\",\"G\":\"/__gofarm__/in/12/xx\"}\n"
            ),
            "# import config\npackagefile a=/c/1\npackagefile b=/c/12\n\
             {\"F\":\"/c/1\",\"G\":\"/__gofarm__/in/12/xx\"}\n"
        );
    }

    #[test]
    fn without_a_sandbox_the_rest_names_the_real_folder() {
        let root = ExecRoot::real(PathBuf::from("/s")).unwrap();
        assert_eq!(
            written(&root, "/__gofarm__/in/12/x /__gofarm__/w\n/__gofarm__"),
            "/c/12 /s/w\n/s"
        );
    }
}

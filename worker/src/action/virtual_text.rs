//! Virtual paths as text that tools of this machine understand.

use std::path::{Path, PathBuf};

use gofarm_proto::EXEC_ROOT;

use crate::error::{ExecuteError, Result};

/// What the exec root of an action is called. What is in it is the matter of [`ActionTree`](crate::tree::ActionTree).
#[derive(Debug, Clone)]
pub(crate) struct ExecRoot {
    /// The real folder.
    folder: PathBuf,
    /// What tools have to be told. Equal to [`EXEC_ROOT`] in a sandbox.
    seen: String,
}

impl ExecRoot {
    /// The exec root of an action that sees the machine's own file tree.
    pub fn real(folder: PathBuf) -> Result<ExecRoot> {
        let seen = folder
            .to_str()
            // These have a meaning in what the text is put into: importcfg lines, -trimpath lists, JSON.
            .filter(|text| !text.contains(['"', '\\', '\n', ';', '=']))
            .ok_or_else(|| ExecuteError::Io {
                what: format!("using the scratch folder {}", folder.display()),
                source: std::io::Error::new(
                    std::io::ErrorKind::InvalidInput,
                    "its name is not UTF-8 or has one of \" \\ ; = in it; choose another cache folder",
                ),
            })?
            .to_owned();
        Ok(ExecRoot { folder, seen })
    }

    /// The exec root of an action that sees it mounted at its virtual place.
    pub fn mounted(folder: PathBuf) -> ExecRoot {
        ExecRoot {
            folder,
            seen: EXEC_ROOT.to_owned(),
        }
    }

    /// The real folder: for messages, and for what is told to a launcher. Nothing is joined to it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What tools call it.
    pub fn seen(&self) -> &str {
        &self.seen
    }

    /// Whether tools see the virtual paths themselves.
    pub fn is_mounted(&self) -> bool {
        self.seen == EXEC_ROOT
    }

    /// A text as tools must get it.
    pub fn text(&self, text: &str) -> String {
        if self.is_mounted() {
            text.to_owned()
        } else {
            text.replace(EXEC_ROOT, &self.seen)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_names_the_real_folder_everywhere() {
        let root = ExecRoot::real(PathBuf::from("/s/1")).unwrap();
        assert_eq!(
            root.text("/__gofarm__/w=>;/__gofarm__/main=>x"),
            "/s/1/w=>;/s/1/main=>x"
        );
    }

    #[test]
    fn a_folder_that_would_break_an_importcfg_is_refused() {
        assert!(ExecRoot::real(PathBuf::from("/s/a=b")).is_err());
    }
}

//! Scratch folders of actions that are kept for a person to look at, as `go build -work` keeps its own.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gofarm_tree::Folder;

use crate::error::Result;
use crate::tree::{ActionTree, FOLDER_MODE, Trouble};

/// Of a label so much gets into a folder's name, bytes: a name has 255 at most.
const LONGEST: usize = 200;

/// Where they are kept.
#[derive(Debug, Clone)]
pub struct KeptWork {
    folder: Arc<Folder>,
    path: PathBuf,
}

impl KeptWork {
    /// In a folder that is there. Nobody removes what is put there.
    ///
    /// # Errors
    /// The folder cannot be opened.
    pub fn in_folder(path: &Path) -> io::Result<KeptWork> {
        Ok(KeptWork {
            folder: Arc::new(Folder::open(path)?),
            path: path.to_owned(),
        })
    }

    /// Copies what an action has in its scratch folder, which is to be done before its outputs are taken from there. What the
    /// worker does not touch is not kept.
    pub(crate) fn keep(&self, label: &str, tree: &ActionTree) -> Result<()> {
        let kept = self.fresh(label).and_then(|to| tree.copy_scratch(&to));
        match kept {
            Ok(()) | Err(Trouble::Refused(_)) => Ok(()),
            Err(trouble) => Err(trouble.into_error(label, &self.path)),
        }
    }

    /// A new folder, called by the action's label.
    fn fresh(&self, label: &str) -> Result<Folder, Trouble> {
        let base = name(label);
        let mut tries = 1_u32;
        loop {
            let name = match tries {
                1 => base.clone(),
                again => format!("{base}-{again}"),
            };
            let made = self
                .folder
                .make_folder(&name, FOLDER_MODE)
                .and_then(|()| self.folder.child_folder(&name));
            match made {
                // The action was executed before.
                Err(error) if error.io_kind() == Some(io::ErrorKind::AlreadyExists) => tries += 1,
                Err(error) => {
                    return Err(Trouble::Io {
                        what: format!("keeping the folder of {label}"),
                        source: error.into(),
                    });
                }
                Ok(folder) => return Ok(folder),
            }
        }
    }
}

/// `compile example.com/m` is `compile-example.com_m`.
fn name(label: &str) -> String {
    let letters = label.chars().map(|c| match c {
        ' ' => '-',
        c if c.is_ascii_alphanumeric() || "._-+@".contains(c) => c,
        _ => '_',
    });
    let name: String = letters.take(LONGEST).collect();
    match name.trim_start_matches('.') {
        "" => "action".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_one_name() {
        for (label, expected) in [
            ("compile example.com/m/v2", "compile-example.com_m_v2"),
            ("link a [b.test]", "link-a-_b.test_"),
            ("../../x", "_.._x"),
            ("..", "action"),
            ("", "action"),
        ] {
            assert_eq!(name(label), expected);
        }
        assert_eq!(name(&"x".repeat(1000)).len(), LONGEST);
    }
}

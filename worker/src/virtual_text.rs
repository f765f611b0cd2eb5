//! Virtual paths as files of this machine, and as text that tools of this machine understand.

use std::path::{Component, Path, PathBuf};

use gofarm_proto::EXEC_ROOT;

use crate::error::{ExecuteError, Result};

/// Where the exec root is: as a folder for the worker, and as text for the tools.
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

    /// The real folder.
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

    /// The real file of a virtual path that [`check`] has accepted.
    pub fn file(&self, path: &str) -> PathBuf {
        self.folder
            .join(path.trim_start_matches(EXEC_ROOT).trim_start_matches('/'))
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

/// Accepts the virtual paths that stand for a file or folder of the exec root, and nothing that could lead out of it.
pub(crate) fn check(path: &str) -> Result<(), String> {
    let refuse = || Err(format!("{path:?} is not a path below {EXEC_ROOT}"));
    let Some(rest) = path.strip_prefix(EXEC_ROOT) else {
        return refuse();
    };
    if rest.is_empty() {
        return Ok(());
    }
    if !rest.starts_with('/') || rest.contains('\0') {
        return refuse();
    }
    let mut components = Path::new(&rest[1..]).components();
    match components.all(|component| matches!(component, Component::Normal(_))) {
        true if rest.len() > 1 => Ok(()),
        _ => refuse(),
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
            "/__gofarm__x/a",
            "/__gofarm__/",
            "/__gofarm__/../a",
            "/__gofarm__/w/../../a",
            "/__gofarm__//etc",
            "/__gofarm__/w\0",
            "w/a",
        ] {
            assert!(check(path).is_err(), "{path:?}");
        }
        for path in [
            "/__gofarm__",
            "/__gofarm__/w",
            "/__gofarm__/mod/a@v1/b c.go",
        ] {
            assert_eq!(check(path), Ok(()), "{path:?}");
        }
    }

    #[test]
    fn text_names_the_real_folder_everywhere() {
        let root = ExecRoot::real(PathBuf::from("/s/1")).unwrap();
        assert_eq!(
            root.text("/__gofarm__/w=>;/__gofarm__/main=>x"),
            "/s/1/w=>;/s/1/main=>x"
        );
        assert_eq!(root.file("/__gofarm__/w/a"), Path::new("/s/1/w/a"));
        assert_eq!(root.file("/__gofarm__"), Path::new("/s/1/"));
    }

    #[test]
    fn a_folder_that_would_break_an_importcfg_is_refused() {
        assert!(ExecRoot::real(PathBuf::from("/s/a=b")).is_err());
    }
}

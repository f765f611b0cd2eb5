//! Copies of the user's GOROOT, so that edits never touch the user's Go.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::process::{Process, check_stopped};

/// What of a GOROOT a build reads.
const PARTS: [&str; 6] = ["bin", "go.env", "lib", "pkg", "src", "VERSION"];
/// The file that is edited, and a string in a body that is too large to be inlined (`(*pp).catchPanic`): nothing of it
/// is in the export data, in any release that gofarm supports.
const EDITED: (&str, &str) = ("src/fmt/print.go", "\" method: \"");

/// A Go installation as the user has it.
#[derive(Debug)]
pub struct GoInstall {
    /// Its folder.
    pub goroot: PathBuf,
    /// `go1.27.3`.
    pub version: String,
}

impl GoInstall {
    /// Asks a go command where it lives.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn find(go: &Path) -> anyhow::Result<GoInstall> {
        let mut ask = Process::new(go, Path::new(".")).args(["env", "GOROOT", "GOVERSION"]);
        ask.env.push(("GOTOOLCHAIN".into(), Some("local".into())));
        // Of no flags, and not of those in the user's settings, either: `go env` has some that change what it does.
        ask.env.push(("GOFLAGS".into(), Some(" ".into())));
        let answer = ask
            .run()
            .context("gofarm-bench needs a go command; install Go or name one with --go")?;
        match answer.stdout.lines().collect::<Vec<_>>()[..] {
            [goroot, version] => Ok(GoInstall {
                goroot: goroot.into(),
                version: version.to_owned(),
            }),
            _ => bail!(
                "{} env printed no GOROOT: {:?}",
                go.display(),
                answer.stdout
            ),
        }
    }
}

/// A whole GOROOT of our own.
#[derive(Debug)]
pub struct PrivateGoroot {
    /// Its folder.
    pub path: PathBuf,
    edited: PathBuf,
    original: String,
    edits: usize,
}

impl PrivateGoroot {
    /// Copies a GOROOT to a folder that does not exist yet. Files are copied, not linked, whatever that costs: nothing
    /// that writes to the copy can reach the original. They keep their times, as with `cp -a`.
    ///
    /// # Errors
    /// Something cannot be read or written, or the file to edit is not as expected.
    pub fn copy(from: &Path, to: &Path) -> anyhow::Result<PrivateGoroot> {
        fs::create_dir_all(to).with_context(|| format!("making {}", to.display()))?;
        for part in PARTS {
            let (from, to) = (from.join(part), to.join(part));
            copy(&from, &to)
                .with_context(|| format!("copying {} to {}", from.display(), to.display()))?;
        }
        let edited = to.join(EDITED.0);
        let original =
            fs::read_to_string(&edited).with_context(|| format!("reading {}", edited.display()))?;
        if original.matches(EDITED.1).count() != 1 {
            bail!(
                "{}: {} is not there exactly once; which Go is this?",
                edited.display(),
                EDITED.1
            );
        }
        Ok(PrivateGoroot {
            path: to.to_owned(),
            edited,
            original,
            edits: 0,
        })
    }

    /// Changes a string inside a function of `fmt` to one that it has never been.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn edit(&mut self) -> anyhow::Result<()> {
        self.edits += 1;
        let text = format!("\" method in edit {}: \"", self.edits);
        self.write(&self.original.replace(EDITED.1, &text))
    }

    /// Takes the edits back.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn revert(&self) -> anyhow::Result<()> {
        self.write(&self.original)
    }

    fn write(&self, text: &str) -> anyhow::Result<()> {
        fs::write(&self.edited, text).with_context(|| format!("writing {}", self.edited.display()))
    }
}

/// Follows links: on some systems parts of GOROOT are links to other folders.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    check_stopped()?;
    let metadata = fs::metadata(from)?;
    if metadata.is_dir() {
        fs::create_dir(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    fs::copy(from, to)?;
    // A file that may only be read is opened for reading; its owner may set its times all the same.
    fs::File::open(to)?.set_modified(metadata.modified()?)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_edit_is_new_and_the_original_is_never_touched() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("go"), folder.path().join("copy"));
        for part in ["bin", "lib", "pkg", "src/fmt"] {
            fs::create_dir_all(from.join(part)).unwrap();
        }
        fs::write(from.join("go.env"), "").unwrap();
        fs::write(from.join("VERSION"), "go1.27.3").unwrap();
        let source = from.join(EDITED.0);
        fs::write(&source, "f(\" method: \")").unwrap();
        let mut copy = PrivateGoroot::copy(&from, &to).unwrap();
        let edited = to.join(EDITED.0);
        let modified = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
        assert_eq!(modified(&edited), modified(&source));
        let mut bodies = HashSet::from([fs::read_to_string(&edited).unwrap()]);
        for _ in 0..3 {
            copy.edit().unwrap();
            assert!(bodies.insert(fs::read_to_string(&edited).unwrap()));
        }
        assert_eq!(fs::read_to_string(&source).unwrap(), "f(\" method: \")");
        copy.revert().unwrap();
        assert_eq!(fs::read(&edited).unwrap(), fs::read(&source).unwrap());
    }

    #[test]
    fn another_fmt_than_expected_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("go");
        for part in ["bin", "go.env", "lib", "pkg", "VERSION", "src/fmt"] {
            fs::create_dir_all(from.join(part)).unwrap();
        }
        fs::write(from.join(EDITED.0), "package fmt").unwrap();
        let error = PrivateGoroot::copy(&from, &folder.path().join("copy")).unwrap_err();
        assert!(
            error.to_string().contains("is not there exactly once"),
            "{error}"
        );
    }
}

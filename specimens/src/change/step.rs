//! What a change consists of.

use std::fs::{self, File, FileTimes, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use crate::run::{git_env, run};
use crate::saved::remove;
use crate::specimen::Written;

/// One step. Paths are below the specimen's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A file is written, in place.
    Write {
        /// The file; its folder is made.
        path: String,
        /// All of it.
        content: Vec<u8>,
        /// Its time of modification stays as it was.
        keep_time: bool,
    },
    /// A file, a link or a whole folder is removed.
    Remove {
        /// Which.
        path: String,
    },
    /// Something is renamed.
    Rename {
        /// From.
        from: String,
        /// To; its folder is made.
        to: String,
    },
    /// A link is made.
    Link {
        /// Where; nothing must be there.
        path: String,
        /// Its text.
        target: String,
    },
    /// A folder is made.
    Folder {
        /// Where.
        path: String,
    },
    /// A named pipe is made.
    Fifo {
        /// Where.
        path: String,
    },
    /// Permissions are set.
    Mode {
        /// Of what.
        path: String,
        /// To.
        mode: u32,
    },
    /// Whoever builds sees a folder as a read-only file system from now on.
    ReadOnly {
        /// Which.
        path: String,
    },
    /// Only the time of modification changes.
    Touch {
        /// Of what.
        path: String,
    },
    /// A variable is set, or taken away. `ROOT` in it is the specimen's folder.
    Variable {
        /// Which.
        name: String,
        /// To.
        value: Option<String>,
    },
    /// Flags of the build, from now on.
    Flags(Vec<String>),
    /// Packages of the build, from now on.
    Packages(Vec<String>),
    /// Git is run.
    Git {
        /// In this folder.
        folder: String,
        /// With these arguments.
        args: Vec<String>,
        /// It may refuse, because there is no commit yet or a repository inside has none; then this has not happened.
        may_refuse: bool,
    },
}

impl Step {
    pub(super) fn apply(&self, written: &mut Written) -> io::Result<()> {
        let root = written.root.clone();
        match self {
            Step::Write {
                path,
                content,
                keep_time,
            } => write(&through(&root, path)?, content, *keep_time),
            Step::Remove { path } => remove(&at(&root, path)?),
            Step::Rename { from, to } => {
                let (from, to) = (at(&root, from)?, at(&root, to)?);
                make_parent(&to)?;
                fs::rename(from, to)
            }
            Step::Link { path, target } => {
                let path = at(&root, path)?;
                make_parent(&path)?;
                symlink(target, path)
            }
            Step::Folder { path } => fs::create_dir_all(through(&root, path)?),
            Step::Fifo { path } => run(
                "mkfifo",
                &[&at(&root, path)?.to_string_lossy()],
                &root,
                &written.env,
            ),
            Step::Mode { path, mode } => {
                fs::set_permissions(through(&root, path)?, Permissions::from_mode(*mode))
            }
            Step::ReadOnly { path } => {
                written.read_only.push(path.clone());
                Ok(())
            }
            Step::Touch { path } => {
                File::open(through(&root, path)?)?.set_modified(std::time::SystemTime::now())
            }
            Step::Variable { name, value } => {
                let value = value
                    .as_ref()
                    .map(|value| value.replace("ROOT", &root.to_string_lossy()));
                written.set_var(name, value.as_deref());
                Ok(())
            }
            Step::Flags(flags) => {
                written.flags.clone_from(flags);
                Ok(())
            }
            Step::Packages(packages) => {
                written.packages.clone_from(packages);
                Ok(())
            }
            Step::Git {
                folder,
                args,
                may_refuse,
            } => {
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                let mut env = git_env(&written.env);
                // A folder without a repository is not one of a repository above the specimen.
                let above = root.parent().unwrap_or(&root).display().to_string();
                env.push(("GIT_CEILING_DIRECTORIES".to_owned(), above));
                let done = run("git", &args, &through(&root, folder)?, &env);
                if *may_refuse { Ok(()) } else { done }
            }
        }
    }
}

/// A name below the root, whatever it is itself; an error where links lead out of the specimen on the way to it: nothing of the machine
/// is changed.
fn at(root: &Path, name: &str) -> io::Result<PathBuf> {
    let path = root.join(name);
    let parent = path.parent().unwrap_or(root);
    let steps_out = Path::new(name)
        .components()
        .any(|part| !matches!(part, Component::Normal(_)));
    let nearest = parent.ancestors().find(|folder| folder.is_dir());
    match nearest {
        _ if name.is_empty() => Ok(root.to_owned()),
        Some(folder) if !steps_out && is_inside(root, folder)? => Ok(path),
        _ => Err(leads_out(&path)),
    }
}

/// As [`at`], and what a link of that name leads to is below the root as well.
fn through(root: &Path, name: &str) -> io::Result<PathBuf> {
    let path = at(root, name)?;
    // A link that leads nowhere has no place that could be looked at.
    match path.is_symlink() && !is_inside(root, &path).unwrap_or(false) {
        true => Err(leads_out(&path)),
        false => Ok(path),
    }
}

fn is_inside(root: &Path, path: &Path) -> io::Result<bool> {
    Ok(path.canonicalize()?.starts_with(root.canonicalize()?))
}

fn leads_out(path: &Path) -> io::Error {
    io::Error::other(format!("{} leads out of the specimen", path.display()))
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

fn write(path: &Path, content: &[u8], keep_time: bool) -> io::Result<()> {
    make_parent(path)?;
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    fs::write(path, content)?;
    match modified {
        Ok(modified) if keep_time => File::options()
            .write(true)
            .open(path)?
            .set_times(FileTimes::new().set_modified(modified)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn nothing_outside_of_a_specimen_is_changed() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("machine");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("tool"), "of the machine").unwrap();
        let mut written = crate::specimens()[0].write(&dir.path().join("s")).unwrap();
        symlink(outside.join("tool"), written.root.join("bin/tool")).unwrap();
        symlink(outside.join("new"), written.root.join("bin/new")).unwrap();
        symlink(&outside, written.root.join("folder")).unwrap();
        let before = outside.join("tool").metadata().unwrap();
        let write = |path: &str| Step::Write {
            path: path.to_owned(),
            content: b"changed".to_vec(),
            keep_time: false,
        };
        let path = "bin/tool".to_owned();
        let below = "folder/tool".to_owned();
        for step in [
            write("bin/tool"),
            write("bin/new"),
            write("folder/tool"),
            write("folder/new/deep"),
            write("../machine/tool"),
            write("/machine"),
            Step::Mode {
                path: path.clone(),
                mode: 0o600,
            },
            Step::Touch { path: path.clone() },
            Step::Remove {
                path: below.clone(),
            },
            Step::Rename {
                from: below.clone(),
                to: "src/stolen".to_owned(),
            },
            Step::Rename {
                from: "src/main.go".to_owned(),
                to: below.clone(),
            },
            Step::Folder {
                path: "folder/new".to_owned(),
            },
            Step::Git {
                folder: "folder".to_owned(),
                args: vec!["init".to_owned(), "-q".to_owned()],
                may_refuse: false,
            },
        ] {
            let error = step.apply(&mut written).unwrap_err().to_string();
            assert!(
                error.ends_with("leads out of the specimen"),
                "{step:?}: {error}"
            );
        }
        // A link itself may go.
        Step::Remove { path }.apply(&mut written).unwrap();
        let after = outside.join("tool").metadata().unwrap();
        assert_eq!(fs::read(outside.join("tool")).unwrap(), b"of the machine");
        assert_eq!(
            (after.mode(), after.mtime(), after.ctime_nsec()),
            (before.mode(), before.mtime(), before.ctime_nsec())
        );
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    }
}

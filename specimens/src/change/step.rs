//! What a change consists of.

use std::fs::{self, File, FileTimes, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

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
    },
}

impl Step {
    pub(super) fn apply(&self, written: &mut Written) -> io::Result<()> {
        let root = written.root.clone();
        let at = |path: &str| root.join(path);
        match self {
            Step::Write {
                path,
                content,
                keep_time,
            } => write(&at(path), content, *keep_time),
            Step::Remove { path } => remove(&at(path)),
            Step::Rename { from, to } => {
                make_parent(&at(to))?;
                fs::rename(at(from), at(to))
            }
            Step::Link { path, target } => {
                make_parent(&at(path))?;
                symlink(target, at(path))
            }
            Step::Folder { path } => fs::create_dir_all(at(path)),
            Step::Fifo { path } => run(
                "mkfifo",
                &[&at(path).to_string_lossy()],
                &root,
                &written.env,
            ),
            Step::Mode { path, mode } => {
                fs::set_permissions(at(path), Permissions::from_mode(*mode))
            }
            Step::ReadOnly { path } => {
                written.read_only.push(path.clone());
                Ok(())
            }
            Step::Touch { path } => {
                File::open(at(path))?.set_modified(std::time::SystemTime::now())
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
            Step::Git { folder, args } => {
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                run("git", &args, &at(folder), &git_env(&written.env))
            }
        }
    }
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

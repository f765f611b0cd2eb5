//! The files and folders that a C compiler's arguments name, cgo's own among them, which it hands on.

use std::path::{Path, PathBuf};

use crate::cc::includes::normalise;
use crate::lookups::Lookups;

/// Options with a folder or file behind them, in the same word or in the next.
pub(crate) const OPTIONS: [&str; 7] = [
    "-I",
    "-isystem",
    "-iquote",
    "-idirafter",
    "-include",
    "-imacros",
    "-isysroot",
];

/// Where headers are below the folder that stands for the root of the system.
const SYSROOT_HEADERS: [&str; 3] = ["usr/include", "usr/local/include", "include"];

/// A place that an argument names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// A source or header, which may include others.
    Source(PathBuf),
    /// Another file.
    File(PathBuf),
    /// Headers may be looked for here.
    Folder(PathBuf),
    /// Headers would be looked for here, but there is nothing.
    Absent(PathBuf),
}

/// What the arguments of a compiler that runs in `cwd` name and what is there.
pub(crate) fn named(lookups: &Lookups, argv: &[String], cwd: &str) -> Vec<Named> {
    let mut named = Vec::new();
    let mut previous = "";
    for argument in argv.iter().skip(1) {
        let before = std::mem::replace(&mut previous, argument);
        if matches!(before, "-D" | "-U" | "-o") || argument.starts_with("-D") {
            continue;
        }
        let joined = OPTIONS
            .iter()
            .find_map(|option| argument.strip_prefix(option))
            .filter(|value| !value.is_empty() && !value.starts_with('='));
        let assigned = argument
            .split_once('=')
            .filter(|(name, _)| name.starts_with('-') && !name.ends_with("-prefix-map"));
        if let Some((name, value)) = assigned {
            let path = resolve(value, cwd).filter(|_| value.starts_with('/'));
            if let Some(path) = path {
                let is_sysroot = name.trim_start_matches('-') == "sysroot";
                let below = SYSROOT_HEADERS.map(|folder| path.join(folder));
                named.extend(below.into_iter().filter(|_| is_sysroot).map(Named::Folder));
                named.extend(lookups.is_file(&path).then_some(Named::File(path)));
            }
        } else if let Some(value) = joined {
            named.extend(resolve(value, cwd).map(|path| source_or_folder(lookups, path)));
        } else if OPTIONS.contains(&before) || argument.starts_with('/') {
            named.extend(resolve(argument, cwd).map(|path| source_or_folder(lookups, path)));
            if before == "-isysroot" {
                let folder = resolve(argument, cwd).into_iter();
                named.extend(
                    folder.flat_map(|path| {
                        SYSROOT_HEADERS.map(|name| Named::Folder(path.join(name)))
                    }),
                );
            }
        }
    }
    let named = named.into_iter().filter_map(|named| match named {
        Named::Folder(path) if !lookups.is_dir(&path) => {
            (!lookups.is_there(&path)).then_some(Named::Absent(path))
        }
        other => Some(other),
    });
    named.collect()
}

fn source_or_folder(lookups: &Lookups, path: PathBuf) -> Named {
    match lookups.is_file(&path) {
        true => Named::Source(path),
        false => Named::Folder(path),
    }
}

/// The place on this machine; nothing for what is in cmd/go's scratch folder.
fn resolve(text: &str, cwd: &str) -> Option<PathBuf> {
    if text.starts_with('/') {
        return Some(normalise(Path::new(text)));
    }
    (cwd.starts_with('/') && !text.starts_with(['$', '-']))
        .then(|| normalise(&Path::new(cwd).join(text)))
}

//! The files that a C linker reads, and no `#include` line names: libraries, objects, linker scripts, version scripts.
//!
//! cgo records the linker flags of a package in its object code, and every program that uses the package hands them to the
//! C linker again (cmd/link/internal/ld/lib.go, `hostlink`). So the files are inputs of the package's action, whose
//! test link reads them, and of the links. Both run in the action's scratch folder, so a path that is relative to that
//! folder means the same file in both, with a sandbox and without, and names no machine. What cmd/go would have recorded
//! is put back where Go's identities are computed (`gofarm_identity::restore_cgo_flags`).
//!
//! Flags whose value ends up in the program (`-rpath`, `-soname`) are data and stay as they are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gofarm_identity::records_its_path;
use gofarm_proto::EXEC_ROOT;

use crate::cc::includes::normalise;
use crate::cc::linker_words::{self, Word};
use crate::cc::response_file;
use crate::cc::system::{System, is_shown};
use crate::cc::unseen;
use crate::error::PlanError;
use crate::host::Kind;
use crate::lookups::Lookups;
use crate::roots::Roots;

/// Options, of the compiler's driver and of the linker, whose value is data and names no file that is read.
const DATA: [&str; 31] = [
    "-D",
    "-F",
    "-I",
    "-U",
    "-arch",
    "-defsym",
    "-dynamic-linker",
    "-e",
    "-entry",
    "-f",
    "-framework",
    "-fuse-ld",
    "-h",
    "-install_name",
    "-m",
    "-march",
    "-mcpu",
    "-mtune",
    "-o",
    "-soname",
    "-target",
    "-u",
    "-undefined",
    "-weak_framework",
    "-wrap",
    "-x",
    "-y",
    "-z",
    "-auxiliary",
    "-filter",
    "-std",
];

/// Options whose value is a folder in which libraries are looked for.
const SEARCH: [&str; 3] = ["-L", "-library-path", "-rpath-link"];

/// Options whose value is a folder that stands for the root of the system.
const SYSROOT: [&str; 2] = ["-sysroot", "-isysroot"];

/// A library, by the files that may be it.
const LIBRARY: [(&str, &str); 10] = [
    ("lib", ".so"),
    ("lib", ".a"),
    ("lib", ".dylib"),
    ("lib", ".tbd"),
    ("lib", ".dll.a"),
    ("", ".dll.a"),
    ("lib", ".lib"),
    ("", ".lib"),
    ("lib", ".dll"),
    ("", ".dll"),
];

/// A linker script is no longer than this, nor has a folder that stands for a system more files.
const LARGEST_SCRIPT: usize = 1 << 20;
const MOST_FILES: usize = 20_000;

/// The flags of a linker as an action gives them, and what they lead to.
#[derive(Debug, Default)]
pub(crate) struct Linked {
    /// With paths relative to the action's scratch folder.
    pub flags: Vec<String>,
    /// Files of this machine, below a root.
    pub files: BTreeSet<PathBuf>,
}

/// Turns a linker's flags into those of an action, which runs in its scratch folder.
///
/// `cwd` is where cmd/go runs the linker: where the `go` command was started; `system` is what the key tells of anyway.
pub(crate) fn link(
    lookups: &Lookups,
    flags: &[String],
    cwd: &Path,
    roots: &mut Roots,
    system: &System,
) -> Result<Linked, PlanError> {
    unseen::refuse(flags)?;
    let words = linker_words::read(flags);
    let mut reader = Reader {
        lookups,
        cwd,
        roots,
        system,
        files: BTreeSet::new(),
        folders: Vec::new(),
        libraries: Vec::new(),
        shared: false,
    };
    let mut out = Vec::with_capacity(flags.len());
    let mut previous = (String::new(), String::new());
    for word in words {
        let (arguments, before) = match &word {
            Word::Driver(argument) => (std::slice::from_ref(argument), &mut previous.0),
            Word::Linker(arguments) => (arguments.as_slice(), &mut previous.1),
        };
        let of_linker = matches!(word, Word::Linker(_));
        if of_linker {
            for argument in arguments {
                unseen::refuse_linkers(argument)?;
                refuse_own_id(argument)?;
            }
        }
        let mut replaced = Vec::with_capacity(arguments.len());
        for argument in arguments {
            refuse_response_file(lookups, argument, cwd)?;
            replaced.extend(reader.argument(argument, before, of_linker)?);
            argument.clone_into(before);
        }
        out.extend(word.with(replaced));
    }
    reader.find_libraries()?;
    Ok(Linked {
        flags: out,
        files: reader.files,
    })
}

struct Reader<'a> {
    lookups: &'a Lookups,
    cwd: &'a Path,
    roots: &'a mut Roots,
    system: &'a System,
    files: BTreeSet<PathBuf>,
    /// Where libraries are looked for.
    folders: Vec<PathBuf>,
    /// Names behind -l.
    libraries: Vec<String>,
    /// A shared library is among the files: then others that it needs are looked for, too.
    shared: bool,
}

impl Reader<'_> {
    /// What stands for one argument, `before` being the one in front of it.
    fn argument(
        &mut self,
        argument: &str,
        before: &str,
        of_linker: bool,
    ) -> Result<Vec<String>, PlanError> {
        let one = |text: String| Ok(vec![text]);
        let option = option(before);
        if before.starts_with('-') && !before.contains('=') {
            if option == "-rpath" || (of_linker && option == "-R") {
                return Ok(self.run_path(argument, String::new()));
            }
            if DATA.contains(&option) && (of_linker || !matches!(option, "-f" | "-h" | "-I" | "-m"))
            {
                return one(argument.to_owned());
            }
            if option == "-l" {
                self.libraries.push(argument.to_owned());
                return one(argument.to_owned());
            }
            if SEARCH.contains(&option) || SYSROOT.contains(&option) {
                return one(self.folder(option, argument));
            }
        }
        if !argument.starts_with('-') {
            let path = self.absolute(argument);
            if self.lookups.is_file(&path) && !self.system.has(&path, self.roots) {
                self.refuse_path_as_name(&path)?;
            }
            return one(self.place(argument));
        }
        if let Some(library) = argument.strip_prefix("-l") {
            self.libraries.push(library.to_owned());
            return one(argument.to_owned());
        }
        let value = argument.strip_prefix("-L");
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            return one(format!("-L{}", self.folder("-L", value)));
        }
        if let Some((name, value)) = argument.split_once('=') {
            let option = self::option(name);
            if option == "-rpath" {
                return Ok(self.run_path(value, format!("{name}=")));
            }
            if DATA.contains(&option) || option.starts_with("-T") && option.len() > 2 {
                return one(argument.to_owned());
            }
            let value = match SEARCH.contains(&option) || SYSROOT.contains(&option) {
                true => self.folder(option, value),
                false => self.place(value),
            };
            return one(format!("{name}={value}"));
        }
        if let Some(script) = argument.strip_prefix("-T") {
            return one(format!("-T{}", self.place(script)));
        }
        if let Some(value) = argument
            .strip_prefix("-R")
            .filter(|value| of_linker && !value.is_empty())
        {
            return Ok(self.run_path(value, "-R".to_owned()));
        }
        one(argument.to_owned())
    }

    /// The value of -rpath: data, and a place where the linker looks for what shared libraries need.
    fn run_path(&mut self, value: &str, before: String) -> Vec<String> {
        let mut out = vec![format!("{before}{value}")];
        if self.lookups.is_file(&self.absolute(value)) {
            // -R of a file: its symbols are read.
            out[0] = format!("{before}{}", self.place(value));
            return out;
        }
        for folder in value.split(':').filter(|folder| folder.starts_with('/')) {
            let seen = self.folder("-rpath-link", folder);
            if seen != folder {
                out.extend(["-rpath-link".to_owned(), seen]);
            }
        }
        out
    }

    /// The value of an option that names a folder.
    fn folder(&mut self, option: &str, value: &str) -> String {
        let folder = self.absolute(value);
        let mut seen = self.place(value);
        let is_covered = self.system.has_in(&folder, self.roots);
        if seen == value && is_shown(&folder) && !is_covered && !self.lookups.is_dir(&folder) {
            // Another machine may have it, where no key would say so.
            self.roots.cover(self.lookups, &folder);
            let mapped = self.roots.to_virtual(&folder.to_string_lossy());
            seen = mapped.map_or(seen, |mapped| from_scratch(&mapped));
        }
        if seen == value {
            return seen;
        }
        // What needs a library there may be one of the system's, which is not read.
        self.shared |= is_shown(&folder);
        match option {
            option if SYSROOT.contains(&option) => self.files.extend(tree(self.lookups, &folder)),
            _ => self.folders.push(folder),
        }
        seen
    }

    fn absolute(&self, path: &str) -> PathBuf {
        normalise(&self.cwd.join(path))
    }

    /// The path by which an action finds a file or folder of this machine. What is not there, and what is the system's,
    /// stays as it is.
    fn place(&mut self, text: &str) -> String {
        let path = self.absolute(text);
        if self.lookups.is_file(&path) {
            if self.system.has(&path, self.roots) {
                return text.to_owned();
            }
            self.roots
                .cover(self.lookups, path.parent().unwrap_or(Path::new("/")));
            self.files.insert(path.clone());
        } else if !text.is_empty() && self.lookups.is_dir(&path) && path.parent().is_some() {
            if self.system.has_in(&path, self.roots) {
                return text.to_owned();
            }
            self.roots.cover(self.lookups, &path);
        } else {
            return text.to_owned();
        }
        match self.roots.to_virtual(&path.to_string_lossy()) {
            Some(seen) => from_scratch(&seen),
            None => text.to_owned(),
        }
    }

    /// A shared library without a name of its own is recorded by the path that the linker was given.
    fn refuse_path_as_name(&self, path: &Path) -> Result<(), PlanError> {
        let is_library = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().contains(".so"));
        if is_library
            && self
                .lookups
                .read_whole(path)
                .is_ok_and(|bytes| records_its_path(&bytes))
        {
            return Err(PlanError::Unsupported {
                what: format!("linking with {}", path.display()),
                why: "this shared library has no SONAME, so that programs record the path by which the linker found it; \
                      name it with -L and -l, or link it with -Wl,-soname"
                    .to_owned(),
            });
        }
        Ok(())
    }

    /// Declares the libraries, and what linker scripts among the files name.
    fn find_libraries(&mut self) -> Result<(), PlanError> {
        for library in self.libraries.clone() {
            self.find_library(&library);
        }
        let mut scanned: BTreeSet<PathBuf> = BTreeSet::new();
        while let Some(path) = self.files.difference(&scanned).next().cloned() {
            self.scan(&path);
            scanned.insert(path);
        }
        if self.shared {
            for folder in self.folders.clone() {
                let names = self.lookups.paths(&folder).into_iter().filter(|path| {
                    path.file_name()
                        .is_some_and(|name| name.to_string_lossy().contains(".so"))
                });
                self.files
                    .extend(names.filter(|path| self.lookups.is_file(path)));
            }
        }
        Ok(())
    }

    fn find_library(&mut self, library: &str) {
        let names: Vec<String> = match library.strip_prefix(':') {
            Some(name) => vec![name.to_owned()],
            None => LIBRARY
                .iter()
                .map(|(before, after)| format!("{before}{library}{after}"))
                .collect(),
        };
        for folder in self.folders.clone() {
            for name in &names {
                let path = normalise(&folder.join(name));
                if self.lookups.is_file(&path) {
                    self.files.insert(path);
                }
            }
        }
    }

    /// Takes what a file names that is a linker script, and notes whether it is a shared library.
    fn scan(&mut self, path: &Path) {
        let Ok(bytes) = self.lookups.read_whole(path) else {
            return;
        };
        if bytes.starts_with(b"\x7fELF") {
            self.shared |= bytes.get(16) == Some(&3) || bytes.get(17) == Some(&3);
            return;
        }
        if bytes.len() > LARGEST_SCRIPT || bytes.contains(&0) || bytes.starts_with(b"!<") {
            return;
        }
        let text = String::from_utf8_lossy(&bytes);
        let names_files = ["INPUT", "GROUP", "INCLUDE", "STARTUP", "SEARCH_DIR"];
        if !names_files.iter().any(|word| text.contains(word)) {
            return;
        }
        let own = path.parent().map(Path::to_path_buf).unwrap_or_default();
        for name in text.split(|c: char| c.is_whitespace() || "(){};,\"".contains(c)) {
            if let Some(library) = name.strip_prefix("-l") {
                self.find_library(library);
            } else if !name.is_empty() {
                let folders = std::iter::once(&own).chain(&self.folders);
                let found: Vec<PathBuf> = folders
                    .map(|folder| normalise(&folder.join(name)))
                    .filter(|path| self.lookups.is_file(path))
                    .filter(|path| !self.system.has(path, self.roots))
                    .collect();
                for path in found {
                    self.roots
                        .cover(self.lookups, path.parent().unwrap_or(Path::new("/")));
                    self.files.insert(path);
                }
            }
        }
    }
}

/// What a response file says would have to be said to cgo and to the linker in its place, and then is not what cmd/go says.
/// One in -extldflags is read by the driver alone (see [`response_file`]), but for those that it names itself.
fn refuse_response_file(lookups: &Lookups, argument: &str, cwd: &Path) -> Result<(), PlanError> {
    match response_file::named(lookups, argument, cwd) {
        Some(_) => Err(PlanError::Unsupported {
            what: format!("the linker flag {argument}"),
            why: "it names a file of further flags; give the flags themselves".to_owned(),
        }),
        None => Ok(()),
    }
}

/// A build ID that the linker makes of all that it links is one of gofarm's placeholder, too, which stands there instead of Go's.
fn refuse_own_id(argument: &str) -> Result<(), PlanError> {
    let (name, value) = argument.split_once('=').unwrap_or((argument, ""));
    let is_fixed = value == "none" || value.starts_with("0x") || value.starts_with("0X");
    match option(name) == "-build-id" && !is_fixed {
        true => Err(PlanError::Unsupported {
            what: format!("the linker flag {argument}"),
            why: "the linker would make the build ID of what is linked, in which Go's own ID is a placeholder yet; leave it out, \
                  so that it is made of Go's ID, or give one with -ldflags=-B=0x..."
                .to_owned(),
        }),
        false => Ok(()),
    }
}

/// An option with one dash, however many it was written with: the linker takes both for those of several letters.
fn option(text: &str) -> &str {
    match text.strip_prefix("--") {
        Some(rest) if !rest.is_empty() => &text[1..],
        _ => text,
    }
}

/// A virtual path, as it is reached from the scratch folder.
fn from_scratch(path: &str) -> String {
    format!("..{}", path.strip_prefix(EXEC_ROOT).unwrap_or(path))
}

/// All files below a folder, some thousands at most.
fn tree(lookups: &Lookups, folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for (name, kind) in lookups.names(&folder).unwrap_or_default() {
            let path = folder.join(name);
            if files.len() + folders.len() > MOST_FILES {
                return files;
            }
            if lookups.is_file(&path) {
                files.push(path);
            } else if kind == Kind::Folder {
                folders.push(path);
            }
        }
    }
    files
}

//! What was asked of the file system while a build was planned.
//!
//! A plan may be used again only while every such question has the answer that it had, so nothing that decides a plan may
//! be asked in another way: cmd/go's questions are read from its own trace (`snapshot::trace`), and the planner's go through
//! [`Lookups`]. That the two together are all questions there were is for the audit to say, which observes the processes.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::host::{Host, Kind, ThisHost};

/// Matches every name.
pub(crate) const ANY: &str = "*";

/// Begins a pattern of names that others may include: those with an extension of headers, and those that follow, each behind a
/// slash. No pattern of one name has one.
pub(crate) const HEADERS: &str = "headers";

/// Whether a name is such that others may include it: see [`HEADERS`].
pub(crate) fn is_header_name(others: &str, name: &str) -> bool {
    const EXTENSIONS: [&str; 10] = [
        "h", "hh", "hpp", "hxx", "h++", "H", "inc", "inl", "def", "tcc",
    ];
    match name.rsplit_once('.') {
        Some((_, extension)) => EXTENSIONS.contains(&extension),
        None => others.split('/').any(|other| other == name),
    }
}

/// One question. Paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Question {
    /// What is there, links followed?
    Kind(PathBuf),
    /// What is there, be it a link?
    Entry(PathBuf),
    /// Which of the names in this folder does cmd/go look at when it loads packages?
    Packages(PathBuf),
    /// Which names in this folder match this pattern of one name? `*` is every name, those with a dot too; see [`HEADERS`].
    Names(PathBuf, String),
    /// What does the file say, as far as planning depends on it?
    Content(PathBuf),
    /// What does the file say?
    Whole(PathBuf),
    /// Which package is in this folder: [`Packages`](Question::Packages), and the content of each of the files?
    Package(PathBuf),
}

/// Asks the file system, and remembers what was asked.
#[derive(Debug)]
pub(crate) struct Lookups {
    host: Arc<dyn Host>,
    asked: RefCell<BTreeSet<Question>>,
}

impl Default for Lookups {
    fn default() -> Lookups {
        Lookups::of(Arc::new(ThisHost))
    }
}

impl Lookups {
    /// What this host answers.
    pub fn of(host: Arc<dyn Host>) -> Lookups {
        Lookups {
            host,
            asked: RefCell::default(),
        }
    }

    /// Who answers.
    pub fn host(&self) -> &Arc<dyn Host> {
        &self.host
    }

    fn ask(&self, question: Question) {
        self.asked.borrow_mut().insert(question);
    }

    /// Whether there is a file, links followed.
    pub fn is_file(&self, path: &Path) -> bool {
        self.ask(Question::Kind(path.to_owned()));
        self.host.kind(path) == Some(Kind::File)
    }

    /// Whether there is a folder, links followed.
    pub fn is_dir(&self, path: &Path) -> bool {
        self.ask(Question::Kind(path.to_owned()));
        self.host.kind(path) == Some(Kind::Folder)
    }

    /// Whether there is anything, links followed.
    pub fn is_there(&self, path: &Path) -> bool {
        self.ask(Question::Kind(path.to_owned()));
        self.host.kind(path).is_some()
    }

    /// Whether there is a link.
    pub fn is_link(&self, path: &Path) -> bool {
        self.ask(Question::Entry(path.to_owned()));
        self.host.entry(path) == Some(Kind::Link)
    }

    /// The bytes of a file of which planning depends on what [`header_digest`](crate::snapshot::header::header_digest) covers.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.ask(Question::Content(path.to_owned()));
        self.host.read(path)
    }

    /// The bytes of a file of which all may decide: a linker script, a library.
    pub fn read_whole(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.counts_whole(path);
        self.host.read(path)
    }

    /// All of this file, which was [read](Lookups::read), may decide.
    pub fn counts_whole(&self, path: &Path) {
        self.ask(Question::Whole(path.to_owned()));
    }

    /// The paths of what a folder holds, in order; none when there is no such folder.
    pub fn paths(&self, folder: &Path) -> Vec<PathBuf> {
        let names = self.names(folder).unwrap_or_default().into_iter();
        names.map(|(name, _)| folder.join(name)).collect()
    }

    /// The names in a folder, and what they are without following links; sorted, so that a plan does not depend on the order
    /// in which a disk keeps them.
    pub fn names(&self, folder: &Path) -> io::Result<Vec<(OsString, Kind)>> {
        self.ask(Question::Names(folder.to_owned(), ANY.to_owned()));
        let mut names = self.host.names(folder)?;
        names.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(names)
    }

    /// As [`names`](Lookups::names), of those that headers have by their extension, and of these others, which have none: headers of
    /// C++ and folders of headers.
    pub fn header_names(&self, folder: &Path, others: &BTreeSet<String>) -> Vec<(OsString, Kind)> {
        let others: String = others.iter().map(|other| format!("/{other}")).collect();
        let mut names = self.host.names(folder).unwrap_or_default();
        names.retain(|(name, _)| is_header_name(&others, &name.to_string_lossy()));
        names.sort_by(|(a, _), (b, _)| a.cmp(b));
        self.ask(Question::Names(
            folder.to_owned(),
            format!("{HEADERS}{others}"),
        ));
        names
    }

    /// Everything that was asked.
    pub fn into_questions(self) -> BTreeSet<Question> {
        self.asked.into_inner()
    }
}

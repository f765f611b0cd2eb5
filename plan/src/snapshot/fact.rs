//! The facts that a plan rests on: questions with their answers.

use std::collections::HashSet;
use std::fs::{self, FileType};
use std::path::Path;

use prost::Message;

use super::folders::FolderFact;
use crate::files::{Recorded, SourceFiles};
use crate::gocmd::{Answer, GoCommand};
use crate::machine::{ListingFact, MachineFact, ProgramFact, SearchedFact, bytes, path};

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(super) enum Kind {
    /// Nothing, or nothing that can be asked.
    Nothing = 0,
    File = 1,
    Folder = 2,
    /// A symbolic link, where links are not followed.
    Link = 3,
    /// A pipe, a socket, a device.
    Other = 4,
}

impl Kind {
    pub fn of(kind: FileType) -> Kind {
        if kind.is_file() {
            Kind::File
        } else if kind.is_dir() {
            Kind::Folder
        } else if kind.is_symlink() {
            Kind::Link
        } else {
            Kind::Other
        }
    }

    /// Of what a path leads to.
    pub fn behind(path: &Path) -> Kind {
        fs::metadata(path).map_or(Kind::Nothing, |metadata| Kind::of(metadata.file_type()))
    }
}

/// What is at a path.
#[derive(Clone, PartialEq, Message)]
pub(super) struct LookFact {
    #[prost(bytes = "vec", tag = "1")]
    pub path: Vec<u8>,
    /// Links are followed.
    #[prost(bool, tag = "2")]
    pub follows: bool,
    #[prost(enumeration = "Kind", tag = "3")]
    pub kind: i32,
    /// Of a link that is not followed: where it leads.
    #[prost(bytes = "vec", tag = "4")]
    pub target: Vec<u8>,
    /// It is what a link leads to, and may change while the link's own folder does not.
    #[prost(bool, tag = "5")]
    pub through_link: bool,
}

impl LookFact {
    pub fn of(path: &Path, follows: bool) -> LookFact {
        let own = fs::symlink_metadata(path);
        let own = own.map_or(Kind::Nothing, |metadata| Kind::of(metadata.file_type()));
        let through_link = follows && own == Kind::Link;
        let kind = if through_link {
            Kind::behind(path)
        } else {
            own
        };
        let target = match kind {
            Kind::Link => fs::read_link(path).ok(),
            _ => None,
        };
        LookFact {
            path: bytes(path),
            follows,
            kind: kind.into(),
            target: target.map(|target| bytes(&target)).unwrap_or_default(),
            through_link,
        }
    }

    pub fn path(&self) -> &Path {
        path(&self.path)
    }

    fn holds(&self) -> bool {
        LookFact::of(self.path(), self.follows) == *self
    }
}

/// What planning depends on inside a file: see [`super::header`].
#[derive(Clone, PartialEq, Message)]
pub(super) struct FileFact {
    #[prost(bytes = "vec", tag = "1")]
    pub path: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub digest: Vec<u8>,
    /// All of the file counts.
    #[prost(bool, tag = "3")]
    pub whole: bool,
}

impl FileFact {
    pub fn digest(recorded: &Recorded, whole: bool) -> Vec<u8> {
        match whole {
            true => recorded.digest.hash.to_vec(),
            false => recorded.header.to_vec(),
        }
    }
}

/// What a program says. It is asked again, because only it knows what its answer depends on.
#[derive(Clone, PartialEq, Message)]
pub(super) struct AnswerFact {
    #[prost(string, repeated, tag = "1")]
    pub argv: Vec<String>,
    #[prost(string, tag = "2")]
    pub cwd: String,
    /// Only whether there was any text counts.
    #[prost(bool, tag = "3")]
    pub any: bool,
    /// Digest of its standard output; nothing when it failed.
    #[prost(bytes = "vec", optional, tag = "4")]
    pub said: Option<Vec<u8>>,
}

impl AnswerFact {
    pub fn of(answer: Answer, any: bool) -> AnswerFact {
        let digest = |text: Vec<u8>| match any {
            true => vec![u8::from(!text.is_empty())],
            false => blake3::hash(&text).as_bytes().to_vec(),
        };
        AnswerFact {
            argv: answer.argv,
            cwd: answer.cwd,
            any,
            said: answer.said.map(digest),
        }
    }

    fn holds(&self, go: &GoCommand) -> bool {
        let answer = go.answer(self.argv.clone(), self.cwd.clone());
        AnswerFact::of(answer, self.any) == *self
    }
}

/// All of them.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Facts {
    #[prost(message, repeated, tag = "1")]
    pub folders: Vec<FolderFact>,
    #[prost(message, repeated, tag = "2")]
    pub looks: Vec<LookFact>,
    #[prost(message, repeated, tag = "3")]
    pub files: Vec<FileFact>,
    #[prost(message, repeated, tag = "4")]
    pub machine: Vec<MachineFact>,
    #[prost(message, repeated, tag = "5")]
    pub programs: Vec<ProgramFact>,
    #[prost(message, repeated, tag = "6")]
    pub answers: Vec<AnswerFact>,
    #[prost(message, repeated, tag = "7")]
    pub listings: Vec<ListingFact>,
    #[prost(message, repeated, tag = "8")]
    pub searched: Vec<SearchedFact>,
}

impl Facts {
    /// The first fact that does not hold any more, in words for people; `None` while all hold.
    pub fn broken(&self, go: &GoCommand, files: &mut SourceFiles<'_>) -> Option<String> {
        std::thread::scope(|scope| {
            // Programs take milliseconds, which go by while the files are looked at.
            let asked: Vec<_> = self
                .answers
                .iter()
                .map(|fact| scope.spawn(move || fact.holds(go)))
                .collect();
            // Some thousand headers of the system.
            let listed = scope.spawn(|| self.listings.iter().find(|fact| !fact.holds()));
            let broken = self.broken_file(go, files);
            let relisted = listed.join().unwrap_or_else(|_| self.listings.first());
            let relisted = relisted.map(|fact| format!("{} changed", path_text(&fact.path)));
            let said = self.answers.iter().zip(asked).find_map(|(fact, holds)| {
                let holds = holds.join().unwrap_or(false);
                (!holds).then(|| format!("{} says something else", fact.argv.join(" ")))
            });
            broken.or(relisted).or(said)
        })
    }

    fn broken_file(&self, go: &GoCommand, files: &mut SourceFiles<'_>) -> Option<String> {
        let changed = |path: &[u8]| Some(format!("{} changed", path_text(path)));
        for fact in &self.programs {
            if !fact.holds(go) {
                return Some(format!("{} is another program", fact.name));
            }
        }
        for fact in &self.machine {
            if !fact.holds() {
                return changed(&fact.path);
            }
        }
        for fact in &self.searched {
            if !fact.holds() {
                return changed(&fact.spelled);
            }
        }
        // What comes to a folder, goes or becomes something else, changes the folder's time.
        let mut untouched: HashSet<&Path> = HashSet::new();
        for fact in &self.folders {
            if fact.is_untouched() {
                untouched.insert(fact.path());
            } else if !fact.holds() {
                return changed(&fact.path);
            }
        }
        for fact in &self.looks {
            let parent = fact.path().parent();
            let spared = parent.is_some_and(|parent| untouched.contains(parent));
            if (fact.through_link || !spared) && !fact.holds() {
                return changed(&fact.path);
            }
        }
        for fact in &self.files {
            let recorded = files.record(path(&fact.path));
            if recorded.is_ok_and(|recorded| FileFact::digest(&recorded, fact.whole) == fact.digest)
            {
                continue;
            }
            return changed(&fact.path);
        }
        None
    }
}

fn path_text(bytes: &[u8]) -> String {
    path(bytes).display().to_string()
}

//! What is remembered of C toolchains from one plan to the next: asking a compiler for its parts and for the flags that it
//! knows takes longer than a dry run.

use std::fs;
use std::path::PathBuf;

use prost::Message;

use crate::gocmd::GoCommand;
use crate::machine::{ListingFact, MachineFact, ProgramFact, SearchedFact};

/// Toolchains remembered; the ones used longest ago go first.
const KEPT: usize = 16;

/// A C compiler, as it was asked for, and what it said.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Remembered {
    /// The command line.
    #[prost(string, repeated, tag = "1")]
    pub compiler: Vec<String>,
    /// Environment of the compiler, as far as it decides.
    #[prost(bytes = "vec", tag = "2")]
    pub surroundings: Vec<u8>,
    #[prost(string, tag = "3")]
    pub identity: String,
    #[prost(string, tag = "4")]
    pub folder: String,
    #[prost(message, repeated, tag = "5")]
    pub files: Vec<MachineFact>,
    #[prost(message, repeated, tag = "6")]
    pub listings: Vec<ListingFact>,
    #[prost(message, repeated, tag = "7")]
    pub probes: Vec<Probe>,
    /// What people call it.
    #[prost(string, tag = "8")]
    pub name: String,
    /// Where the compiler, and those of its parts that it leaves to PATH, were found.
    #[prost(message, repeated, tag = "9")]
    pub programs: Vec<ProgramFact>,
    /// The folders that it searches.
    #[prost(message, repeated, tag = "10")]
    pub searched: Vec<SearchedFact>,
    /// Those of its programs that are scripts.
    #[prost(string, repeated, tag = "11")]
    pub scripts: Vec<String>,
    /// What starts the compiler.
    #[prost(string, optional, tag = "12")]
    pub launcher: Option<String>,
}

/// Whether the compiler knows a flag.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Probe {
    /// The command line of the question.
    #[prost(string, repeated, tag = "1")]
    pub argv: Vec<String>,
    #[prost(bool, tag = "2")]
    pub answer: bool,
}

impl Remembered {
    /// Whether the toolchain is still the one that was asked.
    pub fn holds(&self, go: &GoCommand) -> bool {
        // The compiler at least was found somewhere, and searches something.
        !self.programs.is_empty()
            && !self.searched.is_empty()
            && self.programs.iter().all(|fact| fact.holds(go))
            && self.files.iter().all(MachineFact::holds)
            && self.searched.iter().all(SearchedFact::holds)
            && self.listings.iter().all(ListingFact::holds)
    }
}

#[derive(Clone, PartialEq, Message)]
struct MemoryMessage {
    #[prost(message, repeated, tag = "1")]
    toolchains: Vec<Remembered>,
}

/// The memory in its file.
#[derive(Debug)]
pub(crate) struct Memory {
    file: Option<PathBuf>,
}

impl Memory {
    /// Nothing is remembered.
    pub fn none() -> Memory {
        Memory { file: None }
    }

    /// Remembered in this file.
    pub fn of(file: PathBuf) -> Memory {
        Memory { file: Some(file) }
    }

    /// What is remembered; nothing where the file is damaged.
    pub fn read(&self) -> Vec<Remembered> {
        // A pipe would be waited for.
        let is_file = |file: &&PathBuf| fs::metadata(file).is_ok_and(|metadata| metadata.is_file());
        let file = self.file.as_ref().filter(is_file);
        let bytes = file.and_then(|file| fs::read(file).ok());
        let Some((check, body)) = bytes.as_deref().and_then(<[u8]>::split_first_chunk::<32>) else {
            return Vec::new();
        };
        if blake3::hash(body).as_bytes() != check {
            return Vec::new();
        }
        MemoryMessage::decode(body)
            .map(|message| message.toolchains)
            .unwrap_or_default()
    }

    /// Remembers these, the latest first. A failure costs time when the next plan is made and nothing else.
    pub fn write(&self, mut toolchains: Vec<Remembered>) {
        let Some(file) = &self.file else { return };
        toolchains.truncate(KEPT);
        let body = MemoryMessage { toolchains }.encode_to_vec();
        let bytes = [blake3::hash(&body).as_bytes(), body.as_slice()].concat();
        let Some(folder) = file.parent() else { return };
        let write = || -> std::io::Result<()> {
            fs::create_dir_all(folder)?;
            let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
            std::io::Write::write_all(&mut temporary, &bytes)?;
            temporary.persist(file)?;
            Ok(())
        };
        let _ = write();
    }
}

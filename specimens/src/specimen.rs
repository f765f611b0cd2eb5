//! A specimen and what it is once it is written.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::network::Network;
use crate::workshop::Workshop;

/// A named sort of module with its surroundings.
#[derive(Debug, Clone, Copy)]
pub struct Specimen {
    /// Its name, of the letters of a file name.
    pub name: &'static str,
    /// Building it compiles much of the standard library anew after some changes: left to long runs.
    pub slow: bool,
    /// Links of it lead to folders of the machine, so nothing is changed in it at random.
    pub leads_outside: bool,
    pub(crate) make: fn(&mut Workshop) -> io::Result<()>,
}

/// A specimen in a folder, and how it is built.
#[derive(Debug, Clone)]
pub struct Written {
    /// All of it lies below: sources, home, tools, proxy, what is built.
    pub root: PathBuf,
    /// The working folder, as the user spells it.
    pub folder: PathBuf,
    /// The whole environment but for the caches (GOCACHE, GOFARM_CACHE_DIR).
    pub env: Vec<(String, String)>,
    /// Flags of `go build`, without -o and -trimpath.
    pub flags: Vec<String>,
    /// Package patterns or files.
    pub packages: Vec<String>,
    /// False when there is no program: go refuses `-o` with a folder then.
    pub has_output: bool,
    /// Folders below the root that whoever builds must see as a read-only file system.
    pub read_only: Vec<String>,
    /// Held as long as anybody may build.
    pub(crate) network: Option<Arc<Network>>,
}

impl Specimen {
    /// Writes it into a folder, which is made and must be empty, and sets all its times an hour back.
    ///
    /// # Errors
    /// The folder cannot be written, or git or go failed.
    pub fn write(&self, root: &Path) -> io::Result<Written> {
        self.write_for(root, None)
    }

    /// As [`write`](Specimen::write), for the `go` of this folder, which comes before PATH.
    ///
    /// # Errors
    /// The folder cannot be written, or git or go failed.
    pub fn write_for(&self, root: &Path, go_folder: Option<&Path>) -> io::Result<Written> {
        fs::create_dir_all(root)?;
        let mut workshop = Workshop::new(&root.canonicalize()?, go_folder)?;
        (self.make)(&mut workshop)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", self.name)))?;
        let written = workshop.done();
        written.age()?;
        Ok(written)
    }
}

impl Written {
    /// A variable of the environment.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.env
            .iter()
            .rev()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The environment in the form that processes take.
    pub fn vars_os(&self) -> Vec<(OsString, OsString)> {
        let vars = self.env.iter();
        vars.map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    /// Sets a variable, or takes it away.
    pub fn set_var(&mut self, name: &str, value: Option<&str>) {
        self.env.retain(|(known, _)| known != name);
        if let Some(value) = value {
            self.env.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Where the programs go: `-o` of both sides' builds is a folder of this name in the root.
    pub fn out(&self, name: &str) -> PathBuf {
        self.root.join("out").join(name)
    }

    /// Sets the times of all files an hour back: who remembers states of files believes no time that is of just now.
    ///
    /// # Errors
    /// A file cannot be opened.
    pub fn age(&self) -> io::Result<()> {
        age(&self.root, SystemTime::now() - Duration::from_secs(3600))
    }
}

fn age(path: &Path, time: SystemTime) -> io::Result<()> {
    let kind = path.symlink_metadata()?.file_type();
    if kind.is_dir() {
        for entry in fs::read_dir(path)? {
            age(&entry?.path(), time)?;
        }
    }
    if kind.is_dir() || kind.is_file() {
        // A file of the module cache is read-only, but its times are its owner's.
        File::open(path)?.set_modified(time)?;
    }
    Ok(())
}

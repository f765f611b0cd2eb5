//! What the builds of specimens rest on: caches that hold what the standard library is made of, and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gofarm_specimens::Written;

use super::command::{Ended, env_of_gofarm, run};
use super::trial::{arguments, lab};

/// What specimens import of the standard library, or a change makes them import.
const IMPORTED: [&str; 8] = [
    "embed",
    "fmt",
    "math",
    "os",
    "runtime/coverage",
    "strings",
    "sync",
    "unsafe",
];

/// Caches that may stay between runs. A trial works on copies: what one leaves behind decides nothing in another, so a seed alone says
/// what happens.
#[derive(Debug, Clone)]
pub(super) struct Caches {
    /// Of gofarm.
    farm: PathBuf,
    /// The GOCACHE of gofarm's dry runs, which holds nothing that a dry run believes.
    pub planning: PathBuf,
    /// The GOCACHE of oracles. A package of a specimen is never in it, because cmd/go itself does not notice when a header in another
    /// folder changes.
    standard: PathBuf,
}

impl Caches {
    /// In this folder, with the standard library compiled by both sides, which is done once for a folder.
    pub fn new(gofarm: &Path, folder: &Path) -> io::Result<Caches> {
        let caches = Caches {
            farm: folder.join("gofarm"),
            planning: folder.join("planning"),
            standard: folder.join("standard"),
        };
        for folder in [&caches.farm, &caches.planning, &caches.standard] {
            fs::create_dir_all(folder)?;
        }
        let done = caches.standard.with_extension("done");
        let lock = fs::File::create(caches.standard.with_extension("lock"))?;
        lock.lock()?;
        if !done.is_file() {
            caches.warm(gofarm)?;
            // What was built of the module itself is in both caches; no specimen has a package of its content.
            fs::write(done, "")?;
        }
        Ok(caches)
    }

    fn warm(&self, gofarm: &Path) -> io::Result<()> {
        let dir = tempfile::tempdir_in(lab())?;
        let any = gofarm_specimens::specimens()
            .into_iter()
            .find(|specimen| specimen.name == "plain")
            .ok_or_else(|| io::Error::other("no specimen plain"))?;
        let mut written = any.write(&dir.path().join("s"))?;
        let imports = IMPORTED.map(|package| format!("import _ \"{package}\"\n"));
        fs::write(
            written.folder.join("imports.go"),
            format!("package main\n\n{}", imports.concat()),
        )?;
        fs::write(
            written.folder.join("cgo.go"),
            "package main\n\nimport \"C\"\n",
        )?;
        for cgo in ["1", "0"] {
            written.set_var("CGO_ENABLED", Some(cgo));
            let built = arguments(&written);
            let words = |first: &[&str]| {
                let first = first.iter().map(|&word| word.to_owned());
                first.chain(built.iter().cloned()).collect::<Vec<_>>()
            };
            let ours = run(
                gofarm,
                &words(&["submit"]),
                &written,
                &env_of_gofarm(&self.farm, &self.planning),
                "ours",
            )?;
            let theirs = run(
                Path::new("go"),
                &words(&["build", "-trimpath"]),
                &written,
                &[("GOCACHE", &self.standard)],
                "theirs",
            )?;
            check(&written, [ours, theirs])?;
        }
        Ok(())
    }

    /// Blobs, results and the digests of the standard library's files; no plans.
    pub fn copy_farm(&self, to: &Path) -> io::Result<()> {
        fs::create_dir_all(to.join("client"))?;
        for name in ["cas", "actions"] {
            link_tree(&self.farm.join(name), &to.join(name), &mut BTreeSet::new())?;
        }
        for name in ["format", "CACHEDIR.TAG", "client/files"] {
            fs::copy(self.farm.join(name), to.join(name))?;
        }
        Ok(())
    }

    /// A GOCACHE for oracles.
    pub fn copy_standard(&self, to: &Path) -> io::Result<Standard> {
        let mut own = BTreeSet::new();
        link_tree(&self.standard, to, &mut own)?;
        Ok(Standard {
            folder: to.to_owned(),
            own,
        })
    }
}

fn check(written: &Written, both: [Ended; 2]) -> io::Result<()> {
    for ended in both {
        if ended.code != Some(0) {
            return Err(io::Error::other(format!(
                "the standard library cannot be built in {}: {}",
                written.folder.display(),
                ended.stderr
            )));
        }
    }
    Ok(())
}

/// A GOCACHE that holds the standard library alone, each time it is used.
#[derive(Debug)]
pub(super) struct Standard {
    pub folder: PathBuf,
    own: BTreeSet<PathBuf>,
}

impl Standard {
    /// Takes out what a build has brought.
    pub fn clean(&self) -> io::Result<()> {
        for folder in fs::read_dir(&self.folder)? {
            let folder = folder?;
            if !folder.file_type()?.is_dir() {
                continue;
            }
            for entry in fs::read_dir(folder.path())? {
                let path = entry?.path();
                if !self.own.contains(&path) {
                    gofarm_specimens::remove(&path)?;
                }
            }
        }
        Ok(())
    }
}

/// A tree of hard links; `made` gets the path of each.
fn link_tree(from: &Path, to: &Path, made: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            link_tree(&entry.path(), &to, made)?;
        } else {
            fs::hard_link(entry.path(), &to)?;
            made.insert(to);
        }
    }
    Ok(())
}

//! What a kept plan rests on, for whoever wants to hold it against what was really asked.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use gofarm_proto::v1;

use super::fact::Facts;
use super::folders::fits;
use super::folders::is_planned_file;
use super::record::{Kept, Snapshot};
use crate::machine::path;
use crate::roots::Roots;

/// A question that a process has put to the file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// What is there, links followed or not?
    Look,
    /// Which names are in the folder?
    List,
    /// What does the file say?
    Read,
}

/// The facts of a kept plan.
#[derive(Debug, Default)]
pub struct Footing {
    /// By folder: `None` for the names that cmd/go looks at, and the patterns of other names that count.
    folders: HashMap<PathBuf, Vec<Option<String>>>,
    looks: HashSet<PathBuf>,
    files: HashSet<PathBuf>,
    /// Looked at by size and times.
    machine: HashSet<PathBuf>,
    /// All that is in these folders, looked at in the same way.
    listings: Vec<PathBuf>,
    /// The files whose bytes are in the keys of actions.
    inputs: HashSet<PathBuf>,
    /// The programs that are asked again, without their folders.
    programs: HashSet<String>,
    /// The programs that are looked for on PATH again.
    looked_up: HashSet<String>,
}

impl Footing {
    /// Of the plan that is kept in this file; `None` when none is.
    pub(super) fn read(file: &Path) -> Option<Footing> {
        let kept = Kept::read(file)?;
        Some(Footing::of(kept.facts()?, kept.snapshot()?))
    }

    fn of(facts: Facts, snapshot: Snapshot) -> Footing {
        let mut footing = Footing::default();
        for fact in facts.folders {
            let patterns = footing.folders.entry(fact.path().to_owned()).or_default();
            patterns.push(fact.pattern);
        }
        footing.looks = facts
            .looks
            .iter()
            .map(|fact| fact.path().to_owned())
            .collect();
        let owned = |bytes: &Vec<u8>| path(bytes).to_owned();
        let searched = facts.searched.iter().map(|fact| owned(&fact.spelled));
        footing.looks.extend(searched);
        footing.files = facts.files.iter().map(|fact| owned(&fact.path)).collect();
        footing.machine = facts.machine.iter().map(|fact| owned(&fact.path)).collect();
        footing
            .machine
            .extend(facts.programs.iter().map(|fact| owned(&fact.path)));
        footing.listings = facts
            .listings
            .iter()
            .map(|fact| owned(&fact.path))
            .collect();
        footing.looked_up = facts
            .programs
            .iter()
            .map(|fact| fact.name.clone())
            .collect();
        let names = facts.answers.iter().filter_map(|fact| fact.argv.first());
        footing.programs = names
            .filter_map(|name| name.rsplit('/').next())
            .map(str::to_owned)
            .collect();
        let roots = snapshot
            .roots
            .into_iter()
            .map(|root| (root.real, root.name));
        let roots = Roots::from_entries(roots.collect());
        for input in snapshot.nodes.iter().flat_map(|node| &node.action.inputs) {
            if !matches!(input.source, Some(v1::input::Source::Produced(_))) {
                footing.inputs.extend(roots.to_real(&input.path));
            }
        }
        footing
    }

    /// Whether another answer to this question breaks a fact, or changes the key of an action.
    pub fn covers(&self, path: &Path, access: Access) -> bool {
        if self.listings.iter().any(|folder| path.starts_with(folder)) {
            return true;
        }
        match access {
            Access::List => self.folders.contains_key(path) || self.machine.contains(path),
            Access::Read => {
                self.files.contains(path) || self.machine.contains(path) || self.inputs.contains(path)
                    // What cannot be read is not there.
                    || (!path.exists() && self.is_looked_at(path))
            }
            Access::Look => self.is_looked_at(path),
        }
    }

    /// Whether this program is asked again each time, so that what it read itself does not matter.
    pub fn asks(&self, program: &str) -> bool {
        self.programs.contains(program)
    }

    /// Whether an action of the plan runs a C compiler.
    pub fn rests_on_c(&self) -> bool {
        !self.listings.is_empty()
    }

    fn is_looked_at(&self, path: &Path) -> bool {
        let listed = || {
            let patterns = path.parent().and_then(|parent| self.folders.get(parent))?;
            let name = path.file_name()?.to_string_lossy();
            let counts = patterns.iter().any(|pattern| match pattern {
                Some(pattern) => fits(pattern, &name),
                None => is_planned_file(&name),
            });
            counts.then_some(())
        };
        let on_path = || {
            let name = path.file_name()?.to_string_lossy();
            self.looked_up.contains(&*name).then_some(())
        };
        on_path().is_some()
            || self.looks.contains(path)
            || self.folders.contains_key(path)
            || self.files.contains(path)
            || self.machine.contains(path)
            || listed().is_some()
    }
}

//! Sorts the entries of a dry run by the action of cmd/go that they belong to.
//!
//! From Go 1.26 on cmd/go runs cgo and the C compilers of a package as actions of their own, so the commands of
//! one package need not stand together; what they have in common is the object folder that they write to.

use std::collections::HashMap;

use crate::dryrun::command::{Command, is_tool};
use crate::dryrun::script::Entry;
use crate::error::PlanError;

/// What a group of entries makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Making {
    Package,
    Program,
    Profile,
}

/// The entries of one action.
#[derive(Debug)]
pub(crate) struct Group {
    pub making: Making,
    /// `$WORK/b001`.
    pub objdir: String,
    pub entries: Vec<Entry>,
    /// Flags of pkg-config invocations, to be asked for: they precede cgo.
    pub pkg_config: Vec<Command>,
    /// Where a program or archive goes, when cmd/go was told.
    pub target: Option<String>,
}

/// The program that a command runs, without its folder.
pub(crate) fn tool_name(command: &Command) -> &str {
    command.argv[0].rsplit('/').next().unwrap_or_default()
}

/// True for the programs of GOROOT/pkg/tool.
pub(crate) fn is_go_tool(command: &Command) -> bool {
    is_tool(&command.argv[0])
}

/// Sorts entries into groups, in the order in which the groups are finished.
pub(crate) fn group(entries: Vec<Entry>, pkg_config: &str) -> Result<Vec<Group>, PlanError> {
    let mut open: HashMap<(String, Making), Group> = HashMap::new();
    let mut done: Vec<Group> = Vec::new();
    let mut linking: HashMap<String, bool> = HashMap::new();
    let mut asked: Vec<Command> = Vec::new();
    for entry in entries {
        if let Entry::Run(command) = &entry
            && command.argv[0] == pkg_config
        {
            asked.push(command.clone());
            continue;
        }
        if let Entry::Move { from, to } = &entry {
            let (objdir, name) = split_objdir(from)?;
            let making = if name == "_pkg_.a" {
                Making::Package
            } else {
                Making::Program
            };
            let group = done
                .iter_mut()
                .find(|group| group.objdir == objdir && group.making == making)
                .ok_or_else(|| inconsistent(format!("{from} is moved before it is made")))?;
            group.target = Some(to.clone());
            continue;
        }
        let Some(path) = written_path(&entry)? else {
            continue;
        };
        let (objdir, name) = split_objdir(&path)?;
        if name == "importcfg.link" {
            linking.insert(objdir.clone(), true);
        }
        let making = match &entry {
            Entry::Run(command) if tool_name(command) == "preprofile" => Making::Profile,
            _ if linking.contains_key(&objdir) => Making::Program,
            _ => Making::Package,
        };
        let key = (objdir.clone(), making);
        let group = open.entry(key.clone()).or_insert_with(|| Group {
            making,
            objdir,
            entries: Vec::new(),
            pkg_config: Vec::new(),
            target: None,
        });
        group.pkg_config.append(&mut asked);
        let last = matches!(entry, Entry::Stamp { .. }) || making == Making::Profile;
        group.entries.push(entry);
        if last && let Some(group) = open.remove(&key) {
            done.push(group);
        }
    }
    if let Some((objdir, _)) = open.keys().next() {
        return Err(inconsistent(format!("{objdir} is never finished")));
    }
    Ok(done)
}

fn inconsistent(what: String) -> PlanError {
    PlanError::Inconsistent(what)
}

/// `$WORK/b001/exe/a.out` is `$WORK/b001` and `exe/a.out`.
fn split_objdir(path: &str) -> Result<(String, String), PlanError> {
    path.strip_prefix("$WORK/b")
        .and_then(|rest| rest.split_once('/'))
        .filter(|(number, _)| number.bytes().all(|b| b.is_ascii_digit()))
        .map(|(number, name)| (format!("$WORK/b{number}"), name.to_owned()))
        .ok_or_else(|| inconsistent(format!("{path} is not in an object folder")))
}

/// The file that an entry writes, which tells whose entry it is; `None` for what leaves nothing behind.
fn written_path(entry: &Entry) -> Result<Option<String>, PlanError> {
    Ok(Some(match entry {
        Entry::Write { path, .. } | Entry::Stamp { path } => path.clone(),
        Entry::Copy { to, .. } => to.clone(),
        Entry::Pack { archive, .. } => archive.clone(),
        Entry::Move { .. } | Entry::LinkTest => return Ok(None),
        Entry::Run(command) => {
            let value = output_argument(command).ok_or_else(|| {
                inconsistent(format!("no output in the command {:?}", command.argv))
            })?;
            absolute(&value, &command.cwd)
        }
    }))
}

fn output_argument(command: &Command) -> Option<String> {
    let after = |flag: &str| {
        let at = command.argv.iter().position(|arg| arg == flag)?;
        command.argv.get(at + 1).cloned()
    };
    match tool_name(command) {
        "cgo" if is_go_tool(command) => after("-objdir").or_else(|| after("-dynout")),
        "cover" if is_go_tool(command) => after("-outfilelist"),
        _ => after("-o"),
    }
}

fn absolute(path: &str, cwd: &str) -> String {
    if path.starts_with('/') || path.starts_with("$WORK/") {
        path.to_owned()
    } else {
        format!("{}/{path}", cwd.trim_end_matches('/'))
    }
}

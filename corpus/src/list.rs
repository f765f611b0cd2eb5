//! The list of programs.

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

/// Pinned versions, each with a word for why it is there.
const LIST: &str = include_str!("../programs.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    program: Vec<Program>,
}

/// Something to build.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Its name, of the letters of a file name.
    pub name: String,
    /// What it stands for: `pure`, `cgo`, `c++`, `assembly`, `embed`, `generics`.
    pub sort: String,
    /// Why it is in the list.
    pub why: String,
    /// `path@version`. One is built in a copy of it, several in a workspace of copies; with `imports` they are required by a
    /// program of our own.
    pub modules: Vec<String>,
    /// Package patterns; in a workspace relative to it, each module lying in a folder `m0`, `m1`, ...
    #[serde(default)]
    pub packages: Vec<String>,
    /// Flags of `go build`.
    #[serde(default)]
    pub flags: Vec<String>,
    /// Whether `go mod vendor` is run first.
    #[serde(default)]
    pub vendor: bool,
    /// The program is a main package of our own that imports these and nothing else.
    #[serde(default)]
    pub imports: Vec<String>,
}

impl Program {
    /// What it is, for the table.
    pub fn sorts(&self) -> String {
        let mut text = self.sort.clone();
        if self.vendor {
            text.push_str(", vendored");
        }
        if self.is_workspace() {
            text.push_str(", workspace");
        }
        text
    }

    /// Whether it is built in a workspace.
    pub fn is_workspace(&self) -> bool {
        self.imports.is_empty() && self.modules.len() > 1
    }
}

/// All programs.
///
/// # Errors
/// The list contradicts itself.
pub fn programs() -> anyhow::Result<Vec<Program>> {
    let list: List = toml::from_str(LIST).context("reading programs.toml")?;
    for program in &list.program {
        let name = &program.name;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if name.is_empty() || !name.chars().all(plain) {
            bail!("programs.toml: {name:?} is no name");
        }
        if program.modules.is_empty() || !program.modules.iter().all(|module| module.contains('@'))
        {
            bail!("programs.toml: {name} has a module without a version, or none");
        }
        if program.packages.is_empty() == program.imports.is_empty() {
            bail!("programs.toml: {name} needs either packages or imports");
        }
    }
    Ok(list.program)
}

/// The list for people.
pub fn text(programs: &[Program]) -> String {
    let mut text = String::new();
    for program in programs {
        let (name, sorts, why) = (&program.name, program.sorts(), &program.why);
        text.push_str(&format!("{name} ({sorts}): {why}\n"));
        for module in &program.modules {
            text.push_str(&format!("    {module}\n"));
        }
    }
    text
}

/// The list for programs: a line for each.
///
/// # Errors
/// One cannot be encoded.
pub fn json(programs: &[Program]) -> anyhow::Result<String> {
    let mut text = String::new();
    for program in programs {
        text.push_str(&serde_json::to_string(program).context("encoding")?);
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_list_for_programs_is_the_list() {
        let all = programs().unwrap();
        let text = json(&all).unwrap();
        let names = text.lines().map(|line| {
            let program: Program = serde_json::from_str(line).unwrap();
            program.name
        });
        assert!(names.eq(all.iter().map(|program| program.name.clone())));
    }

    #[test]
    fn there_are_25_of_every_sort_and_their_names_are_their_own() {
        let programs = programs().unwrap();
        let names: BTreeSet<&str> = programs.iter().map(|program| &*program.name).collect();
        assert_eq!(names.len(), programs.len());
        assert!(names.len() >= 25, "{}", names.len());
        let sorts: BTreeSet<&str> = programs.iter().map(|program| &*program.sort).collect();
        assert_eq!(
            Vec::from_iter(sorts),
            ["assembly", "c++", "cgo", "embed", "generics", "pure"]
        );
        assert!(programs.iter().filter(|program| program.vendor).count() >= 3);
        assert!(
            programs
                .iter()
                .filter(|program| program.is_workspace())
                .count()
                >= 3
        );
    }
}

//! The file that `-debug-actiongraph` writes: which action works in which folder, for which package
//! (cmd/go/internal/work/action.go, `actionJSON`).

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct ActionJson {
    #[serde(rename = "Mode")]
    mode: String,
    #[serde(rename = "Package", default)]
    package: String,
    #[serde(rename = "Objdir", default)]
    objdir: String,
    #[serde(rename = "ActionID", default)]
    action_id: String,
}

/// The modes that cmd/go 1.24 to 1.27 give to the actions of a build (cmd/go/internal/work, `Mode:`).
const MODES: [&str; 11] = [
    "build",
    "build check cache",
    "built-in package",
    "cgo run",
    "collect cgo",
    "cover",
    "go build",
    "link",
    "nop",
    "preprocess PGO profile",
    "write coverage meta-data file",
];
/// Followed by the name of a file (from Go 1.26 on).
const C_FILE_MODE: &str = "cgo compile ";

/// The two kinds of action that leave something behind, by object folder (`$WORK/b001`, no slash at the end).
#[derive(Debug, Default)]
pub(crate) struct ActionGraph {
    pub builds: HashMap<String, GoAction>,
    pub links: HashMap<String, GoAction>,
}

/// One action of cmd/go.
#[derive(Debug, Clone)]
pub(crate) struct GoAction {
    /// As cmd/go describes the package: "fmt", "fmt [example.com/cmd/a]".
    pub package: String,
    /// 20 characters.
    pub action_id: String,
}

impl GoAction {
    /// The package without its variant.
    pub fn import_path(&self) -> &str {
        self.package.split_whitespace().next().unwrap_or_default()
    }
}

impl ActionGraph {
    /// Every action ID.
    pub fn action_ids(&self) -> impl Iterator<Item = &str> {
        self.builds
            .values()
            .chain(self.links.values())
            .map(|action| action.action_id.as_str())
    }
}

/// Modes of actions that are not known.
pub(crate) fn unknown_modes(text: &str) -> Result<BTreeSet<String>, serde_json::Error> {
    let modes = serde_json::from_str::<Vec<ActionJson>>(text)?
        .into_iter()
        .map(|action| action.mode)
        .filter(|mode| !MODES.contains(&mode.as_str()) && !mode.starts_with(C_FILE_MODE));
    Ok(modes.collect())
}

/// Reads the file's text.
pub(crate) fn parse(text: &str) -> Result<ActionGraph, serde_json::Error> {
    let mut graph = ActionGraph::default();
    for action in serde_json::from_str::<Vec<ActionJson>>(text)? {
        let objdir = action.objdir.trim_end_matches('/').to_owned();
        let entry = GoAction {
            package: action.package,
            action_id: action.action_id,
        };
        match action.mode.as_str() {
            "build" if !objdir.is_empty() => graph.builds.insert(objdir, entry),
            "link" => graph.links.insert(objdir, entry),
            _ => None,
        };
    }
    Ok(graph)
}

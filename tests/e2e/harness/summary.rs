//! What `--summary-json` wrote.

use std::fs;
use std::path::Path;

use serde::Deserialize;

/// The fields that docs/cli.md promises, and no others: a field that is renamed or added fails here.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    pub build_id: String,
    pub result: String,
    pub wall_ms: u64,
    pub plan_ms: u64,
    pub plan_reused: bool,
    pub critical_path_ms: u64,
    pub actions: Counts,
    pub kinds: std::collections::BTreeMap<String, Counts>,
    pub bytes: Bytes,
}

#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    pub total: u32,
    pub executed: u32,
    pub cached: u32,
    pub joined: u32,
    pub failed: u32,
    pub skipped: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bytes {
    pub uploaded: u64,
    pub downloaded: u64,
}

impl Summary {
    pub fn read(file: &Path) -> Summary {
        let text = fs::read_to_string(file).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// How many actions of a kind were executed.
    pub fn executed(&self, kind: &str) -> u32 {
        self.kinds.get(kind).map_or(0, |counts| counts.executed)
    }
}

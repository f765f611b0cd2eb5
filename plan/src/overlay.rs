//! `-overlay`: files that stand for others while a build is planned (cmd/go/internal/fsys).
//!
//! A dry run names the files that are really read, with one exception: hash inputs name a source as its package does. A plan
//! with an overlay is never kept, so what cmd/go has hashed of a replaced file is what it is.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::cc::includes::normalise;
use crate::error::PlanError;
use crate::lookups::Lookups;

/// The replacements of one build.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    /// What stands for a path; nothing where the file is to be taken for absent.
    replaced: HashMap<PathBuf, Option<PathBuf>>,
}

#[derive(Deserialize)]
struct OverlayJson {
    #[serde(rename = "Replace", default)]
    replace: HashMap<String, String>,
}

impl Overlay {
    /// The overlay that these flags name; the last one counts, and its file and all paths in it are relative to `cwd`.
    pub fn of<'a>(
        lookups: &Lookups,
        flags: impl IntoIterator<Item = &'a str>,
        cwd: &Path,
    ) -> Result<Overlay, PlanError> {
        let named = flags.into_iter().filter_map(|flag| {
            let flag = flag.trim_matches(['"', '\'']);
            flag.strip_prefix("--overlay=")
                .or_else(|| flag.strip_prefix("-overlay="))
        });
        let Some(file) = named.last().filter(|file| !file.is_empty()) else {
            return Ok(Overlay::default());
        };
        // cmd/go has read it already, and complained if it could not.
        let bytes = lookups.read_whole(&cwd.join(file)).unwrap_or_default();
        let json: OverlayJson = serde_json::from_slice(&bytes)
            .map_err(|error| PlanError::Inconsistent(format!("the overlay {file}: {error}")))?;
        let replaced = json.replace.into_iter().map(|(path, by)| {
            let by = (!by.is_empty()).then(|| normalise(&cwd.join(by)));
            (normalise(&cwd.join(path)), by)
        });
        Ok(Overlay {
            replaced: replaced.collect(),
        })
    }

    /// Whether something stands for this path.
    pub fn replaces(&self, path: &Path) -> bool {
        !self.replaced.is_empty() && self.replaced.contains_key(path)
    }

    /// The file that is read when this path is asked for.
    pub fn actual(&self, path: PathBuf) -> Option<PathBuf> {
        match self.replaced.get(&path) {
            Some(by) => by.clone(),
            None => Some(path),
        }
    }
}

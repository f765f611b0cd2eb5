//! Puts an action's inputs where it expects them.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::time::Instant;

use gofarm_proto::{Digest, IN_DIR, WORK_DIR};
use gofarm_store::{DiskStore, Reading, StoreError, Verified};
use gofarm_tree::TreePath;

use super::by_reference::References;
use crate::action::{Definition, ExecRoot, STORE_IN_SANDBOX};
use crate::error::{ExecuteError, Result};
use crate::logs::PathsBack;
use crate::sandbox::Workspace;
use crate::tree::{ActionTree, StagedLinks, Trouble, Uncollected, checked};

/// Verifies all inputs. Refuses to begin when a blob is not there, and then names all that are not.
pub(crate) fn require_inputs(store: &DiskStore, definition: &Definition) -> Result<Reading> {
    let mut digests: Vec<&Digest> = definition
        .inputs
        .iter()
        .map(|input| &input.digest)
        .collect();
    digests.sort_unstable();
    digests.dedup();
    let Verified { lost, reading } = store.verify(digests, Instant::now())?;
    if lost.is_empty() {
        return Ok(reading);
    }
    let lost = lost.into_iter().map(|(digest, _)| digest);
    Err(ExecuteError::MissingInputs(lost.collect()))
}

/// Links every input that has to stand at its path into a workspace.
pub(crate) fn stage(
    definition: &Definition,
    root: &ExecRoot,
    tree: &ActionTree,
    workspace: &Workspace,
) -> Result<StagedLinks> {
    let label = &definition.action.label;
    let folders = folders(definition).map_err(|why| why.into_error(label, root.folder()))?;
    workspace.lay_out(&folders)?;
    let staged = definition
        .inputs
        .iter()
        .filter(|input| !input.by_reference)
        .map(|input| (input.path.as_str(), &input.digest));
    tree.link(staged).map_err(|why| match why {
        // A folder that another input needs.
        Uncollected::Store(StoreError::Exists { path }) => ExecuteError::Malformed {
            label: label.clone(),
            problem: format!(
                "its input {} is the folder of another input",
                path.display()
            ),
        },
        why => why.into_error(label, root.folder()),
    })
}

/// The folders of all inputs, with their parents, and those that tools may list or write to even when they are empty. Sorted.
fn folders(definition: &Definition) -> Result<Vec<TreePath<'_>>, Trouble> {
    let mut folders = BTreeSet::new();
    for folder in [WORK_DIR, IN_DIR] {
        folders.insert(checked(folder)?.below());
    }
    for input in definition.inputs.iter().filter(|input| !input.by_reference) {
        let mut above = checked(&input.path)?.below().parent();
        // Where one is known, so are those above it.
        while let Some(folder) = above.filter(|folder| folders.insert(*folder)) {
            above = folder.parent();
        }
    }
    Ok(folders.into_iter().collect())
}

/// Where by-reference inputs are kept, and how to turn that back into virtual paths.
pub(crate) fn references(
    store: &DiskStore,
    definition: &Definition,
    root: &ExecRoot,
) -> (References, PathsBack) {
    let blobs_folder = blobs_folder(store);
    let seen_folder = match root.is_mounted() {
        true => STORE_IN_SANDBOX.to_owned(),
        false => blobs_folder.to_string_lossy().into_owned(),
    };
    let mut kept_at = HashMap::new();
    let mut blobs = HashMap::new();
    for input in definition.inputs.iter().filter(|input| input.by_reference) {
        let path = store.path(&input.digest);
        let name = path.strip_prefix(&blobs_folder).unwrap_or(&path);
        kept_at.insert(
            input.path.clone(),
            format!("{seen_folder}/{}", name.display()),
        );
        blobs.insert(input.digest.hex(), input.path.clone());
    }
    let back = PathsBack {
        exec_root: (!root.is_mounted()).then(|| root.seen().to_owned()),
        store: seen_folder,
        blobs,
    };
    (References { kept_at }, back)
}

/// The folder that holds all blobs, which is what a sandbox mounts: `<folder>/ab/<hex>`.
pub(crate) fn blobs_folder(store: &DiskStore) -> PathBuf {
    let mut folder = store.path(&Digest::of(b""));
    folder.pop();
    folder.pop();
    folder
}

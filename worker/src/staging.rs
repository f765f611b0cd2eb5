//! Puts an action's inputs where it expects them.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use gofarm_proto::{Digest, IN_DIR, WORK_DIR};
use gofarm_store::{DiskStore, StoreError};

use crate::by_reference::References;
use crate::definition::Definition;
use crate::error::{ExecuteError, Result};
use crate::log::PathsBack;
use crate::sandbox_view::STORE_IN_SANDBOX;
use crate::virtual_text::ExecRoot;

/// Refuses to begin when a blob is not there, and then names all that are not.
pub(crate) fn require_inputs(store: &DiskStore, definition: &Definition) -> Result<()> {
    let mut digests: Vec<&Digest> = definition.inputs.iter().map(|input| &input.digest).collect();
    digests.sort_unstable();
    digests.dedup();
    let missing: Vec<Digest> = store.missing(digests)?;
    if missing.is_empty() {
        return Ok(());
    }
    Err(ExecuteError::MissingInputs(missing))
}

/// Links every input that has to stand at its path.
pub(crate) fn stage(store: &DiskStore, definition: &Definition, root: &ExecRoot) -> Result<()> {
    // Tools may list or write there even when nothing was staged.
    for folder in [WORK_DIR, IN_DIR] {
        make_folder(&root.file(folder))?;
    }
    // Inputs are sorted, so that most have the folder of the one before.
    let mut made = std::path::PathBuf::new();
    for input in definition.inputs.iter().filter(|input| !input.by_reference) {
        let file = root.file(&input.path);
        if let Some(parent) = file.parent()
            && parent != made
        {
            make_folder(parent)?;
            made = parent.to_owned();
        }
        match store.link(&input.digest, &file) {
            // An input below another input, or at a folder that was made for one.
            Err(StoreError::Exists { .. }) => {
                return Err(ExecuteError::Malformed {
                    label: definition.action.label.clone(),
                    problem: format!("something else stands at its input {}", input.path),
                });
            }
            other => other?,
        }
    }
    Ok(())
}

pub(crate) fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(ExecuteError::io("making the folder", folder))
}

/// Where by-reference inputs are kept, and how to turn that back into virtual paths.
pub(crate) fn references(store: &DiskStore, definition: &Definition, root: &ExecRoot) -> (References, PathsBack) {
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
        kept_at.insert(input.path.clone(), format!("{seen_folder}/{}", name.display()));
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
pub(crate) fn blobs_folder(store: &DiskStore) -> std::path::PathBuf {
    let mut folder = store.path(&Digest::of(b""));
    folder.pop();
    folder.pop();
    folder
}

//! Puts an action's inputs where it expects them.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use gofarm_proto::{Digest, EXEC_ROOT, IN_DIR, WORK_DIR};
use gofarm_store::{DiskStore, Reading, StoreError, Verified};

use crate::by_reference::References;
use crate::definition::Definition;
use crate::error::{ExecuteError, Result};
use crate::log::PathsBack;
use crate::sandbox_view::{STORE_IN_SANDBOX, below_tmp};
use crate::staged_links::StagedLinks;
use crate::virtual_text::ExecRoot;
use crate::workspace::Workspace;

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
    store: &DiskStore,
    definition: &Definition,
    root: &ExecRoot,
    workspace: &Workspace,
) -> Result<StagedLinks> {
    workspace.lay_out(&folders(definition))?;
    let mut links = StagedLinks::default();
    for input in definition.inputs.iter().filter(|input| !input.by_reference) {
        let file = root.file(&input.path);
        match store.link(&input.digest, &file) {
            // A folder that another input needs.
            Err(StoreError::Exists { .. }) => {
                return Err(ExecuteError::Malformed {
                    label: definition.action.label.clone(),
                    problem: format!("its input {} is the folder of another input", input.path),
                });
            }
            other => other?,
        }
        links.note(&input.digest, &file);
    }
    Ok(links)
}

/// Shows inputs below the private `/tmp` of a sandbox. The links lead nowhere outside of it.
pub(crate) fn show_places(definition: &Definition, workspace: &Workspace) -> Result<()> {
    let tmp = workspace.tmp();
    for place in &definition.action.places {
        let Some(rest) = below_tmp(&place.path) else {
            continue;
        };
        let link = tmp.join(rest);
        if let Some(folder) = link.parent() {
            make_folder(folder)?;
        }
        std::os::unix::fs::symlink(&place.input, &link)
            .map_err(ExecuteError::io("showing an input at", &link))?;
    }
    Ok(())
}

/// Without a sandbox an action finds this machine's own files at absolute paths: they must be the inputs.
pub(crate) fn require_places(definition: &Definition) -> Result<()> {
    for place in &definition.action.places {
        let is_input = definition.input(&place.input).is_some_and(|input| {
            fs::read(&place.path).is_ok_and(|content| Digest::of(&content) == input.digest)
        });
        if !is_input {
            return Err(ExecuteError::NativeStep {
                label: definition.action.label.clone(),
                problem: format!(
                    "a source names {} by that path, and this machine has no such file there or another one: only a worker \
                     with a sandbox can show it",
                    place.path
                ),
            });
        }
    }
    Ok(())
}

/// The folders of all inputs, with their parents, and those that tools may list or write to even when they are empty.
fn folders(definition: &Definition) -> BTreeSet<PathBuf> {
    let mut folders: BTreeSet<PathBuf> = [WORK_DIR, IN_DIR].map(relative).into();
    for input in definition.inputs.iter().filter(|input| !input.by_reference) {
        let mut path = relative(&input.path);
        // Where one is known, so are those above it.
        while path.pop() && !path.as_os_str().is_empty() && !folders.contains(&path) {
            folders.insert(path.clone());
        }
    }
    folders
}

fn relative(path: &str) -> PathBuf {
    Path::new(path.trim_start_matches(EXEC_ROOT).trim_start_matches('/')).to_owned()
}

pub(crate) fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(ExecuteError::io("making the folder", folder))
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

//! Inputs that an action sees at other paths as well: a source has named them by the absolute path that they have on the
//! user's machine.

use std::fs;

use gofarm_proto::Digest;
use gofarm_tree::{TreeError, TreePath};

use crate::action::{Definition, below_tmp};
use crate::error::{ExecuteError, Result};
use crate::sandbox::Workspace;
use crate::tree::FOLDER_MODE;

/// Shows inputs below the private `/tmp` of a sandbox. The links lead nowhere outside of it.
pub(crate) fn show(definition: &Definition, workspace: &Workspace) -> Result<()> {
    let tmp = workspace.tmp_tree();
    for place in &definition.action.places {
        let Some(rest) = below_tmp(&place.path) else {
            continue;
        };
        let refused = |problem: String| ExecuteError::Malformed {
            label: definition.action.label.clone(),
            problem: format!("{}: {problem}", place.path),
        };
        let path = TreePath::new(rest).map_err(|why| refused(why.to_string()))?;
        let shown = tmp
            .fresh_entry(path, FOLDER_MODE)
            .and_then(|entry| entry.create_link(&place.input));
        shown.map_err(|error: TreeError| refused(error.to_string()))?;
    }
    Ok(())
}

/// Without a sandbox an action finds this machine's own files at absolute paths: they must be the inputs.
pub(crate) fn require(definition: &Definition) -> Result<()> {
    for place in &definition.action.places {
        let is_input = definition.input(&place.input).is_some_and(|input| {
            // Looked at first: a pipe would be waited for, and a device has no end.
            let fits = fs::metadata(&place.path)
                .is_ok_and(|found| found.is_file() && found.len() == input.digest.size);
            fits && fs::read(&place.path).is_ok_and(|content| Digest::of(&content) == input.digest)
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

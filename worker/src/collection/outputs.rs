//! Moves an action's outputs into the store.

use std::collections::HashMap;

use gofarm_proto::Digest;
use gofarm_proto::v1::OutputFile;

use crate::action::{Definition, ExecRoot};
use crate::error::{ExecuteError, Result};
use crate::tree::ActionTree;

/// Hashes and moves every output. To be called once, when all steps are done.
pub(crate) fn collect(
    definition: &Definition,
    root: &ExecRoot,
    tree: &ActionTree,
) -> Result<Vec<OutputFile>> {
    let label = &definition.action.label;
    let mut collected = Vec::with_capacity(definition.action.outputs.len());
    // Two outputs may be one file, and only the first finds it.
    let mut moved: HashMap<&str, Digest> = HashMap::new();
    for output in &definition.action.outputs {
        let digest = match moved.get(output.path.as_str()) {
            Some(digest) => Some(*digest),
            None => tree
                .collect(
                    &output.path,
                    &format!("collecting its output {:?},", output.name),
                )
                .map_err(|why| why.into_error(label, root.folder()))?,
        };
        let Some(digest) = digest else {
            if output.optional {
                continue;
            }
            return Err(ExecuteError::MissingOutput {
                label: label.clone(),
                name: output.name.clone(),
                path: output.path.clone(),
            });
        };
        moved.insert(&output.path, digest);
        collected.push(OutputFile {
            name: output.name.clone(),
            digest: Some(digest.into()),
            executable: output.executable,
        });
    }
    Ok(collected)
}

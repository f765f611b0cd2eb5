//! Moves an action's outputs into the store.

use std::collections::HashMap;

use gofarm_proto::Digest;
use gofarm_proto::v1::OutputFile;
use gofarm_store::DiskStore;

use crate::definition::Definition;
use crate::error::{ExecuteError, Result};
use crate::native_step::exists;
use crate::virtual_text::ExecRoot;

/// Hashes and moves every output. To be called once, when all steps are done.
pub(crate) fn collect(
    store: &DiskStore,
    definition: &Definition,
    root: &ExecRoot,
) -> Result<Vec<OutputFile>> {
    let mut collected = Vec::with_capacity(definition.action.outputs.len());
    // Two outputs may be one file, and only the first finds it.
    let mut moved: HashMap<&str, Digest> = HashMap::new();
    for output in &definition.action.outputs {
        let file = root.file(&output.path);
        let digest = match moved.get(output.path.as_str()) {
            Some(digest) => *digest,
            None if exists(&file) => store.adopt_file(&file)?,
            None if output.optional => continue,
            None => {
                return Err(ExecuteError::MissingOutput {
                    label: definition.action.label.clone(),
                    name: output.name.clone(),
                    path: output.path.clone(),
                });
            }
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

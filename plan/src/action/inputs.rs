//! The inputs of an action while it is put together.

use std::collections::BTreeMap;
use std::path::Path;

use gofarm_proto::{IN_DIR, v1};

use crate::error::PlanError;
use crate::lookups::Lookups;
use crate::roots::Roots;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    File {
        executable: bool,
    },
    Produced {
        node: u32,
        output: &'static str,
        by_reference: bool,
    },
}

/// Inputs by virtual path.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    by_path: BTreeMap<String, Source>,
}

impl Inputs {
    /// Declares a file of this machine; false when it is outside all roots.
    pub fn file(&mut self, roots: &Roots, real: &str) -> bool {
        let Some(path) = roots.to_virtual(real) else {
            return false;
        };
        self.by_path
            .entry(path)
            .or_insert(Source::File { executable: false });
        true
    }

    /// Declares a tool of GOROOT and returns its virtual path.
    pub fn tool(&mut self, roots: &Roots, real: &str) -> Result<String, PlanError> {
        let path = roots
            .to_virtual(real)
            .ok_or_else(|| PlanError::Inconsistent(format!("the tool {real} is outside GOROOT")))?;
        self.by_path
            .insert(path.clone(), Source::File { executable: true });
        Ok(path)
    }

    /// Declares an output of another action and returns the path it gets.
    pub fn produced(
        &mut self,
        name: &str,
        node: u32,
        output: &'static str,
        by_reference: bool,
    ) -> String {
        let path = format!("{IN_DIR}/{name}");
        self.by_path.insert(
            path.clone(),
            Source::Produced {
                node,
                output,
                by_reference,
            },
        );
        path
    }

    /// The path of an output that is an input already, which from now on must stand there as a file.
    pub fn produced_file(&mut self, node: u32, output: &str) -> Option<String> {
        self.by_path
            .iter_mut()
            .find_map(|(path, source)| match source {
                Source::Produced {
                    node: other,
                    output: name,
                    by_reference,
                } if *other == node && *name == output => {
                    *by_reference = false;
                    Some(path.clone())
                }
                _ => None,
            })
    }

    /// Declares every file directly in a folder that `keep` wants.
    pub fn folder(
        &mut self,
        roots: &Roots,
        lookups: &Lookups,
        folder: &Path,
        keep: impl Fn(&str) -> bool,
    ) -> Result<(), PlanError> {
        let names = lookups.names(folder).map_err(|source| PlanError::File {
            path: folder.display().to_string(),
            source,
        })?;
        for (name, _) in names {
            let path = folder.join(&name);
            if keep(&name.to_string_lossy()) && lookups.is_file(&path) {
                self.file(roots, &path.to_string_lossy());
            }
        }
        Ok(())
    }

    /// The inputs of an action and the edges of its node, in the same order.
    pub fn finish(self) -> (Vec<v1::Input>, Vec<v1::Edge>) {
        let mut inputs = Vec::with_capacity(self.by_path.len());
        let mut edges = Vec::new();
        for (path, source) in self.by_path {
            inputs.push(match source {
                Source::File { executable } => v1::Input {
                    path,
                    source: None,
                    executable,
                    by_reference: false,
                },
                Source::Produced {
                    node,
                    output,
                    by_reference,
                } => {
                    edges.push(v1::Edge {
                        node,
                        output: output.to_owned(),
                    });
                    v1::Input {
                        path,
                        source: Some(v1::input::Source::Produced(v1::Produced {
                            output: output.to_owned(),
                        })),
                        executable: false,
                        by_reference,
                    }
                }
            });
        }
        (inputs, edges)
    }
}

//! Where the sources of a package are.

use std::path::{Path, PathBuf};

use crate::action::assemble::Assembly;
use crate::action::group::{Group, tool_name};
use crate::dryrun::script::Entry;

impl Assembly<'_> {
    /// What -ffile-prefix-map replaces in a package's C objects (`ccompile`).
    pub(super) fn source_map(
        &self,
        action_id: &str,
        folder: Option<&Path>,
    ) -> Option<(String, String)> {
        let folder = folder?.to_string_lossy().into_owned();
        let goroot = self.env.get("GOROOT");
        if folder.starts_with(&format!("{goroot}/")) {
            return Some((goroot.to_owned(), "/_/GOROOT".to_owned()));
        }
        let module = self.hashed_line(action_id, "module ")?;
        let (path, version) = module.split_once('@').unwrap_or((&module, ""));
        if let Some(at) = folder.find("/vendor/") {
            return Some((
                folder[..at + "/vendor".len()].to_owned(),
                "/_/vendor".to_owned(),
            ));
        }
        let from = Path::new(&folder).ancestors().find(|ancestor| {
            if version.is_empty() {
                self.lookups.is_file(&ancestor.join("go.mod"))
            } else {
                ancestor.to_string_lossy().ends_with(&format!("@{version}"))
                    || self.lookups.is_file(&ancestor.join("go.mod"))
            }
        })?;
        let suffix = if version.is_empty() {
            String::new()
        } else {
            format!("@{version}")
        };
        Some((
            from.to_string_lossy().into_owned(),
            format!("/_/{path}{suffix}"),
        ))
    }
}

/// The folder of a package: where its sources are, or where cgo runs.
pub(super) fn package_folder(group: &Group) -> Option<PathBuf> {
    let commands = group.entries.iter().filter_map(|entry| match entry {
        Entry::Run(command) => Some(command),
        _ => None,
    });
    let mut fallback = None;
    for command in commands {
        let name = tool_name(command);
        if name == "cgo"
            && command.cwd.starts_with('/')
            && !command.argv.iter().any(|arg| arg == "-dynimport")
        {
            return Some(PathBuf::from(&command.cwd));
        }
        if name == "compile" || name == "cover" {
            let source = command
                .argv
                .iter()
                .rev()
                .take_while(|arg| !arg.starts_with('-'))
                .find(|arg| arg.starts_with('/') && arg.ends_with(".go"));
            if let Some(source) = source {
                fallback = fallback.or_else(|| Path::new(source).parent().map(Path::to_path_buf));
            }
        }
    }
    fallback
}

//! Where the sources of a package are.

use std::path::{Path, PathBuf};

use crate::action::assemble::Assembly;
use crate::action::group::{Group, tool_name};
use crate::dryrun::command::Command;
use crate::dryrun::script::Entry;
use crate::overlay::Overlay;

impl Assembly<'_> {
    /// What -ffile-prefix-map replaces in a package's C objects (`ccompile`).
    pub(super) fn source_map(
        &self,
        action_id: &str,
        import_path: &str,
        folder: Option<&Path>,
    ) -> Option<(String, String)> {
        let folder = folder?.to_string_lossy().into_owned();
        let goroot = self.env.get("GOROOT");
        if folder.starts_with(&format!("{goroot}/")) {
            return Some((goroot.to_owned(), "/_/GOROOT".to_owned()));
        }
        let Some(module) = self.hashed_line(action_id, "module ") else {
            return self
                .trimpath
                .then(|| self.source_map_without_module(folder, import_path));
        };
        let (path, version) = module.split_once('@').unwrap_or((&module, ""));
        if let Some(at) = folder.find("/vendor/") {
            return Some((
                folder[..at + "/vendor".len()].to_owned(),
                "/_/vendor".to_owned(),
            ));
        }
        let from = Path::new(&folder).ancestors().find(|ancestor| {
            if version.is_empty() {
                self.seen_file(&ancestor.join("go.mod")).is_some()
            } else {
                ancestor.to_string_lossy().ends_with(&format!("@{version}"))
                    || self.seen_file(&ancestor.join("go.mod")).is_some()
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

    /// The folder of GOPATH that a package is in.
    fn gopath_of(&self, folder: &Path) -> Option<PathBuf> {
        std::env::split_paths(self.env.get("GOPATH"))
            .find(|root| folder.starts_with(root.join("src")))
    }

    /// Makes the folder of a package one of a root. Without a module that is the folder of GOPATH that it is in, since it is
    /// that which is replaced in objects of C.
    pub(super) fn cover_package(&mut self, action_id: &str, folder: &Path) {
        let without_module = self.trimpath && self.hashed_line(action_id, "module ").is_none();
        if without_module
            && self.roots.to_virtual(&folder.to_string_lossy()).is_none()
            && let Some(root) = self.gopath_of(folder)
        {
            self.roots.add_further(&root);
        }
        self.roots.cover(&self.lookups, folder);
    }

    /// In GOPATH it is the folder of that which is replaced, elsewhere the package's own.
    fn source_map_without_module(&self, folder: String, import_path: &str) -> (String, String) {
        match self.gopath_of(Path::new(&folder)) {
            Some(root) => (root.to_string_lossy().into_owned(), "/_/GOPATH".to_owned()),
            None => (folder, format!("/_/{import_path}")),
        }
    }
}

/// The folder of a package: where its sources are, or where cgo runs. A source for which another file stands is somewhere
/// else, so with an overlay the folder that cmd/go itself names comes first: in the hash input (`said`), or to be trimmed.
pub(super) fn package_folder(
    overlay: &Overlay,
    group: &Group,
    said: Option<String>,
) -> Option<PathBuf> {
    let commands = || {
        group.entries.iter().filter_map(|entry| match entry {
            Entry::Run(command) => Some(command),
            _ => None,
        })
    };
    let cgo = commands().find(|command| {
        tool_name(command) == "cgo"
            && command.cwd.starts_with('/')
            && !command.argv.iter().any(|arg| arg == "-dynimport")
    });
    if let Some(command) = cgo {
        return Some(PathBuf::from(&command.cwd));
    }
    let readers = || commands().filter(|command| matches!(tool_name(command), "compile" | "cover"));
    if !overlay.is_empty()
        && let Some(folder) = said.or_else(|| readers().find_map(trimmed_folder))
    {
        return Some(PathBuf::from(folder));
    }
    readers().find_map(|command| {
        let sources = command
            .argv
            .iter()
            .rev()
            .take_while(|arg| !arg.starts_with('-'))
            .filter(|arg| arg.starts_with('/') && arg.ends_with(".go"));
        let mut sources = sources.filter_map(|source| overlay.standing_for(Path::new(source)));
        sources
            .next()
            .and_then(|source| source.parent().map(Path::to_path_buf))
    })
}

/// What `Action.trimpath` in cmd/go/internal/work/gc.go begins with when paths are trimmed.
fn trimmed_folder(command: &Command) -> Option<String> {
    let at = command.argv.iter().position(|arg| arg == "-trimpath")?;
    let (folder, _) = command.argv.get(at + 1)?.split_once("=>")?;
    folder.starts_with('/').then(|| folder.to_owned())
}

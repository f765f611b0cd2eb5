//! Vendored modules, which stand inside an action where the same module of the module cache does.
//!
//! With -trimpath a package of Go and of Go's assembler is the same from either place: cmd/go names its sources by module
//! and version (`gcToolchain.gc`, trimpath in cmd/go/internal/work/gc.go). So its action should be the same, too. Objects of
//! C are not: cmd/go calls their sources `/_/vendor/...`, so a module with any C in it stays where it is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use gofarm_proto::EXEC_ROOT;

use crate::action::group::{Group, Making, is_go_tool, tool_name};
use crate::action::sources::package_folder;
use crate::dryrun::script::Entry;
use crate::lookups::Lookups;
use crate::overlay::Overlay;
use crate::roots::Roots;

/// Makes a root of each vendored module that packages of the build are from. `main` is the folder that the vendor folder is
/// in.
pub(super) fn add_roots(
    lookups: &Lookups,
    overlay: &Overlay,
    roots: &mut Roots,
    groups: &[Group],
    main: &Path,
) {
    let vendor = main.join("vendor");
    if roots.to_virtual(&main.to_string_lossy()) != Some(format!("{EXEC_ROOT}/main")) {
        return;
    }
    // Import paths of packages below the vendor folder, and whether there is C in them.
    let packages: Vec<(String, bool)> = groups
        .iter()
        .filter(|group| group.making == Making::Package)
        .filter_map(|group| {
            let folder = package_folder(overlay, group, None)?;
            let path = folder.strip_prefix(&vendor).ok()?.to_str()?.to_owned();
            Some((path, has_c(group)))
        })
        .collect();
    if packages.is_empty() {
        return;
    }
    let list = vendor.join("modules.txt");
    let read = overlay.actual(&list).unwrap_or(&list);
    let Ok(text) = lookups.read(read) else {
        return;
    };
    let modules = modules(&String::from_utf8_lossy(&text));
    let mut used: BTreeSet<&str> = BTreeSet::new();
    let mut with_c: BTreeSet<&str> = BTreeSet::new();
    for (package, has_c) in &packages {
        let Some(module) = owner(&modules, package) else {
            continue;
        };
        used.insert(module);
        if *has_c {
            with_c.insert(module);
        }
    }
    for module in used {
        let real = vendor.join(module);
        let name = match modules.get(module) {
            Some(Some(cached)) if !with_c.contains(module) => format!("mod/{cached}"),
            // It may lie in the folder of another module.
            _ => format!("main/vendor/{module}"),
        };
        roots.add(&real.to_string_lossy(), &name);
    }
}

fn has_c(group: &Group) -> bool {
    group.entries.iter().any(|entry| match entry {
        Entry::Run(command) => !is_go_tool(command) || tool_name(command) == "cgo",
        _ => false,
    })
}

/// The module with the longest path that a package can be from.
fn owner<'a>(modules: &'a BTreeMap<String, Option<String>>, package: &str) -> Option<&'a str> {
    let mut path = package;
    loop {
        if let Some((module, _)) = modules.get_key_value(path) {
            return Some(module);
        }
        path = path.rsplit_once('/')?.0;
    }
}

/// The modules of a `modules.txt`, and the folder of each in the module cache; none for one that is replaced by a folder.
fn modules(text: &str) -> BTreeMap<String, Option<String>> {
    let mut modules = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = match line.strip_prefix("# ") {
            Some(rest) => rest.split(' ').collect(),
            None => continue,
        };
        let (path, cached) = match words[..] {
            [path, version] => (path, folder(path, version)),
            [path, _, "=>", other, version] => (path, folder(other, version)),
            [path, _, "=>", _] => (path, None),
            // A replacement of all versions, which is said again for the version that is used.
            _ => continue,
        };
        modules.insert(path.to_owned(), cached);
    }
    modules
}

/// `path@version`, escaped as in the module cache (golang.org/x/mod/module, EscapePath).
fn folder(path: &str, version: &str) -> Option<String> {
    if !version.starts_with('v') {
        return None;
    }
    let mut out = String::new();
    for c in format!("{path}@{version}").chars() {
        if c.is_ascii_uppercase() {
            out.push('!');
        }
        out.push(c.to_ascii_lowercase());
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_where_the_module_cache_has_them() {
        let modules = modules(
            "# github.com/A/b v1.0.0\n## explicit; go 1.20\ngithub.com/A/b\n# c v1.1.0 => d v2.0.0\n# e v1.0.0 => ../e\n# c => d v2.0.0\n",
        );
        let cached = |module: &str| modules[module].as_deref();
        assert_eq!(cached("github.com/A/b"), Some("github.com/!a/b@v1.0.0"));
        assert_eq!(cached("c"), Some("d@v2.0.0"));
        assert_eq!(cached("e"), None);
        assert_eq!(
            owner(&modules, "github.com/A/b/c/d"),
            Some("github.com/A/b")
        );
        assert_eq!(owner(&modules, "github.com/A"), None);
    }
}

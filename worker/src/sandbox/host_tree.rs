//! What a sandbox shows of this machine's file tree at its own paths.
//!
//! A path may lead through links and `..`, and two paths may lead to the same place, or one into what the other leads to. A sandbox
//! that was given each as it is written would mount one place into another, which is read-only by then. So a path is followed
//! here as the kernel would follow it, and what is kept is where it ends, and each link on the way as it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// As the kernel has it (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// Files and folders to mount where they are, and the links that lead to them. All paths are absolute and resolved: no link and no
/// `..` is in the folder of any. None of the places, links and folders passed lies in a place.
#[derive(Debug, Clone, Default)]
pub(crate) struct HostTree {
    places: BTreeSet<PathBuf>,
    /// Where a link lies, and what it holds.
    links: BTreeMap<PathBuf, String>,
    /// Folders that are only gone through, by a `..` behind them.
    passed: BTreeSet<PathBuf>,
    /// What the sandbox has of its own: nothing in these folders is shown, and nothing that they are in.
    closed: Vec<PathBuf>,
}

impl HostTree {
    /// One that shows nothing, and never anything of these paths.
    pub fn closed(paths: impl IntoIterator<Item = PathBuf>) -> HostTree {
        HostTree {
            closed: paths.into_iter().collect(),
            ..HostTree::default()
        }
    }

    /// Shows what an absolute path leads to, a file or a folder with all that is in it, so that it can be reached by this path. False,
    /// and nothing is shown, when nothing is there, or when it leads through what the sandbox has of its own.
    pub fn show(&mut self, path: &Path) -> bool {
        let Some(route) = Route::of(path).filter(|route| self.is_open(route)) else {
            return false;
        };
        if !self.covers(&route.end) {
            let end = &route.end;
            self.places.retain(|place| !place.starts_with(end));
            self.links.retain(|link, _| !link.starts_with(end));
            self.passed.retain(|folder| !folder.starts_with(end));
            self.places.insert(route.end);
        }
        for (link, target) in route.links {
            if !self.covers(&link) {
                self.links.insert(link, target);
            }
        }
        for folder in route.passed {
            if !self.covers(&folder) {
                self.passed.insert(folder);
            }
        }
        true
    }

    /// Whether what lies at a path of this machine is seen at the same path in the sandbox. What is not there is seen where its folder is.
    pub fn shows(&self, path: &Path) -> bool {
        let Some(route) = Route::of_any(path) else {
            return false;
        };
        self.covers(&route.end)
            && route
                .links
                .iter()
                .all(|(link, _)| self.covers(link) || self.links.contains_key(link))
    }

    /// What is mounted. None lies in another.
    pub fn places(&self) -> impl Iterator<Item = &str> {
        self.places.iter().filter_map(|place| place.to_str())
    }

    /// Each link and what it holds.
    pub fn links(&self) -> impl Iterator<Item = (&str, &str)> {
        self.links
            .iter()
            .filter_map(|(link, target)| Some((link.to_str()?, target.as_str())))
    }

    /// Folders that are there and empty, but for what else is shown in them.
    pub fn passed(&self) -> impl Iterator<Item = &str> {
        self.passed.iter().filter_map(|folder| folder.to_str())
    }

    fn covers(&self, path: &Path) -> bool {
        path.ancestors().any(|folder| self.places.contains(folder))
    }

    fn is_open(&self, route: &Route) -> bool {
        let on_the_way = route.links.iter().map(|(link, _)| link);
        let visited = on_the_way.chain(&route.passed).chain([&route.end]);
        let mut visited = visited.map(PathBuf::as_path);
        // A message between worker and launcher is text.
        visited.all(|path| {
            path.to_str().is_some() && !self.closed.iter().any(|closed| path.starts_with(closed))
        }) && !self
            .closed
            .iter()
            .any(|closed| closed.starts_with(&route.end))
    }
}

/// The way of a path through the file tree.
struct Route {
    /// In the order in which they are followed.
    links: Vec<(PathBuf, String)>,
    /// Folders with a `..` behind them.
    passed: Vec<PathBuf>,
    /// Where it leads.
    end: PathBuf,
    /// Whether something is there.
    exists: bool,
}

impl Route {
    /// Of a path to something.
    fn of(path: &Path) -> Option<Route> {
        Route::of_any(path).filter(|route| route.exists)
    }

    /// Of a path that may lead to nothing: what is behind the last folder that is there is taken as it stands.
    fn of_any(path: &Path) -> Option<Route> {
        if !path.is_absolute() {
            return None;
        }
        let mut route = Route {
            links: Vec::new(),
            passed: Vec::new(),
            end: PathBuf::from("/"),
            exists: true,
        };
        let mut rest = names(path);
        let mut followed = 0;
        while let Some(name) = rest.pop() {
            if name == ".." {
                route.exists &= route.end.is_dir();
                route.passed.push(route.end.clone());
                route.end.pop();
                continue;
            }
            route.end.push(&name);
            let Ok(metadata) = fs::symlink_metadata(&route.end) else {
                route.exists = false;
                continue;
            };
            if !metadata.is_symlink() {
                continue;
            }
            followed += 1;
            if followed > MOST_LINKS {
                return None;
            }
            let target = fs::read_link(&route.end).ok()?;
            rest.extend(names(&target));
            route
                .links
                .push((route.end.clone(), target.to_str()?.to_owned()));
            match target.is_absolute() {
                true => route.end = PathBuf::from("/"),
                false => drop(route.end.pop()),
            }
        }
        Some(route)
    }
}

/// The names in a path, the last one first.
fn names(path: &Path) -> Vec<OsString> {
    let names = path.components().rev();
    names
        .filter(|name| matches!(name, Component::Normal(_) | Component::ParentDir))
        .map(|name| name.as_os_str().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn check(tree: &HostTree) {
        for place in &tree.places {
            assert_eq!(&place.canonicalize().unwrap(), place);
            let inside = |path: &PathBuf| path != place && path.starts_with(place);
            assert!(!tree.places.iter().any(inside), "{tree:?}");
            assert!(
                !tree.links.keys().any(|link| link.starts_with(place)),
                "{tree:?}"
            );
            assert!(
                !tree.passed.iter().any(|path| path.starts_with(place)),
                "{tree:?}"
            );
            for closed in &tree.closed {
                assert!(
                    !place.starts_with(closed) && !closed.starts_with(place),
                    "{tree:?}"
                );
            }
        }
        for (link, target) in &tree.links {
            let folder = link.parent().unwrap();
            assert_eq!(folder.canonicalize().unwrap(), folder);
            assert_eq!(fs::read_link(link).unwrap(), Path::new(target));
        }
    }

    /// Follows a path in what the tree says, and not in the machine.
    fn resolves(tree: &HostTree, path: &Path) -> Option<PathBuf> {
        let (mut at, mut rest) = (PathBuf::from("/"), names(path));
        let mut steps = 0;
        while let Some(name) = rest.pop() {
            steps += 1;
            if steps > 500 {
                return None;
            }
            if tree.covers(&at) {
                // From here on it is the machine's own.
                let behind: PathBuf = std::iter::once(name)
                    .chain(rest.into_iter().rev())
                    .collect();
                let real = at.join(behind).canonicalize().ok()?;
                return tree.covers(&real).then_some(real);
            }
            if name == ".." {
                at.pop();
                continue;
            }
            at.push(name);
            if let Some(target) = tree.links.get(&at) {
                rest.extend(names(Path::new(target)));
                at.pop();
                if target.starts_with('/') {
                    at = PathBuf::from("/");
                }
                continue;
            }
            let is_there = tree.covers(&at)
                || tree
                    .places
                    .iter()
                    .chain(tree.links.keys())
                    .chain(&tree.passed)
                    .any(|path| path.starts_with(&at));
            if !is_there {
                return None;
            }
        }
        tree.covers(&at).then_some(at)
    }

    /// Folders in folders, links of every sort, and paths through them in random order.
    #[test]
    fn no_place_lies_in_another_and_every_path_that_is_shown_leads_there() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut below = |bound: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % bound as u64) as usize
        };
        let (mut shown, mut refused) = (0, 0);
        for _ in 0..300 {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path().canonicalize().unwrap();
            let mut paths = vec![root.clone()];
            for number in 0..14 {
                let parent = paths[below(paths.len())].clone();
                let path = parent.join(format!("n{number}"));
                let to = paths[below(paths.len())].clone();
                let made = match below(5) {
                    0 => fs::write(&path, ""),
                    1 | 2 => fs::create_dir(&path),
                    3 => symlink(&to, &path),
                    _ => symlink(format!("../n{}/./n{}", below(14), below(14)), &path),
                };
                if made.is_ok() {
                    paths.push(path);
                }
            }
            let closed = paths[1 + below(paths.len() - 1)].clone();
            let mut tree = HostTree::closed([closed]);
            for _ in 0..10 {
                let mut path = paths[below(paths.len())].clone();
                for _ in 0..below(3) {
                    path.push(["..", "n1", "n2", "n3", "n4"][below(5)]);
                }
                if tree.show(&path) {
                    shown += 1;
                    assert!(tree.shows(&path), "{path:?} {tree:?}");
                    assert_eq!(
                        resolves(&tree, &path),
                        path.canonicalize().ok(),
                        "{path:?} {tree:?}"
                    );
                } else {
                    refused += 1;
                }
                check(&tree);
            }
        }
        assert!(shown > 300 && refused > 200, "{shown} {refused}");
    }

    #[test]
    fn what_is_shown_later_takes_in_what_was_shown_before() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("t/sub")).unwrap();
        fs::write(root.join("t/mycc"), "").unwrap();
        symlink("mycc", root.join("t/gcc")).unwrap();
        symlink("t", root.join("link")).unwrap();
        let mut tree = HostTree::default();
        for path in ["t/gcc", "t/../t/mycc", "link/mycc", "t/sub/../mycc"] {
            assert!(tree.show(&root.join(path)));
        }
        assert_eq!(tree.places, [root.join("t/mycc")].into());
        assert_eq!(tree.links.len(), 2);
        assert_eq!(tree.passed, [root.join("t"), root.join("t/sub")].into());
        assert!(!tree.shows(&root.join("t/sub")));
        assert!(tree.show(&root.join("t")));
        assert_eq!(tree.places, [root.join("t")].into());
        assert_eq!(Vec::from_iter(tree.links.keys()), [&root.join("link")]);
        assert!(tree.passed.is_empty());
        for path in ["t/gcc", "link/sub", "t/not/there", "link/gcc"] {
            assert!(tree.shows(&root.join(path)), "{path}");
        }
        assert!(!tree.shows(&root) && !tree.shows(Path::new("relative")));
        assert!(!tree.show(&root.join("none")));
    }
}

//! The module cache: what is in it never changes, but it may go, and be read-only.

use std::fs;
use std::path::Path;

use super::things::{Things, join};
use super::{Change, Step};
use crate::random::Random;
use crate::specimen::Written;

/// Something happens to the module cache, when there is one.
pub(super) fn modules(written: &Written, things: &Things, random: &mut Random) -> Option<Change> {
    let caches = ["gopath/pkg/mod", "modcache"];
    let cache = *caches
        .iter()
        .find(|cache| written.root.join(cache).is_dir())?;
    let remove = |path: &str| Step::Remove {
        path: path.to_owned(),
    };
    let netrc = "home/.netrc";
    Some(match random.below(5) {
        0 => Change::new(
            format!("{cache}: is read-only"),
            vec![Step::ReadOnly {
                path: cache.to_owned(),
            }],
        ),
        1 => Change::new(format!("{cache}: is removed"), vec![remove(cache)]),
        2 if !things.is_free(netrc) => Change::new(
            format!("{cache}: is removed, and {netrc}"),
            vec![remove(cache), remove(netrc)],
        ),
        3 => {
            let cached = join(cache, "cache");
            written.root.join(&cached).is_dir().then(|| {
                Change::new(
                    format!("{cached}: is removed, what is unpacked stays"),
                    vec![remove(&cached)],
                )
            })?
        }
        _ => {
            let mut unpacked = Vec::new();
            versions(&written.root, cache, &mut unpacked);
            unpacked.sort();
            let version = random.pick(&unpacked)?;
            Change::new(format!("{version}: is removed"), vec![remove(version)])
        }
    })
}

/// The folders of modules that are unpacked: those with a version in their names.
fn versions(root: &Path, folder: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(root.join(folder))
        .into_iter()
        .flatten()
        .flatten()
    {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let path = join(folder, &name);
        if name.contains('@') {
            found.push(path);
        } else if name != "cache" && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            versions(root, &path, found);
        }
    }
}

//! Files that appear in the folders above.

use super::things::{Things, join, parent};
use super::{Change, Step};
use crate::random::Random;
use crate::specimen::Written;

/// A workspace, a module or a repository appears above the working folder, or in it.
pub(super) fn appears(written: &Written, things: &Things, random: &mut Random) -> Option<Change> {
    let working = written
        .folder
        .strip_prefix(&written.root)
        .ok()?
        .to_string_lossy()
        .into_owned();
    let mut folders = vec![working.as_str()];
    while !folders.last()?.is_empty() {
        folders.push(parent(folders.last()?));
    }
    let folder = *random.pick(&folders)?;
    let file = |name: &str, text: &str| {
        let path = join(folder, name);
        things.is_free(&path).then(|| {
            Change::new(
                format!("{path}: appears above"),
                vec![Step::Write {
                    path,
                    content: text.as_bytes().to_vec(),
                    keep_time: false,
                }],
            )
        })
    };
    let below = working
        .strip_prefix(folder)
        .unwrap_or_default()
        .trim_start_matches('/');
    let git = |args: &[&str]| Step::Git {
        folder: folder.to_owned(),
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        may_refuse: true,
    };
    let place = if folder.is_empty() { "root" } else { folder };
    let is_new = !things.repositories.iter().any(|known| known == folder);
    match random.below(7) {
        0 => file("go.work", &format!("go 1.24\n\nuse ./{below}\n")),
        1 => file("go.work", "go 1.24\n"),
        2 => file(
            "go.work.sum",
            "example.com/x v1.0.0 h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        ),
        3 => file("go.mod", "module example.com/above\n\ngo 1.24\n"),
        4 if is_new => Some(Change::new(
            format!("a repository in {place}, all of it committed"),
            vec![
                git(&["init", "-q"]),
                git(&["add", "-A", "--", "."]),
                git(&["commit", "-q", "--allow-empty", "-m", "appeared"]),
            ],
        )),
        5 if is_new => Some(Change::new(
            format!("an empty repository in {place}"),
            vec![git(&["init", "-q"])],
        )),
        6 if is_new => Some(Change::new(
            format!("a folder .git without a repository in {place}"),
            vec![Step::Folder {
                path: join(folder, ".git"),
            }],
        )),
        _ => None,
    }
}

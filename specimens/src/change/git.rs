//! The state of repositories.

use super::things::{Things, join};
use super::{Change, Step};
use crate::random::Random;
use crate::specimen::Written;

/// Something happens in one of the repositories.
pub(super) fn state(_: &Written, things: &Things, random: &mut Random) -> Option<Change> {
    let folder = random.pick(&things.repositories)?.clone();
    let git = |args: &[&str]| Step::Git {
        folder: folder.clone(),
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        may_refuse: true,
    };
    let write = |name: &str, text: &str| Step::Write {
        path: join(&folder, name),
        content: text.as_bytes().to_vec(),
        keep_time: false,
    };
    let commit = ["commit", "-q", "--allow-empty", "-m", "changed"];
    let (what, steps) = match random.below(12) {
        0 => ("an empty commit", vec![git(&commit)]),
        1 => (
            "a commit of all that has changed",
            vec![git(&["add", "-A"]), git(&commit)],
        ),
        2 => ("a tag", vec![git(&["tag", "v1.9.9"])]),
        3 => (
            "a tag with a message",
            vec![git(&["tag", "-a", "-m", "text", "v1.8.8"])],
        ),
        4 => ("an untracked file", vec![write("untracked.txt", "1\n")]),
        5 => (
            "a file that is to be committed",
            vec![write("added.txt", "1\n"), git(&["add", "added.txt"])],
        ),
        6 => (
            "an ignored file",
            vec![
                write(".gitignore", "ignored.txt\n*.log\nbuild/\n"),
                write("ignored.txt", "1\n"),
            ],
        ),
        7 => (
            "another branch with a commit",
            vec![git(&["checkout", "-q", "-b", "another"]), git(&commit)],
        ),
        8 => (
            "the last commit is made anew",
            vec![git(&[
                "commit",
                "-q",
                "--amend",
                "--allow-empty",
                "-m",
                "amended",
            ])],
        ),
        9 => (
            "a setting: no untracked files",
            vec![
                git(&["config", "status.showUntrackedFiles", "no"]),
                write("untracked.txt", "1\n"),
            ],
        ),
        10 => (
            "a file of it is out of sight",
            vec![git(&["pack-refs", "--all"])],
        ),
        _ => ("its history is packed", vec![git(&["gc", "-q"])]),
    };
    let place = if folder.is_empty() { "root" } else { &folder };
    Some(Change::new(format!("repository of {place}: {what}"), steps))
}

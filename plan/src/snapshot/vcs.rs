//! The state of the repository, which -buildvcs stamps into programs.

use std::path::{Path, PathBuf};

use crate::gocmd::GoCommand;
use crate::plan::Plan;
use gofarm_proto::v1;

/// Names whose presence in a folder above the working folder decides which module and repository is meant.
pub(crate) const MARKERS: [&str; 8] = [
    "go.mod",
    "go.work",
    ".git",
    ".hg",
    ".svn",
    ".bzr",
    ".fslckout",
    "_FOSSIL_",
];

/// How programs of a plan name their repository.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stamped {
    /// Not at all.
    No,
    /// With git's state.
    Git,
    /// With that of another system, whose state is not followed.
    Other,
}

/// Reads it from the modinfo in the importcfg of the links.
pub(crate) fn stamped(plan: &Plan) -> Stamped {
    let mut found = Stamped::No;
    for index in plan.programs() {
        for step in &plan.nodes[index].action.steps {
            if let Some(v1::step::Step::WriteFile(file)) = &step.step {
                let text = String::from_utf8_lossy(&file.content);
                if text.contains("\\tvcs=git") {
                    found = Stamped::Git;
                } else if text.contains("\\tvcs=") {
                    return Stamped::Other;
                }
            }
        }
    }
    found
}

/// What cmd/go would find: commit, tags, and whether anything is modified (cmd/go/internal/vcs/vcs.go,
/// `gitStatus`). `None` when git does not answer.
pub(crate) fn git_state(go: &GoCommand) -> Option<Vec<u8>> {
    let ask = |args: &'static [&'static str]| {
        let go = go.clone();
        std::thread::spawn(move || {
            let argv: Vec<String> = std::iter::once("git")
                .chain(args.iter().copied())
                .map(str::to_owned)
                .collect();
            let output = go.run_tool(&argv, &go.cwd).ok()?;
            output.status.success().then_some(output.stdout)
        })
    };
    let head = ask(&["rev-parse", "HEAD"]);
    let tags = ask(&[
        "for-each-ref",
        "--format=%(refname) %(objectname) %(*objectname)",
        "refs/tags",
    ]);
    let status = ask(&["status", "--porcelain"]);
    let head = head.join().ok()??;
    let tags = tags.join().ok()??;
    let dirty = !status.join().ok()??.is_empty();
    let mut hasher = blake3::Hasher::new_derive_key("gofarm git state v1");
    hasher
        .update(&head)
        .update(&[u8::from(dirty)])
        .update(&tags);
    Some(hasher.finalize().as_bytes().to_vec())
}

/// The markers in the folders from here up to the root of the filesystem.
pub(crate) fn markers(from: &Path) -> Vec<PathBuf> {
    from.ancestors()
        .flat_map(|folder| MARKERS.iter().map(move |name| folder.join(name)))
        .filter(|path| path.symlink_metadata().is_ok())
        .collect()
}

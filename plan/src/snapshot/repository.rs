//! The repository that -buildvcs stamps into programs.

use std::path::{Path, PathBuf};

use gofarm_proto::v1;

use super::fact::AnswerFact;
use crate::gocmd::GoCommand;
use crate::plan::Plan;

/// Names whose presence in a folder makes it the root of a repository (cmd/go/internal/vcs/vcs.go, `vcsList`).
pub(super) const MARKERS: [&str; 6] = [".git", ".hg", ".svn", ".bzr", ".fslckout", "_FOSSIL_"];

/// How programs of a plan name their repository.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stamped {
    /// Not at all.
    No,
    /// With git's state.
    Git,
    /// With that of another system, whose state is not followed.
    Other,
}

/// Reads it from the modinfo in the importcfg of the links.
pub(super) fn stamped(plan: &Plan) -> Stamped {
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

/// The folders from here up in which there is something called `.git`. Which of them cmd/go takes depends on its
/// release (whether a file counts, as submodules and worktrees have it), so all of them are followed.
pub(super) fn git_roots(from: &Path) -> Vec<PathBuf> {
    from.ancestors()
        .filter(|folder| folder.join(".git").symlink_metadata().is_ok())
        .map(Path::to_path_buf)
        .collect()
}

/// What git says of these repositories, as far as it gets into a program: commit, time, the tags behind it, and whether anything is
/// modified (`gitStatus` in cmd/go/internal/vcs/vcs.go; `Stat` in cmd/go/internal/modfetch/codehost/git.go).
pub(super) fn answers(go: &GoCommand, roots: &[PathBuf]) -> Vec<AnswerFact> {
    const QUESTIONS: [(&[&str], bool); 4] = [
        (
            &[
                "-c",
                "log.showsignature=false",
                "log",
                "-1",
                "--format=%H:%ct",
            ],
            false,
        ),
        (
            &[
                "for-each-ref",
                "--format=%(refname) %(objectname) %(*objectname)",
                "--merged=HEAD",
                "refs/tags",
            ],
            false,
        ),
        (&["rev-parse", "--is-shallow-repository"], false),
        // What is modified does not matter.
        (&["status", "--porcelain"], true),
    ];
    std::thread::scope(|scope| {
        let asked: Vec<_> = roots
            .iter()
            .flat_map(|root| QUESTIONS.iter().map(move |question| (root, question)))
            .map(|(root, (args, any))| {
                scope.spawn(move || {
                    let argv = std::iter::once("git").chain(args.iter().copied());
                    let argv = argv.map(str::to_owned).collect();
                    let cwd = root.to_string_lossy().into_owned();
                    AnswerFact::of(go.answer(argv, cwd), *any)
                })
            })
            .collect();
        asked
            .into_iter()
            .filter_map(|answer| answer.join().ok())
            .collect()
    })
}

//! The end of a build: one line for people, one JSON object for programs.

use std::collections::BTreeMap;
use std::time::Duration;

use gofarm_amount::{Size, TimeSpan};
use gofarm_engine::core::{self, BuildId, BuildResult, BuildSummary};
use serde::{Deserialize, Serialize};

use super::count::Count;
use super::percent::Percent;

/// What `--summary-json` writes. Fields may be added; those that are here keep their names and their meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// 32 hex digits.
    pub build_id: String,
    /// How it ended.
    pub result: Outcome,
    /// From the start of the command to its end, milliseconds.
    pub wall_ms: u64,
    /// Of that: planning, milliseconds.
    pub plan_ms: u64,
    /// Nothing that planning depends on had changed, so the plan of an earlier build was taken.
    pub plan_reused: bool,
    /// The longest chain of executions that had to wait for each other, milliseconds: with any number of workers the build
    /// would have taken this long.
    pub critical_path_ms: u64,
    /// All actions by how they ended.
    pub actions: ActionCounts,
    /// The same by kind: `compile`, `link`, `preprofile`. Kinds that do not occur are left out.
    pub kinds: BTreeMap<String, ActionCounts>,
    /// What was moved to and from the store.
    pub bytes: Bytes,
}

/// How a build ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Everything that was asked for is there.
    Succeeded,
    /// Something failed.
    Failed,
    /// It was interrupted, or its time ran out.
    Cancelled,
}

/// Actions by how they ended. What is missing to the total was not finished when the build ended early.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionCounts {
    /// All.
    pub total: u32,
    /// Run for this build.
    pub executed: u32,
    /// Taken from the cache.
    pub cached: u32,
    /// Shared an execution that another node or another build had asked for.
    pub joined: u32,
    /// Failed themselves.
    pub failed: u32,
    /// Not run, since something that they need failed.
    pub skipped: u32,
}

/// Bytes moved between the user's files and the store, which in an embedded build is a folder of the same machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bytes {
    /// Sources and tools that the store did not have yet.
    pub uploaded: u64,
    /// Results fetched from the store.
    pub downloaded: u64,
}

/// What the user asked for, as the summary line counts it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Built {
    /// Linked programs.
    pub programs: usize,
    /// Packages that were named, programs among them.
    pub packages: usize,
}

impl Summary {
    /// A build that ended before it had actions: it could not be planned, or was interrupted.
    pub fn without_actions(
        id: BuildId,
        result: Outcome,
        wall: Duration,
        plan: Duration,
    ) -> Summary {
        Summary {
            build_id: id.to_string(),
            result,
            wall_ms: millis(wall),
            plan_ms: millis(plan),
            plan_reused: false,
            critical_path_ms: 0,
            actions: ActionCounts::default(),
            kinds: BTreeMap::new(),
            bytes: Bytes::default(),
        }
    }

    /// A build that was submitted. `wall` and `plan` are those of the whole command; the scheduler's own wall time leaves
    /// planning out.
    pub fn of_build(
        id: BuildId,
        build: &BuildSummary,
        wall: Duration,
        plan: Duration,
        plan_reused: bool,
        bytes: Bytes,
    ) -> Summary {
        let result = match build.result {
            BuildResult::Succeeded => Outcome::Succeeded,
            BuildResult::Failed => Outcome::Failed,
            BuildResult::Cancelled => Outcome::Cancelled,
        };
        let kinds = build
            .kinds
            .iter()
            .map(|(kind, counts)| (kind.word().to_owned(), counts.into()));
        Summary {
            plan_reused,
            critical_path_ms: build.critical_path_ms,
            actions: (&build.counts).into(),
            kinds: kinds.collect(),
            bytes,
            ..Summary::without_actions(id, result, wall, plan)
        }
    }

    /// The command was stopped from outside before all was there. That something had failed by then is not how it ended: the
    /// result says the same as the exit code.
    pub fn stopped(&mut self) {
        if self.result == Outcome::Failed {
            self.result = Outcome::Cancelled;
        }
    }

    /// The line for stderr, with its line end. `ended_by` says why a build was cancelled: "interrupted", "timed out".
    pub fn line(&self, built: Built, ended_by: Option<&str>) -> String {
        let wall = TimeSpan(Duration::from_millis(self.wall_ms));
        let mut line = match self.result {
            Outcome::Succeeded if built.programs > 0 => {
                format!(
                    "gofarm: built {} in {wall}",
                    Count(built.programs, "program")
                )
            }
            Outcome::Succeeded => format!(
                "gofarm: compiled {} in {wall}",
                Count(built.packages, "package")
            ),
            Outcome::Failed => format!("gofarm: build failed in {wall}"),
            Outcome::Cancelled => {
                format!("gofarm: {} after {wall}", ended_by.unwrap_or("cancelled"))
            }
        };
        let counts = &self.actions;
        if counts.total > 0 {
            line.push_str(&format!(
                ": {}, {} executed, {} cached, {} joined",
                Count(counts.total as usize, "action"),
                counts.executed,
                counts.cached,
                counts.joined
            ));
            for (number, word) in [
                (counts.failed, "failed"),
                (counts.skipped, "skipped"),
                (counts.unfinished(), "not finished"),
            ] {
                if number > 0 {
                    line.push_str(&format!(", {number} {word}"));
                }
            }
            let whole = counts.executed + counts.cached + counts.joined + counts.failed;
            if whole > 0 {
                let hits = Percent {
                    part: counts.cached,
                    whole,
                };
                line.push_str(&format!("; cache hit rate {hits}"));
            }
            let moved = self.bytes.uploaded.saturating_add(self.bytes.downloaded);
            let critical = TimeSpan(Duration::from_millis(self.critical_path_ms));
            line.push_str(&format!(
                "; {} moved; critical path {critical}",
                Size(moved)
            ));
        }
        line.push('\n');
        line
    }
}

impl ActionCounts {
    fn unfinished(&self) -> u32 {
        let ended = self.executed + self.cached + self.joined + self.failed + self.skipped;
        self.total.saturating_sub(ended)
    }
}

impl From<&core::Counts> for ActionCounts {
    fn from(counts: &core::Counts) -> ActionCounts {
        ActionCounts {
            total: counts.total,
            executed: counts.executed,
            cached: counts.cached,
            joined: counts.joined,
            failed: counts.failed,
            skipped: counts.skipped,
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use gofarm_proto::v1::Kind;

    use super::*;

    fn build() -> BuildSummary {
        let compile = core::Counts {
            total: 562,
            executed: 1,
            cached: 561,
            ..core::Counts::default()
        };
        let link = core::Counts {
            total: 3,
            executed: 3,
            ..core::Counts::default()
        };
        BuildSummary {
            result: BuildResult::Succeeded,
            counts: core::Counts {
                total: 565,
                executed: 4,
                cached: 561,
                ..core::Counts::default()
            },
            kinds: vec![(Kind::Compile, compile), (Kind::Link, link)],
            wall_ms: 2_000,
            critical_path_ms: 1_900,
            critical_path: vec![],
        }
    }

    fn summary(build: &BuildSummary) -> Summary {
        let bytes = Bytes {
            uploaded: 12_000_000,
            downloaded: 100_000,
        };
        Summary::of_build(
            BuildId(0xab),
            build,
            Duration::from_millis(2_310),
            Duration::from_millis(300),
            true,
            bytes,
        )
    }

    #[test]
    fn what_is_stopped_has_not_failed_although_something_in_it_had() {
        let mut build = build();
        build.result = BuildResult::Failed;
        build.counts.failed = 1;
        let mut stopped = summary(&build);
        stopped.stopped();
        let line = stopped.line(BUILT, Some("interrupted"));
        assert!(
            line.starts_with("gofarm: interrupted after 2.31s: "),
            "{line}"
        );
        assert!(line.contains(", 1 failed"), "{line}");
        build.result = BuildResult::Succeeded;
        let mut all_there = summary(&build);
        all_there.stopped();
        assert_eq!(all_there.result, Outcome::Succeeded);
    }

    const BUILT: Built = Built {
        programs: 3,
        packages: 4,
    };

    #[test]
    fn the_line_says_all_that_matters() {
        assert_eq!(
            summary(&build()).line(BUILT, None),
            "gofarm: built 3 programs in 2.31s: 565 actions, 4 executed, 561 cached, 0 joined; \
             cache hit rate 99.3%; 12.1 MB moved; critical path 1.90s\n"
        );
        let mut failed = build();
        failed.result = BuildResult::Failed;
        failed.counts = core::Counts {
            total: 10,
            executed: 4,
            cached: 2,
            joined: 1,
            failed: 1,
            skipped: 2,
            cancelled: 0,
        };
        assert_eq!(
            summary(&failed).line(BUILT, None),
            "gofarm: build failed in 2.31s: 10 actions, 4 executed, 2 cached, 1 joined, 1 failed, 2 skipped; \
             cache hit rate 25.0%; 12.1 MB moved; critical path 1.90s\n"
        );
        failed.result = BuildResult::Cancelled;
        failed.counts = core::Counts {
            total: 10,
            cancelled: 10,
            ..core::Counts::default()
        };
        assert_eq!(
            summary(&failed).line(BUILT, Some("interrupted")),
            "gofarm: interrupted after 2.31s: 10 actions, 0 executed, 0 cached, 0 joined, 10 not finished; \
             12.1 MB moved; critical path 1.90s\n"
        );
    }

    #[test]
    fn libraries_and_unplanned_builds_have_a_line_too() {
        let built = Built {
            programs: 0,
            packages: 1,
        };
        assert!(
            summary(&build())
                .line(built, None)
                .starts_with("gofarm: compiled 1 package in 2.31s: ")
        );
        let unplanned = Summary::without_actions(
            BuildId(1),
            Outcome::Failed,
            Duration::from_millis(140),
            Duration::from_millis(130),
        );
        assert_eq!(
            unplanned.line(built, None),
            "gofarm: build failed in 0.14s\n"
        );
    }

    #[test]
    fn the_json_has_exactly_the_documented_fields() {
        let counts = |total, executed, cached| {
            serde_json::json!({
                "total": total, "executed": executed, "cached": cached, "joined": 0, "failed": 0, "skipped": 0,
            })
        };
        let expected = serde_json::json!({
            "build_id": "000000000000000000000000000000ab",
            "result": "succeeded",
            "wall_ms": 2310,
            "plan_ms": 300,
            "plan_reused": true,
            "critical_path_ms": 1900,
            "actions": counts(565, 4, 561),
            "kinds": { "compile": counts(562, 1, 561), "link": counts(3, 3, 0) },
            "bytes": { "uploaded": 12_000_000, "downloaded": 100_000 },
        });
        assert_eq!(serde_json::to_value(summary(&build())).unwrap(), expected);
    }

    #[test]
    fn the_file_is_replaced_whole_also_behind_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("s.json"), folder.path().join("link"));
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let first = summary(&build());
        first.write(&file).unwrap();
        let mut second = first.clone();
        second.wall_ms = 1;
        second.write(&link).unwrap();
        assert!(link.is_symlink());
        let read: Summary = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        assert_eq!(read, second);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        first.write(Path::new("/dev/null")).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none/s.json");
        let error = summary(&build()).write(&path).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("cannot write the summary to {path:?}: No such file or directory (os error 2)")
        );
    }
}

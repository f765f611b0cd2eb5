//! The events of a build as NDJSON: one object a line, each whole as soon as it happened.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use gofarm_engine::LeaseNumber;
use gofarm_engine::core::{BuildId, Failure, FailureClass, NodeEvent, NodeId, Resolution};
use gofarm_proto::{ActionKey, v1};
use serde::Serialize;

use super::summary::Summary;
use super::timestamp::rfc3339;

/// Writes what `--events` asks for.
///
/// Numbers in `seq` begin with 0 and have no gaps. Fields and types may be added; those that are here keep their meaning.
///
/// A build does not end because its events cannot be written: the first failure ends the writing, and
/// [`finished`](EventLog::finished) tells it.
pub struct EventLog<W = File> {
    out: W,
    path: PathBuf,
    seq: u64,
    failure: Option<io::Error>,
}

/// The events could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the events to {path:?}: {source}")]
pub struct EventLogError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

#[derive(Serialize)]
struct Line<'a> {
    seq: u64,
    time: String,
    #[serde(flatten)]
    event: Event<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event<'a> {
    BuildStarted {
        build_id: String,
        packages: &'a [String],
        total: u32,
    },
    ActionQueued {
        #[serde(flatten)]
        action: Action<'a>,
    },
    ActionStarted {
        #[serde(flatten)]
        action: Action<'a>,
        worker: &'a str,
    },
    ActionLog {
        key: String,
        label: &'a str,
        text: &'a str,
    },
    ActionFinished {
        #[serde(flatten)]
        action: Action<'a>,
        how: &'static str,
        key: String,
        usage: Usage,
    },
    ActionFailed {
        #[serde(flatten)]
        action: Action<'a>,
        cause: &'static str,
        message: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        exit_code: Option<i32>,
    },
    ActionSkipped {
        #[serde(flatten)]
        action: Action<'a>,
        waits_for: &'a str,
    },
    ActionCancelled {
        #[serde(flatten)]
        action: Action<'a>,
    },
    ActionReopened {
        #[serde(flatten)]
        action: Action<'a>,
        reason: &'static str,
    },
    ActionNondeterministic {
        #[serde(flatten)]
        action: Action<'a>,
        key: String,
        outputs: Vec<&'a str>,
        first: Option<MadeBy<'a>>,
        second: Option<MadeBy<'a>>,
    },
    BuildFinished {
        summary: &'a Summary,
    },
}

#[derive(Serialize)]
struct Action<'a> {
    node: u32,
    label: &'a str,
}

/// Who made a result.
#[derive(Serialize)]
struct MadeBy<'a> {
    worker: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<String>,
}

impl<'a> MadeBy<'a> {
    fn of(made: &'a v1::Provenance) -> MadeBy<'a> {
        let lease = made.lease.as_ref();
        MadeBy {
            worker: &made.worker,
            lease: lease.map(|lease| LeaseNumber(lease).to_string()),
        }
    }
}

#[derive(Serialize)]
struct Usage {
    wall_ms: u64,
    user_ms: u64,
    system_ms: u64,
    peak_memory: u64,
    stage_us: u64,
    collect_us: u64,
}

impl EventLog<File> {
    /// Begins a file anew.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn create(path: &Path) -> Result<EventLog<File>, EventLogError> {
        match File::create(path) {
            Ok(file) => Ok(EventLog::new(file, path)),
            Err(source) => Err(EventLogError {
                path: path.to_owned(),
                source,
            }),
        }
    }
}

impl<W: Write> EventLog<W> {
    /// Writes each event with one write, so `out` needs no buffer of its own. `path` is what errors call it.
    pub fn new(out: W, path: &Path) -> EventLog<W> {
        EventLog {
            out,
            path: path.to_owned(),
            seq: 0,
            failure: None,
        }
    }

    /// The graph is accepted.
    pub fn started(&mut self, at: SystemTime, id: BuildId, packages: &[String], total: u32) {
        let build_id = id.to_string();
        self.write(
            at,
            Event::BuildStarted {
                build_id,
                packages,
                total,
            },
        );
    }

    /// An action changed. `label` is its label in the graph.
    pub fn node(&mut self, at: SystemTime, node: NodeId, label: &str, event: &NodeEvent) {
        let action = Action {
            node: node.0,
            label,
        };
        let event = match event {
            NodeEvent::Queued => Event::ActionQueued { action },
            NodeEvent::Started { worker } => Event::ActionStarted { action, worker },
            NodeEvent::Finished { how, key, result } => Event::ActionFinished {
                action,
                how: match how {
                    Resolution::Executed => "executed",
                    Resolution::Cached => "cached",
                    Resolution::Joined => "joined",
                },
                key: key.hex(),
                usage: Usage {
                    wall_ms: result.usage.wall_ms,
                    user_ms: result.usage.user_ms,
                    system_ms: result.usage.system_ms,
                    peak_memory: result.usage.peak_memory,
                    stage_us: result.usage.stage_us,
                    collect_us: result.usage.collect_us,
                },
            },
            NodeEvent::Failed { failure } => Event::ActionFailed {
                action,
                cause: match failure.class() {
                    FailureClass::User => "code",
                    FailureClass::Environment => "environment",
                    FailureClass::Bug => "defect",
                },
                message: failure.to_string(),
                exit_code: match &**failure {
                    Failure::Action { result } => Some(result.exit_code),
                    _ => None,
                },
            },
            NodeEvent::Skipped { waits_for } => Event::ActionSkipped { action, waits_for },
            NodeEvent::Cancelled => Event::ActionCancelled { action },
            NodeEvent::Reopened { lost } => Event::ActionReopened {
                action,
                reason: if *lost { "blob lost" } else { "input changed" },
            },
            NodeEvent::Nondeterministic {
                key,
                outputs,
                first,
                second,
            } => Event::ActionNondeterministic {
                action,
                key: key.hex(),
                outputs: outputs.iter().map(|name| &**name).collect(),
                first: first.as_deref().map(MadeBy::of),
                second: second.as_deref().map(MadeBy::of),
            },
        };
        self.write(at, event);
    }

    /// A task printed something. Several nodes may wait for one task, so it is named by its key. What is not UTF-8 is
    /// replaced by U+FFFD.
    pub fn log(&mut self, at: SystemTime, key: &ActionKey, label: &str, chunk: &[u8]) {
        let (key, text) = (key.hex(), String::from_utf8_lossy(chunk));
        self.write(
            at,
            Event::ActionLog {
                key,
                label,
                text: &text,
            },
        );
    }

    /// The last event.
    ///
    /// # Errors
    /// An event, this or an earlier one, could not be written.
    pub fn finished(mut self, at: SystemTime, summary: &Summary) -> Result<(), EventLogError> {
        self.write(at, Event::BuildFinished { summary });
        match self.failure {
            None => Ok(()),
            Some(source) => Err(EventLogError {
                path: self.path,
                source,
            }),
        }
    }

    fn write(&mut self, at: SystemTime, event: Event<'_>) {
        if self.failure.is_none() {
            self.failure = self.try_write(at, event).err();
        }
    }

    fn try_write(&mut self, at: SystemTime, event: Event<'_>) -> io::Result<()> {
        let time = rfc3339(at);
        let mut line = serde_json::to_vec(&Line {
            seq: self.seq,
            time,
            event,
        })?;
        line.push(b'\n');
        self.out.write_all(&line)?;
        self.out.flush()?;
        self.seq += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, UNIX_EPOCH};

    use gofarm_engine::core::{ActionResult, Attempt};

    use super::*;
    use crate::report::Outcome;

    fn lines(out: &[u8]) -> Vec<String> {
        String::from_utf8(out.to_vec())
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    const NODE: NodeId = NodeId(3);
    const LABEL: &str = "compile fmt";

    #[test]
    fn every_event_is_one_line() {
        let at = UNIX_EPOCH + Duration::from_millis(1_772_323_200_007);
        let key = ActionKey([0xab; 32]);
        let result = |exit_code| {
            Arc::new(ActionResult {
                exit_code,
                usage: v1::Usage {
                    wall_ms: 120,
                    user_ms: 100,
                    system_ms: 10,
                    peak_memory: 4096,
                    stage_us: 7,
                    collect_us: 8,
                },
                ..ActionResult::default()
            })
        };
        let attempt = Attempt {
            worker: Some("w1".into()),
            reason: "lease lost".into(),
        };
        let failure = Failure::AttemptsUsedUp {
            history: [attempt].into(),
        };
        let events = [
            NodeEvent::Queued,
            NodeEvent::Started {
                worker: "w1".into(),
            },
            NodeEvent::Finished {
                how: Resolution::Executed,
                key,
                result: result(0),
            },
            NodeEvent::Failed {
                failure: Failure::Action { result: result(2) }.into(),
            },
            NodeEvent::Failed {
                failure: failure.into(),
            },
            NodeEvent::Skipped {
                waits_for: "compile errors".into(),
            },
            NodeEvent::Cancelled,
            NodeEvent::Reopened { lost: true },
            NodeEvent::Nondeterministic {
                key,
                outputs: ["object".into()].into(),
                first: None,
                second: Some(Arc::new(v1::Provenance {
                    worker: "w1".to_owned(),
                    lease: Some(v1::FencingToken {
                        incarnation: 7,
                        counter: 12,
                    }),
                    ..v1::Provenance::default()
                })),
            },
        ];
        let mut out = Vec::new();
        let mut log = EventLog::new(&mut out, Path::new("events"));
        log.started(at, BuildId(1), &["./...".to_owned()], 9);
        for event in &events {
            log.node(at, NODE, LABEL, event);
        }
        log.log(at, &key, LABEL, b"x.go:1: \xff\n");
        let summary =
            Summary::without_actions(BuildId(1), Outcome::Failed, Duration::ZERO, Duration::ZERO);
        log.finished(at, &summary).unwrap();

        let hex = "ab".repeat(32);
        let expected = [
            r#""type":"build_started","build_id":"00000000000000000000000000000001","packages":["./..."],"total":9}"#.to_owned(),
            r#""type":"action_queued","node":3,"label":"compile fmt"}"#.to_owned(),
            r#""type":"action_started","node":3,"label":"compile fmt","worker":"w1"}"#.to_owned(),
            format!(
                r#""type":"action_finished","node":3,"label":"compile fmt","how":"executed","key":"{hex}","usage":{{"wall_ms":120,"user_ms":100,"system_ms":10,"peak_memory":4096,"stage_us":7,"collect_us":8}}}}"#
            ),
            r#""type":"action_failed","node":3,"label":"compile fmt","cause":"code","message":"exit status 2","exit_code":2}"#.to_owned(),
            r#""type":"action_failed","node":3,"label":"compile fmt","cause":"environment","message":"gave up after 1 attempts: w1: lease lost"}"#.to_owned(),
            r#""type":"action_skipped","node":3,"label":"compile fmt","waits_for":"compile errors"}"#.to_owned(),
            r#""type":"action_cancelled","node":3,"label":"compile fmt"}"#.to_owned(),
            r#""type":"action_reopened","node":3,"label":"compile fmt","reason":"blob lost"}"#.to_owned(),
            format!(r#""type":"action_nondeterministic","node":3,"label":"compile fmt","key":"{hex}","outputs":["object"],"first":null,"second":{{"worker":"w1","lease":"7.12"}}}}"#),
            format!("\"type\":\"action_log\",\"key\":\"{hex}\",\"label\":\"compile fmt\",\"text\":\"x.go:1: \u{fffd}\\n\"}}"),
            format!(r#""type":"build_finished","summary":{}}}"#, serde_json::to_string(&summary).unwrap()),
        ];
        for (seq, (line, rest)) in lines(&out).iter().zip(&expected).enumerate() {
            assert_eq!(
                *line,
                format!(r#"{{"seq":{seq},"time":"2026-03-01T00:00:00.007Z",{rest}"#)
            );
        }
        assert_eq!(lines(&out).len(), expected.len());
    }

    #[test]
    fn a_line_stands_in_the_file_as_soon_as_it_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events");
        let mut log = EventLog::create(&path).unwrap();
        for expected in 1..4 {
            log.node(UNIX_EPOCH, NODE, LABEL, &NodeEvent::Queued);
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(text.lines().count(), expected);
            assert!(text.ends_with("}\n"));
        }
    }

    #[test]
    fn a_failure_to_write_is_told_at_the_end() {
        // Every write to it says that the disk is full.
        let path = Path::new("/dev/full");
        let mut log = EventLog::new(File::options().write(true).open(path).unwrap(), path);
        log.node(UNIX_EPOCH, NODE, LABEL, &NodeEvent::Queued);
        let summary = Summary::without_actions(
            BuildId(1),
            Outcome::Succeeded,
            Duration::ZERO,
            Duration::ZERO,
        );
        let error = log.finished(UNIX_EPOCH, &summary).unwrap_err().to_string();
        assert_eq!(
            error,
            "cannot write the events to \"/dev/full\": No space left on device (os error 28)"
        );
        assert!(EventLog::create(Path::new("/no/such/folder/events")).is_err());
    }
}

//! What a finished action left behind.

use std::collections::HashSet;
use std::sync::Arc;

use gofarm_proto::{Digest, LONGEST_LOG, ParseDigestError, v1};

/// A `v1::ActionResult` whose digests have been checked.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ActionResult {
    /// In the order in which the action declares them; no name occurs twice.
    pub outputs: Box<[OutputFile]>,
    /// 0, or the exit code of the step that failed.
    pub exit_code: i32,
    /// stdout and stderr of all steps, with virtual paths.
    pub log: Log,
    /// Go content ID, or empty.
    pub content_id: Box<str>,
    /// What the execution cost.
    pub usage: v1::Usage,
    /// Who made it, as far as known. It goes with the result through the core and decides nothing; messages leave it out.
    pub made: Option<Arc<v1::Provenance>>,
}

/// What the tools of an action have printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Log {
    /// All of it.
    Inline(Box<[u8]>),
    /// It is long: the blob that has it, for as long as the store keeps it.
    Blob(Digest),
}

impl Log {
    /// Whether nothing was printed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How much was printed, bytes.
    pub fn len(&self) -> u64 {
        match self {
            Log::Inline(text) => text.len() as u64,
            Log::Blob(digest) => digest.size,
        }
    }

    /// The blob, if it is one.
    pub fn blob(&self) -> Option<Digest> {
        match self {
            Log::Inline(_) => None,
            Log::Blob(digest) => Some(*digest),
        }
    }
}

impl Default for Log {
    fn default() -> Log {
        Log::Inline(Box::default())
    }
}

impl From<Vec<u8>> for Log {
    fn from(text: Vec<u8>) -> Log {
        Log::Inline(text.into())
    }
}

/// A file that an action made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputFile {
    /// What other actions call it.
    pub name: Arc<str>,
    /// The file's content.
    pub digest: Digest,
    /// The file is a program.
    pub executable: bool,
}

impl ActionResult {
    /// The digest of the output with this name, if there is one.
    pub fn output(&self, name: &str) -> Option<Digest> {
        // Actions have a handful of outputs: a scan beats a map.
        let found = self.outputs.iter().find(|output| &*output.name == name)?;
        Some(found.digest)
    }

    /// Whether this blob is among the outputs.
    pub fn made(&self, digest: &Digest) -> bool {
        self.outputs.iter().any(|output| output.digest == *digest)
    }

    /// The blobs that are in the store before the result is reported: outputs, and the log where it is one.
    pub fn blobs(&self) -> Vec<Digest> {
        let outputs = self.outputs.iter().map(|output| output.digest);
        outputs.chain(self.log.blob()).collect()
    }

    /// Staging, running and collecting, in milliseconds.
    pub fn duration_ms(&self) -> u64 {
        let overhead_us = self.usage.stage_us.saturating_add(self.usage.collect_us);
        self.usage.wall_ms.saturating_add(overhead_us / 1000)
    }
}

/// A result that no receiver may use.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MalformedResult {
    /// An output has no digest.
    #[error("action result: output {0:?} has no digest")]
    NoDigest(String),
    /// An output's digest is not one.
    #[error("action result: output {0:?}")]
    Digest(String, #[source] ParseDigestError),
    /// Two outputs have one name.
    #[error("action result: output {0:?} occurs twice")]
    Twice(String),
    /// The log's digest is not one.
    #[error("action result: log")]
    Log(#[source] ParseDigestError),
    /// The log is here, and a blob as well.
    #[error("action result: two logs")]
    TwoLogs,
    /// No log is so long.
    #[error("action result: a log of {0} bytes, where {most} is the most", most = LONGEST_LOG)]
    LongLog(u64),
}

impl TryFrom<v1::ActionResult> for ActionResult {
    type Error = MalformedResult;

    fn try_from(message: v1::ActionResult) -> Result<Self, Self::Error> {
        let mut outputs: Vec<OutputFile> = Vec::with_capacity(message.outputs.len());
        let mut names: HashSet<Arc<str>> = HashSet::with_capacity(message.outputs.len());
        for file in message.outputs {
            let Some(digest) = &file.digest else {
                return Err(MalformedResult::NoDigest(file.name));
            };
            let digest = match Digest::try_from(digest) {
                Ok(digest) => digest,
                Err(error) => return Err(MalformedResult::Digest(file.name, error)),
            };
            let name: Arc<str> = file.name.as_str().into();
            if !names.insert(name.clone()) {
                return Err(MalformedResult::Twice(file.name));
            }
            outputs.push(OutputFile {
                name,
                digest,
                executable: file.executable,
            });
        }
        let log = match &message.log_blob {
            None => Log::from(message.log),
            Some(_) if !message.log.is_empty() => return Err(MalformedResult::TwoLogs),
            Some(digest) => Log::Blob(Digest::try_from(digest).map_err(MalformedResult::Log)?),
        };
        if log.len() > LONGEST_LOG {
            return Err(MalformedResult::LongLog(log.len()));
        }
        Ok(ActionResult {
            outputs: outputs.into(),
            exit_code: message.exit_code,
            log,
            content_id: message.content_id.into(),
            usage: message.usage.unwrap_or_default(),
            made: None,
        })
    }
}

impl From<&ActionResult> for v1::ActionResult {
    fn from(result: &ActionResult) -> Self {
        v1::ActionResult {
            outputs: result
                .outputs
                .iter()
                .map(|output| v1::OutputFile {
                    name: output.name.to_string(),
                    digest: Some(output.digest.into()),
                    executable: output.executable,
                })
                .collect(),
            exit_code: result.exit_code,
            log: match &result.log {
                Log::Inline(text) => text.to_vec(),
                Log::Blob(_) => Vec::new(),
            },
            log_blob: result.log.blob().map(Into::into),
            content_id: result.content_id.to_string(),
            usage: Some(result.usage),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(names: &[&str]) -> v1::ActionResult {
        v1::ActionResult {
            outputs: names
                .iter()
                .map(|name| v1::OutputFile {
                    name: name.to_string(),
                    digest: Some(Digest::of(name.as_bytes()).into()),
                    executable: *name == "binary",
                })
                .collect(),
            exit_code: 0,
            log: b"# fmt\n".to_vec(),
            content_id: "abc".into(),
            usage: Some(v1::Usage {
                wall_ms: 7,
                ..v1::Usage::default()
            }),
            log_blob: None,
        }
    }

    #[test]
    fn a_log_is_here_or_a_blob_and_never_longer_than_logs_are() {
        let mut message = message(&["export"]);
        let digest = Digest::of(b"printed");
        message.log_blob = Some(digest.into());
        assert_eq!(
            ActionResult::try_from(message.clone()),
            Err(MalformedResult::TwoLogs)
        );
        message.log.clear();
        let result = ActionResult::try_from(message.clone()).unwrap();
        assert_eq!(result.log, Log::Blob(digest));
        assert_eq!(result.blobs(), [Digest::of(b"export"), digest]);
        assert!(!result.made(&digest));
        assert_eq!(v1::ActionResult::from(&result), message);
        for size in [LONGEST_LOG + 1, u64::MAX] {
            let hash = digest.hash;
            message.log_blob = Some(Digest { hash, size }.into());
            assert_eq!(
                ActionResult::try_from(message.clone()),
                Err(MalformedResult::LongLog(size))
            );
        }
        message.log_blob = Some(v1::Digest {
            hash: vec![1; 5],
            size: 7,
        });
        assert!(matches!(
            ActionResult::try_from(message),
            Err(MalformedResult::Log(_))
        ));
    }

    #[test]
    fn a_message_round_trips() {
        let message = message(&["export", "object", "binary"]);
        let result = ActionResult::try_from(message.clone()).unwrap();
        assert_eq!(v1::ActionResult::from(&result), message);
        assert_eq!(result.output("object"), Some(Digest::of(b"object")));
        assert_eq!(result.output("none"), None);
    }

    /// Compared with each other they would take minutes.
    #[test]
    fn a_result_may_have_many_outputs() {
        let names: Vec<String> = (0..200_000).map(|number| format!("{number:08}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let read = ActionResult::try_from(message(&names)).unwrap();
        assert_eq!(read.outputs.len(), names.len());
    }

    #[test]
    fn malformed_messages_are_refused() {
        let mut short = message(&["export"]);
        short.outputs[0].digest = Some(v1::Digest {
            hash: vec![0; 31],
            size: 1,
        });
        assert!(matches!(
            ActionResult::try_from(short),
            Err(MalformedResult::Digest(..))
        ));
        let mut none = message(&["export"]);
        none.outputs[0].digest = None;
        assert_eq!(
            ActionResult::try_from(none),
            Err(MalformedResult::NoDigest("export".into()))
        );
        assert_eq!(
            ActionResult::try_from(message(&["export", "export"])),
            Err(MalformedResult::Twice("export".into()))
        );
    }
}

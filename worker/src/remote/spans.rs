//! What a lease went through, as spans below those of its action.
//!
//! - `fetch`: inputs came from the farm. Not there when all of them were in the local cache.
//! - `stage`: the action's tree was made of them, up to the start of its tools.
//! - `run`: its tools ran, or whatever became of it.
//! - `upload`: its outputs went to the farm, before the result was told.
//!
//! Between `fetch` and `stage` an action may wait for a slot, and between `run` and `upload` its outputs are hashed.

use std::time::{Duration, SystemTime};

use gofarm_daemon::{Span, now};
use gofarm_proto::Digest;

use super::held::Traced;
use super::report::UploadTrouble;
use super::shared::Shared;
use crate::error::{ExecuteError, Result};
use crate::leasing::LeaseToken;
use crate::task::Execution;

impl Shared {
    /// Inputs were looked for, and there or brought.
    pub fn fetched(&self, token: LeaseToken, begun: SystemTime, fetched: &Result<bool>) {
        let Some(traced) = self.held.ready(token, now()) else {
            return;
        };
        let span = self.below(traced, token, "fetch", begun, now());
        match fetched {
            Ok(false) => {}
            Ok(true) => self.options.spans.record(span),
            Err(error) => self.options.spans.record(span.failed(error.to_string())),
        }
    }

    /// An action has come to its end.
    pub fn ran(&self, token: LeaseToken, execution: &Execution) {
        let Some(traced) = self.held.traced(token) else {
            return;
        };
        let usage = execution.result.usage.unwrap_or_default();
        let before = |time: SystemTime, span| time.checked_sub(span).unwrap_or(time);
        let collected = now();
        let ended = before(collected, Duration::from_micros(usage.collect_us));
        let started = before(ended, Duration::from_millis(usage.wall_ms));
        let staged = before(started, Duration::from_micros(usage.stage_us));
        // Parts of milliseconds that the measure of the tools leaves out.
        let staged = staged.max(traced.ready);
        let started = started.max(staged);
        let stage = self.below(traced, token, "stage", staged, started);
        self.options.spans.record(stage);
        let run = self
            .below(traced, token, "run", started, ended)
            .with("gofarm.exit_code", i64::from(execution.result.exit_code))
            .with("gofarm.user_ms", number(usage.user_ms))
            .with("gofarm.system_ms", number(usage.system_ms))
            .with("gofarm.peak_memory", number(usage.peak_memory));
        self.options.spans.record(match execution.succeeded() {
            true => run,
            false => run.failed(format!("exit status {}", execution.result.exit_code)),
        });
    }

    /// An action did not come to its end.
    pub fn broke_off(&self, token: LeaseToken, error: &ExecuteError) {
        if let Some(traced) = self.held.traced(token) {
            let run = self.below(traced, token, "run", traced.ready, now());
            self.options.spans.record(run.failed(error.to_string()));
        }
    }

    /// Outputs are in the farm's store, or could not be brought there.
    pub fn uploaded(
        &self,
        token: LeaseToken,
        begun: SystemTime,
        outputs: &[Digest],
        uploaded: &std::result::Result<(), UploadTrouble>,
    ) {
        let Some(traced) = self.held.traced(token).filter(|_| !outputs.is_empty()) else {
            return;
        };
        let bytes: u64 = outputs.iter().map(|digest| digest.size).sum();
        let upload = self
            .below(traced, token, "upload", begun, now())
            .with("gofarm.outputs", number(outputs.len() as u64))
            .with("gofarm.output_bytes", number(bytes));
        self.options.spans.record(match uploaded {
            Ok(()) => upload,
            Err(trouble) => upload.failed(trouble.reason()),
        });
    }

    fn below(
        &self,
        traced: Traced,
        token: LeaseToken,
        name: &'static str,
        begun: SystemTime,
        ended: SystemTime,
    ) -> Span {
        Span::below(traced.parent, name, begun, ended)
            .with("gofarm.worker", self.options.worker.clone())
            .with("gofarm.attempt", i64::from(traced.attempt))
            .with("gofarm.lease", token.to_string())
    }
}

/// Attributes have no unsigned numbers.
fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

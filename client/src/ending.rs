//! How a command ends: its exit code, and what the user reads of an error.

use std::sync::Arc;

use gofarm_engine::core::{BuildResult, BuildSummary, Failure};
use gofarm_plan::PlanError;
use gofarm_rpc::{BlobError, RpcError};
use gofarm_store::StoreError;
use gofarm_worker::{ExecuteError, with_causes};

use crate::cli::{ExitCode, UsageError};
use crate::report::NoTerminal;

/// What the user reads below the line with the place of a panic.
pub const PANICKED: &str = "gofarm: this is a defect of gofarm; please report the lines above, with RUST_BACKTRACE=1 set if it happens again";

/// The worst of what failed decides.
pub fn exit_code(summary: &BuildSummary, failures: &[Arc<Failure>]) -> ExitCode {
    match summary.result {
        BuildResult::Succeeded => return ExitCode::Success,
        BuildResult::Cancelled => return ExitCode::Interrupted,
        BuildResult::Failed => {}
    }
    failures
        .iter()
        .map(|failure| failure.class())
        .max()
        .map_or(ExitCode::BuildFailed, ExitCode::from)
}

/// The exit code of an error, and what the user reads.
pub fn explain(error: &anyhow::Error) -> (ExitCode, String) {
    if let Some(usage) = error.downcast_ref::<UsageError>() {
        return (usage.exit_code(), usage.to_string());
    }
    if let Some(display) = error.downcast_ref::<NoTerminal>() {
        return (ExitCode::Usage, format!("gofarm: {display}"));
    }
    if let Some(plan) = error.downcast_ref::<PlanError>() {
        let code = match (plan, plan.class()) {
            // Settings with which no go command works.
            (PlanError::Unsupported { .. } | PlanError::Go { exit_code: 2, .. }, _) => {
                ExitCode::Usage
            }
            (_, gofarm_store::ErrorClass::User) => ExitCode::BuildFailed,
            (_, gofarm_store::ErrorClass::Environment) => ExitCode::Environment,
            (_, gofarm_store::ErrorClass::Bug) => ExitCode::Defect,
        };
        let text = match plan {
            // cmd/go's own words, as go build prints them.
            PlanError::Go { text, .. } => text.clone(),
            PlanError::NoRoom { .. } | PlanError::NoWorkFolder { .. } => plan.to_string(),
            other => format!("gofarm: {other}"),
        };
        return (code, text);
    }
    let class = error.chain().find_map(|cause| {
        if let Some(farm) = cause.downcast_ref::<RpcError>() {
            return Some(class_of(farm));
        }
        if let Some(BlobError::Rpc(farm)) = cause.downcast_ref::<BlobError>() {
            return Some(class_of(farm));
        }
        if let Some(store) = cause.downcast_ref::<StoreError>() {
            return Some(store.class());
        }
        cause
            .downcast_ref::<ExecuteError>()
            .map(|error| match error.class() {
                gofarm_worker::ErrorClass::User => gofarm_store::ErrorClass::User,
                gofarm_worker::ErrorClass::Environment => gofarm_store::ErrorClass::Environment,
                gofarm_worker::ErrorClass::Bug => gofarm_store::ErrorClass::Bug,
            })
    });
    let code = match class {
        Some(gofarm_store::ErrorClass::Bug) => ExitCode::Defect,
        Some(gofarm_store::ErrorClass::User) if is_setting(error) => ExitCode::Usage,
        _ if error.to_string().starts_with("internal error") => ExitCode::Defect,
        _ => ExitCode::Environment,
    };
    (code, format!("gofarm: {}", with_causes(error.as_ref())))
}

fn class_of(error: &RpcError) -> gofarm_store::ErrorClass {
    match error {
        // What a farm asks of those who use it is not a matter of the command line alone.
        RpcError::Token { .. } => gofarm_store::ErrorClass::Environment,
        error => error.class(),
    }
}

/// Whether the farm's address, token or certificates were written wrong.
fn is_setting(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.is::<RpcError>())
}

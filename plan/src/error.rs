//! What can go wrong while planning, sorted by whose trouble it is.

use gofarm_identity::c_toolchain::CToolchainError;

use crate::dryrun::script::ScriptError;

/// A failure to plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// No `go` command where it was looked for.
    #[error(
        "cannot run {program:?}: {source}; install Go 1.24 or later, or put its bin folder on PATH"
    )]
    NoGo {
        /// What was to be run.
        program: String,
        /// Why it could not be.
        source: std::io::Error,
    },
    /// A release whose dry run the planner has not been proved on.
    #[error(
        "{version} is not supported: gofarm plans with Go 1.24 or later (set GOTOOLCHAIN, or put a newer go on PATH)"
    )]
    UnsupportedGo {
        /// As `go env GOVERSION` has it.
        version: String,
    },
    /// cmd/go itself refused: the text is what `go build` would have printed.
    #[error("{text}")]
    Go {
        /// cmd/go's own words.
        text: String,
        /// cmd/go's exit code.
        exit_code: i32,
    },
    /// The dry run has a line that the planner does not know.
    #[error("{0}; this is a defect of gofarm: please report it with the line above")]
    Script(#[from] ScriptError),
    /// The dry run contradicts itself.
    #[error("the dry run is not understood: {0}; this is a defect of gofarm: please report it")]
    Inconsistent(String),
    /// Something that `go build` can do and gofarm cannot yet.
    #[error("{what} is not supported yet: {why}")]
    Unsupported {
        /// By name: a flag, an environment variable, a kind of package.
        what: String,
        /// The reason, and what to do instead.
        why: String,
    },
    /// A program that the planner asks for facts (a C compiler, pkg-config) failed.
    #[error("{program} failed: {detail}")]
    Tool {
        /// The command line.
        program: String,
        /// Its output, or why it did not start.
        detail: String,
    },
    /// A file that the build needs cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// The path.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] gofarm_store::StoreError),
}

impl From<CToolchainError> for PlanError {
    fn from(error: CToolchainError) -> PlanError {
        match error {
            CToolchainError::NotFound { program } => PlanError::Tool {
                program,
                detail: "not found on PATH; install a C compiler, or set CGO_ENABLED=0".to_owned(),
            },
            CToolchainError::Run { program, source } => PlanError::Tool {
                program,
                detail: source.to_string(),
            },
            CToolchainError::File { path, source } => PlanError::File {
                path: path.display().to_string(),
                source,
            },
            error @ CToolchainError::TooMany { .. } => PlanError::Tool {
                program: "listing the C compiler's header folders".to_owned(),
                detail: error.to_string(),
            },
        }
    }
}

/// Whose trouble an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The user's code, flags or request.
    User,
    /// The machine: no Go, no compiler, no space.
    Environment,
    /// A defect of gofarm.
    Bug,
}

impl PlanError {
    /// Decides the exit code.
    pub fn class(&self) -> Class {
        match self {
            PlanError::Go { .. } | PlanError::Unsupported { .. } => Class::User,
            PlanError::NoGo { .. }
            | PlanError::UnsupportedGo { .. }
            | PlanError::Tool { .. }
            | PlanError::Store(_)
            | PlanError::File { .. } => Class::Environment,
            PlanError::Script(_) | PlanError::Inconsistent(_) => Class::Bug,
        }
    }
}

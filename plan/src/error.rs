//! What can go wrong while planning, sorted by whose trouble it is.

use gofarm_identity::c_toolchain::CToolchainError;
use gofarm_store::ErrorClass;

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
    /// A part of a C compiler cannot be read, or is no program.
    #[error(
        "cannot read {path}, which CC, CXX or FC names as a compiler, or which one uses: {source}; name a compiler that is there, or set CGO_ENABLED=0"
    )]
    Compiler {
        /// The path.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// There can be no temporary folder.
    #[error(
        "cannot make a temporary folder in {folder}: {source}; make room there, or name another folder with TMPDIR"
    )]
    Temporary {
        /// Where.
        folder: String,
        /// Why.
        source: std::io::Error,
    },
    /// cmd/go found no room for a file of its own.
    #[error(
        "{text}\ngofarm: a disk is full: make room on it, or name another folder for temporary files with TMPDIR, or for Go's own caches with GOCACHE and GOMODCACHE"
    )]
    NoRoom {
        /// cmd/go's own words.
        text: String,
    },
    /// cmd/go could make no folder for its own work.
    #[error(
        "{text}\ngofarm: go has no folder for temporary files: name one that is there and can be written to with TMPDIR, or with GOTMPDIR where that is set"
    )]
    NoWorkFolder {
        /// cmd/go's own words.
        text: String,
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
            CToolchainError::File { path, source } => PlanError::Compiler {
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

impl PlanError {
    /// What cmd/go has to say: about what it was asked for, or about the machine. A disk without room is told in the words of Go's
    /// syscall package, a folder for its work in those of `NewBuilder` in cmd/go/internal/work/action.go.
    pub(crate) fn said_by_go(text: String, exit_code: i32) -> PlanError {
        const FULL: [&str; 2] = ["no space left on device", "disk quota exceeded"];
        let own = || text.lines().filter_map(|line| line.strip_prefix("go: "));
        if own().any(|line| FULL.iter().any(|end| line.ends_with(end))) {
            return PlanError::NoRoom { text };
        }
        if own().any(|line| line.starts_with("creating work dir: ")) {
            return PlanError::NoWorkFolder { text };
        }
        PlanError::Go { text, exit_code }
    }

    /// Decides the exit code.
    pub fn class(&self) -> ErrorClass {
        match self {
            PlanError::Go { .. } | PlanError::Unsupported { .. } => ErrorClass::User,
            PlanError::NoGo { .. }
            | PlanError::UnsupportedGo { .. }
            | PlanError::Tool { .. }
            | PlanError::Store(_)
            | PlanError::Compiler { .. }
            | PlanError::Temporary { .. }
            | PlanError::NoRoom { .. }
            | PlanError::NoWorkFolder { .. }
            | PlanError::File { .. } => ErrorClass::Environment,
            PlanError::Script(_) | PlanError::Inconsistent(_) => ErrorClass::Bug,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_or_a_folder_that_go_complains_of_is_the_machines_trouble() {
        let class = |text: &str| PlanError::said_by_go(text.to_owned(), 1).class();
        let full = "go: writing action graph: write /tmp/graph.json: no space left on device";
        assert_eq!(class(full), ErrorClass::Environment);
        assert_eq!(class(&format!("go: note\n{full}")), ErrorClass::Environment);
        for other in [
            "go: no such thing",
            "main.go:1:2: no space left on device",
            "",
        ] {
            assert_eq!(class(other), ErrorClass::User, "{other}");
        }
        let text = PlanError::said_by_go(full.to_owned(), 1).to_string();
        assert!(text.starts_with(full) && text.contains("TMPDIR"), "{text}");
    }
}

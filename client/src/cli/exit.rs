//! What the exit code of `gofarm` says.

use gofarm_engine::core::FailureClass;

/// The exit codes. They are part of the interface: scripts rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ExitCode {
    /// Everything that was asked for is there.
    Success = 0,
    /// The user's code does not build, or `gofarm verify` found a difference.
    BuildFailed = 1,
    /// The command line, a variable or GOFLAGS cannot be understood or asks for what is not supported.
    Usage = 2,
    /// The machine or the farm: no `go`, no C compiler, a full disk, a read-only cache folder, a sandbox that is required
    /// and cannot be had.
    Environment = 3,
    /// A defect of gofarm.
    Defect = 4,
    /// `--timeout` ran out. As timeout(1) has it.
    TimedOut = 124,
    /// Ctrl-C or SIGTERM. As shells have it for SIGINT: 128 + 2.
    Interrupted = 130,
}

impl ExitCode {
    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<FailureClass> for ExitCode {
    fn from(class: FailureClass) -> ExitCode {
        match class {
            FailureClass::User => ExitCode::BuildFailed,
            FailureClass::Environment => ExitCode::Environment,
            FailureClass::Bug => ExitCode::Defect,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> std::process::ExitCode {
        std::process::ExitCode::from(code.code())
    }
}

//! The fixed folders of an action (see *Virtual paths* in `action.proto`).

/// The exec root. Long and odd on purpose: it is replaced as text where no sandbox can mount it.
pub const EXEC_ROOT: &str = "/__gofarm__";

/// Scratch folder and outputs of an action: cmd/go's `$WORK/bNNN`.
pub const WORK_DIR: &str = "/__gofarm__/w";

/// Outputs of other actions.
pub const IN_DIR: &str = "/__gofarm__/in";

//! The C toolchain of the machine that plans. What its identity is made of stands in
//! [`gofarm_identity::c_toolchain`]; a worker that can run the actions says the same of itself.

use gofarm_identity::c_toolchain;
pub(crate) use gofarm_identity::c_toolchain::{CToolchain, joined, joined_names};

use crate::error::PlanError;
use crate::gocmd::GoCommand;

/// Identifies the compiler of a command line such as `gcc` or `ccache clang -m64`.
pub(crate) fn identify(go: &GoCommand, compiler: &[String]) -> Result<CToolchain, PlanError> {
    let run = |argv: &[String]| {
        let output = go.ask_tool(argv, &go.cwd)?;
        Ok((output.stdout, output.stderr))
    };
    c_toolchain::identify(compiler, &go.var("PATH"), &run).map_err(PlanError::from)
}

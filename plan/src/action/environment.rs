//! The environment of an action's processes.
//!
//! cmd/go puts all of `go env` into the environment of the tools that it starts (cmd/go/main.go). An action
//! carries only what the tools read, so that nothing of the user's session gets into a key.

use std::path::PathBuf;

use gofarm_identity::c_toolchain::PLACES;
use gofarm_proto::{WORK_DIR, v1};

use crate::error::PlanError;
use crate::gocmd::{GoCommand, GoEnv};
use crate::roots::Roots;

/// What internal/buildcfg reads.
const TARGET: [&str; 13] = [
    "GO386",
    "GOAMD64",
    "GOARCH",
    "GOARM",
    "GOARM64",
    "GOEXPERIMENT",
    "GOMIPS",
    "GOMIPS64",
    "GOOS",
    "GOPPC64",
    "GORISCV64",
    "GOWASM",
    "GOFIPS140",
];

/// What C compilers and linkers read beside their arguments, and what does not name a place of this machine.
pub(crate) const COMPILER: [&str; 2] = ["LD_RUN_PATH", "SOURCE_DATE_EPOCH"];

/// Refuses variables that name folders of this machine for the C compiler.
pub(crate) fn refuse_places(go: &GoCommand) -> Result<(), PlanError> {
    match PLACES.iter().find(|name| !go.var(name).is_empty()) {
        Some(name) => Err(PlanError::Unsupported {
            what: format!("the environment variable {name} together with cgo"),
            why: "it leads the C compiler to files that no action declares; unset it, and name folders of the module in \
                  #cgo CFLAGS, or install headers and libraries in folders of the system"
                .to_owned(),
        }),
        None => Ok(()),
    }
}

/// The environment of actions that run only the tools of GOROOT.
pub(crate) fn of_go_tools(env: &GoEnv, go: &GoCommand, roots: &Roots) -> Vec<v1::EnvVar> {
    let mut vars: Vec<(String, String)> = TARGET
        .iter()
        .map(|name| ((*name).to_owned(), env.get(name).to_owned()))
        .collect();
    vars.push((
        "GOROOT".to_owned(),
        roots.to_virtual(env.get("GOROOT")).unwrap_or_default(),
    ));
    vars.push((
        "GO_EXTLINK_ENABLED".to_owned(),
        go.var("GO_EXTLINK_ENABLED"),
    ));
    vars.push(("GODEBUG".to_owned(), go.var("GODEBUG")));
    vars.push(("TMPDIR".to_owned(), WORK_DIR.to_owned()));
    finish(vars)
}

/// The environment of actions that run C compilers too, found in these folders.
pub(crate) fn with_c_compiler(
    env: &GoEnv,
    go: &GoCommand,
    roots: &Roots,
    folders: &[PathBuf],
) -> Vec<v1::EnvVar> {
    let mut vars: Vec<(String, String)> = of_go_tools(env, go, roots)
        .into_iter()
        .map(|var| (var.name, var.value))
        .collect();
    for name in ["AR", "CC", "CXX", "FC"] {
        vars.push((name.to_owned(), env.get(name).to_owned()));
    }
    for name in COMPILER {
        vars.push((name.to_owned(), go.var(name)));
    }
    // Messages of C compilers then have the quotes that a user of UTF-8 sees; for others the client puts plain ones.
    vars.push(("LC_ALL".to_owned(), "C.UTF-8".to_owned()));
    let mut path: Vec<String> = Vec::new();
    for folder in folders
        .iter()
        .map(|folder| folder.to_string_lossy().into_owned())
        .chain(["/usr/local/bin", "/usr/bin", "/bin"].map(str::to_owned))
    {
        if !path.contains(&folder) {
            path.push(folder);
        }
    }
    vars.push(("PATH".to_owned(), path.join(":")));
    finish(vars)
}

fn finish(mut vars: Vec<(String, String)>) -> Vec<v1::EnvVar> {
    vars.retain(|(_, value)| !value.is_empty());
    vars.sort();
    vars.into_iter()
        .map(|(name, value)| v1::EnvVar { name, value })
        .collect()
}

//! The environment of an action's processes.
//!
//! cmd/go puts all of `go env` into the environment of the tools that it starts (cmd/go/main.go). An action
//! carries only what the tools read, so that nothing of the user's session gets into a key.

use std::path::PathBuf;

use gofarm_proto::{WORK_DIR, v1};

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

/// What C compilers read beside their arguments. Taken from the user's environment where set.
const COMPILER: [&str; 9] = [
    "COMPILER_PATH",
    "CPATH",
    "CPLUS_INCLUDE_PATH",
    "C_INCLUDE_PATH",
    "GCC_EXEC_PREFIX",
    "LIBRARY_PATH",
    "OBJC_INCLUDE_PATH",
    "SDKROOT",
    "SOURCE_DATE_EPOCH",
];

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

//! Where an input may be shown besides its own path, and where it may not.

use std::path::Path;

use gofarm_proto::EXEC_ROOT;

/// Where by-reference inputs are seen in a sandbox. Not below the exec root, where a tool might find it by listing folders.
pub(crate) const STORE_IN_SANDBOX: &str = "/__gofarm_cas__";

/// The system's own folders, shown to actions with `host_tools`.
pub(crate) const SYSTEM_FOLDERS: [&str; 8] = [
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc",
];

/// The rest of a path below the private `/tmp`.
pub(crate) fn below_tmp(path: &str) -> Option<&str> {
    path.strip_prefix("/tmp/")
}

/// Whether an input may be shown at this path: absolute, plain, and not in a folder that a sandbox has from elsewhere.
pub(crate) fn check_place(path: &str) -> Result<(), String> {
    let taken = SYSTEM_FOLDERS
        .into_iter()
        .chain([EXEC_ROOT, STORE_IN_SANDBOX, "/dev", "/proc"]);
    let plain = path.strip_prefix('/').is_some_and(|rest| {
        !path.contains('\0') && rest.split('/').all(|name| !matches!(name, "" | "." | ".."))
    });
    match plain
        && path != "/tmp"
        && !taken
            .into_iter()
            .any(|folder| Path::new(path).starts_with(folder))
    {
        true => Ok(()),
        false => Err(format!("{path:?} is no place for an input")),
    }
}

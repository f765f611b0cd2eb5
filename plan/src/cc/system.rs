//! What a C compiler finds on every machine of its kind, and no action declares.

use crate::roots::Roots;

/// Folders of the system, visible to actions with `host_tools`.
const SYSTEM: [&str; 8] = [
    "/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", "/dev", "/proc",
];

/// Whether an absolute path is the system's: its content is part of the C toolchain's identity, not of an action.
pub(crate) fn is_system(path: &str, roots: &Roots) -> bool {
    SYSTEM.iter().any(|folder| {
        path.strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }) && roots.to_virtual(path).is_none()
}

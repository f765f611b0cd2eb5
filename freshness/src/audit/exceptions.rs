//! What planning asks for and needs no fact, each with the reason.

use gofarm_observe::{Kind, Outcome};

use super::Asked;

/// Programs of a C toolchain. Their command lines are the planner's and cmd/go's probes, over sources of their own.
const C_TOOLCHAIN: [&str; 8] = [
    "gcc", "g++", "clang", "cc1", "cc1plus", "as", "ld", "collect2",
];

/// The reason why this needs no fact; `None` when it needs one.
pub fn reason(asked: &Asked) -> Option<&'static str> {
    let access = &asked.access;
    let path = access.lexical();
    let below = |folders: &[&str]| folders.iter().any(|folder| path.starts_with(folder));
    if matches!(access.kind, Kind::Change | Kind::OpenWrite) {
        // What is written is read by nobody but the writer, or was there before and was asked for then.
        return Some("written, not read");
    }
    if below(&["/proc", "/sys", "/dev"]) {
        return Some(
            "the state of the machine and of the process, which decides how fast a tool is and nothing else",
        );
    }
    if below(&["/etc/ld.so.cache", "/etc/ld.so.preload", "/lib64"])
        || path.extension().is_some_and(|extension| extension == "so")
        || file_name_contains(asked, ".so.")
    {
        return Some("how the system loads programs; a program is a fact by its own file");
    }
    if below(&[
        "/etc/localtime",
        "/usr/share/locale",
        "/usr/lib/locale",
        "/usr/share/zoneinfo",
    ]) || below(&[
        "/usr/lib/x86_64-linux-gnu/gconv",
        "/usr/lib/aarch64-linux-gnu/gconv",
    ]) {
        return Some("in which zone and language messages are");
    }
    if asked.program == "git" {
        return Some("git is asked again before a plan is used: its answers are the fact");
    }
    if asked.program == "sh" && access.kind == Kind::Execute {
        return Some("the interpreter of a script that is a fact itself");
    }
    if C_TOOLCHAIN.contains(&asked.program.as_str()) {
        return Some(
            "the C toolchain is a fact as a whole: its programs, header and library folders",
        );
    }
    if file_name_contains(asked, "__gofarm__") || access.path.starts_with("/__gofarm__") {
        return Some("a virtual path, which no machine has");
    }
    // cmd/go walks up to the root for the working folder itself (filepath.EvalSymlinks): a link there is another folder.
    if access.kind == (Kind::Look { follow: false })
        && access.outcome == Outcome::Found
        && path.parent().is_none()
    {
        return Some("the root folder");
    }
    None
}

fn file_name_contains(asked: &Asked, text: &str) -> bool {
    asked
        .access
        .path
        .file_name()
        .is_some_and(|name| name.to_string_lossy().contains(text))
}

//! The programs that make specimens and change them.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs a program to its end with this environment and no other; what it writes is told only if it fails.
pub(crate) fn run(
    program: &str,
    args: &[&str],
    folder: &Path,
    env: &[(String, String)],
) -> io::Result<()> {
    ask(program, args, folder, env).map(drop)
}

/// As [`run`]; what it writes to its standard output.
pub(crate) fn ask(
    program: &str,
    args: &[&str],
    folder: &Path,
    env: &[(String, String)],
) -> io::Result<String> {
    #[allow(clippy::disallowed_methods, reason = "the one wrapper of this crate")]
    let mut command = Command::new(program);
    let output = command
        .args(args)
        .current_dir(folder)
        .env_clear()
        .envs(env.iter().map(|(name, value)| (name, value)))
        .env("PWD", folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| io::Error::other(format!("{program}: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(io::Error::other(format!(
        "{program} {} in {}: {}: {}{}",
        args.join(" "),
        folder.display(),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )))
}

/// The same commits at every time on every machine.
pub(crate) fn git_env(env: &[(String, String)]) -> Vec<(String, String)> {
    let mut env = env.to_vec();
    for (name, value) in [
        ("GIT_AUTHOR_NAME", "a"),
        ("GIT_AUTHOR_EMAIL", "a@example.com"),
        ("GIT_AUTHOR_DATE", "2024-01-02T03:04:05Z"),
        ("GIT_COMMITTER_NAME", "a"),
        ("GIT_COMMITTER_EMAIL", "a@example.com"),
        ("GIT_COMMITTER_DATE", "2024-01-02T03:04:05Z"),
    ] {
        env.push((name.to_owned(), value.to_owned()));
    }
    env
}

/// The program of this name that comes first on the PATH of this process.
///
/// # Errors
/// There is none.
pub fn on_path(name: &str) -> io::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .ok_or_else(|| io::Error::other(format!("no {name} on PATH")))
}

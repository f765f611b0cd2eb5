//! The two builders as processes.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use gofarm_specimens::Written;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// A build that takes longer waits for something that will not happen, such as a writer of a pipe.
const LIMIT: Duration = Duration::from_secs(120);

/// How a build ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// `None` when it was killed after [`LIMIT`].
    pub code: Option<i32>,
    pub stderr: String,
}

/// Runs a program in the specimen's folder and environment, with some variables more.
pub(super) fn run(
    program: &Path,
    args: &[String],
    written: &Written,
    env: &[(&str, &Path)],
) -> io::Result<Ended> {
    let stderr = written.root.join("tmp/stderr");
    #[allow(clippy::disallowed_methods, reason = "the one wrapper of this crate")]
    let mut command = Command::new(program);
    let mut child = command
        .args(args)
        .current_dir(&written.folder)
        .env_clear()
        .envs(written.env.iter().map(|(name, value)| (name, value)))
        .envs(env.iter().map(|(name, value)| (name, value)))
        .env("PWD", &written.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&stderr)?)
        .process_group(0)
        .spawn()
        .map_err(|error| io::Error::other(format!("{}: {error}", program.display())))?;
    let begun = Instant::now();
    let code = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status.code().unwrap_or(-1));
        }
        if begun.elapsed() > LIMIT {
            let _ = killpg(Pid::from_raw(child.id() as i32), Signal::SIGKILL);
            child.wait()?;
            break None;
        }
        thread::sleep(Duration::from_millis(3));
    };
    Ok(Ended {
        code,
        stderr: String::from_utf8_lossy(&fs::read(&stderr)?).into_owned(),
    })
}

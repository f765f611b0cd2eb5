//! The two builders as processes.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use gofarm_specimens::{Written, on_path};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// A build that takes longer waits for something that will not happen, such as a writer of a pipe.
const LIMIT: Duration = Duration::from_secs(120);

/// How a build ended.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    /// `None` when it was killed after [`LIMIT`].
    pub code: Option<i32>,
    pub stderr: String,
}

/// Where gofarm keeps what it caches, and the GOCACHE of its dry runs.
pub(super) fn env_of_gofarm<'a>(
    cache: &'a Path,
    planning: &'a Path,
) -> [(&'static str, &'a Path); 3] {
    [
        ("GOCACHE", planning),
        ("GOFARM_CACHE_DIR", cache),
        ("GOFARM_PROGRESS", Path::new("none")),
    ]
}

/// Runs a program in the specimen's folder and environment, with some variables more. `name` is of its own among the programs that run
/// at the same time.
pub(super) fn run(
    program: &Path,
    args: &[String],
    written: &Written,
    env: &[(&str, &Path)],
    name: &str,
) -> io::Result<Ended> {
    let stderr = written.root.join(format!("tmp/{name}.stderr"));
    let mut words: Vec<OsString> = Vec::new();
    if !written.read_only.is_empty() {
        words.extend(with_read_only(written)?);
    }
    words.push(program.into());
    words.extend(args.iter().map(OsString::from));
    #[allow(clippy::disallowed_methods, reason = "the one wrapper of this crate")]
    let mut command = Command::new(&words[0]);
    let mut child = command
        .args(&words[1..])
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
    let stderr = String::from_utf8_lossy(&fs::read(&stderr)?).into_owned();
    if code == Some(NOT_MOUNTED) {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("this machine does not allow mounts: {stderr}"),
        ));
    }
    Ok(Ended { code, stderr })
}

/// No builder ends with this.
const NOT_MOUNTED: i32 = 125;

/// What runs the words behind it where some folders are a read-only file system: modes say nothing to root.
fn with_read_only(written: &Written) -> io::Result<Vec<OsString>> {
    const SCRIPT: &str = "while [ \"$1\" != -- ]; do
        \"$0\" --bind \"$1\" \"$1\" && \"$0\" -o remount,bind,ro \"$1\" || exit 125
        shift
    done
    shift
    exec \"$@\"";
    // As root it needs no other user, which would change who owns what.
    let kind = match nix::unistd::geteuid().is_root() {
        true => "-m",
        false => "-rm",
    };
    let mut words: Vec<OsString> = vec![on_path("unshare")?.into(), kind.into()];
    words.extend([on_path("sh")?.into(), "-c".into(), SCRIPT.into()]);
    // Its name is the program that mounts: the specimen's PATH may have none.
    words.push(on_path("mount")?.into());
    let folders = written.read_only.iter();
    let folders = folders.map(|folder| written.root.join(folder));
    // What has gone meanwhile cannot be mounted.
    words.extend(folders.filter(|folder| folder.is_dir()).map(OsString::from));
    words.push("--".into());
    Ok(words)
}

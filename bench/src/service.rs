//! Programs that run beside what is measured, and never longer.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use anyhow::{Context, bail};

use crate::process::Process;

/// Of its log, what an error shows.
const LAST_WORDS: usize = 2000;

/// A program in the background. Killed when dropped; what it has started itself ends with it.
#[derive(Debug)]
pub struct Service {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Service {
    /// Starts a command whose output goes to `log`. It is in a group of its own: Ctrl-C in a terminal is for the
    /// benchmark, which ends its services when it has no more use for them.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(name: &'static str, command: &Process, log: PathBuf) -> anyhow::Result<Service> {
        let file = File::create(&log).with_context(|| format!("making {}", log.display()))?;
        let again = file.try_clone().context("opening a log twice")?;
        let child = command
            .command()
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(again)
            .spawn()
            .with_context(|| format!("cannot run {}", command.program.display()))?;
        Ok(Service { name, child, log })
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// # Errors
    /// It has ended, and this is what it said.
    pub fn check(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait().context("watching a service")? {
            bail!("{} ended with {status}:\n{}", self.name, self.last_words());
        }
        Ok(())
    }

    /// The end of its log.
    pub fn last_words(&self) -> String {
        let said = fs::read(&self.log).unwrap_or_default();
        let from = said.len().saturating_sub(LAST_WORDS);
        String::from_utf8_lossy(&said[from..]).into_owned()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port of the loopback interface that nothing listens on.
///
/// # Errors
/// There is none.
pub fn free_port() -> anyhow::Result<u16> {
    let listener =
        TcpListener::bind(("127.0.0.1", 0)).context("looking for a free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_service_ends_when_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let sleep = Process::new("sleep", folder.path()).args(["1000"]);
        let mut service = Service::start("sleep", &sleep, folder.path().join("log")).unwrap();
        service.check().unwrap();
        let process = format!("/proc/{}", service.id());
        assert!(!cfg!(target_os = "linux") || Path::new(&process).exists());
        drop(service);
        assert!(!Path::new(&process).exists());
    }

    #[test]
    fn a_service_that_ended_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let fails = Process::new("sh", folder.path()).args(["-c", "echo no such luck >&2; exit 3"]);
        let mut service = Service::start("luck", &fails, folder.path().join("log")).unwrap();
        let error = loop {
            if let Err(error) = service.check() {
                break error.to_string();
            }
        };
        assert!(error.starts_with("luck ended with"), "{error}");
        assert!(error.ends_with("no such luck\n"), "{error}");
    }
}

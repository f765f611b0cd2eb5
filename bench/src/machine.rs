//! What the figures were measured on.

use std::fmt;

use serde::Serialize;

use crate::goroot;
use crate::options::Options;

/// The machine, the toolchain and the command that is measured.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// CPUs that this process may use.
    pub cpus: usize,
    /// `go1.27.3`.
    pub go: String,
    /// Its release, as uname has it.
    pub kernel: String,
    /// GOOS/GOARCH-like.
    pub platform: String,
    /// How busy it was before the first measurement: runnable processes, averaged over a minute.
    pub load: String,
    /// What is built.
    pub packages: Vec<String>,
}

impl Machine {
    /// Looks at this machine.
    ///
    /// # Errors
    /// The go command does not run.
    pub fn of_this(options: &Options) -> anyhow::Result<Machine> {
        let go = goroot::GoInstall::find(&options.go)?;
        let proc = |path: &str| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let word = text.split_whitespace().next().unwrap_or("unknown");
            word.to_owned()
        };
        Ok(Machine {
            cpus: std::thread::available_parallelism()?.get(),
            go: go.version,
            kernel: proc("/proc/sys/kernel/osrelease"),
            platform: format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
            load: proc("/proc/loadavg"),
            packages: options
                .packages()
                .iter()
                .map(|name| (*name).to_owned())
                .collect(),
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} CPUs, {}, {}, kernel {}, load {} before; building {}",
            self.cpus,
            self.go,
            self.platform,
            self.kernel,
            self.load,
            self.packages.join(" ")
        )
    }
}

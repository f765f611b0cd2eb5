//! The services of the compose file as processes of this machine, with the same arguments and environment.
//!
//! Only what containers give is put in its place: names of services and published ports become free ports of the loopback
//! interface, volumes and secrets become folders and files below one folder, `tini` (which has nothing to do where it is
//! not the first process) is left out, and Redis is told its port, address and folder, which its image sets.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use gofarm_testkit::built;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::compose::words;
use crate::dockerfile;
use crate::process::{command, run};

/// The PATH of Debian's images. Go is installed elsewhere.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What has not happened by then does not happen.
const LIMIT: Duration = Duration::from_secs(60);

/// A folder and ports in place of containers and networks.
pub struct Place {
    folder: PathBuf,
    /// By the port inside of a container.
    ports: BTreeMap<u16, u16>,
}

impl Place {
    pub fn new(folder: &Path, token: &str) -> Place {
        fs::create_dir_all(folder.join("secrets")).unwrap();
        fs::write(folder.join("secrets/gofarm_token"), token).unwrap();
        let free = |port| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            (port, listener.local_addr().unwrap().port())
        };
        Place {
            folder: folder.to_owned(),
            ports: [6379, 8980, 8981].map(free).into(),
        }
    }

    pub fn port(&self, inside: u16) -> u16 {
        self.ports[&inside]
    }

    fn translate(&self, text: &str, service: &Value) -> String {
        let mut text = text.to_owned();
        for (inside, outside) in &self.ports {
            for host in ["redis", "scheduler", "0.0.0.0", "127.0.0.1"] {
                text = text.replace(&format!("{host}:{inside}"), &format!("127.0.0.1:{outside}"));
            }
        }
        for mount in service["volumes"].as_array().into_iter().flatten() {
            let volume = self.volume(mount);
            text = text.replace(mount["target"].as_str().unwrap(), volume.to_str().unwrap());
        }
        let secrets = self.folder.join("secrets");
        text.replace("/run/secrets", secrets.to_str().unwrap())
    }

    fn volume(&self, mount: &Value) -> PathBuf {
        let folder = self
            .folder
            .join("volumes")
            .join(mount["source"].as_str().unwrap());
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Starts a service of the file.
    pub fn start(&self, name: &str, service: &Value) -> Service {
        let args = words(&service["command"]);
        let args = args.iter().map(|arg| self.translate(arg, service));
        let (program, args): (PathBuf, Vec<String>) = match service["build"]["target"].as_str() {
            Some(target) => {
                let entry = dockerfile::read().stages[target].words("ENTRYPOINT");
                let program = entry
                    .iter()
                    .skip_while(|word| *word != "--")
                    .nth(1)
                    .unwrap();
                (built(program), args.collect())
            }
            None => {
                let mut args = args;
                let program = args.next().unwrap().into();
                let data = self.volume(&service["volumes"][0]);
                let more = [
                    "--port",
                    &self.port(6379).to_string(),
                    "--bind",
                    "127.0.0.1",
                    "--dir",
                ]
                .map(str::to_owned);
                (
                    program,
                    args.chain(more)
                        .chain([data.to_str().unwrap().to_owned()])
                        .collect(),
                )
            }
        };
        let home = self.folder.join("homes").join(name);
        fs::create_dir_all(&home).unwrap();
        let log = self.folder.join(format!("{name}.log"));
        let file = File::create(&log).unwrap();
        let mut start = command(&program);
        start
            .args(&args)
            .env_clear()
            .env("PATH", PATH)
            .current_dir(&home);
        for (variable, value) in service["environment"].as_object().into_iter().flatten() {
            start.env(variable, self.translate(value.as_str().unwrap(), service));
        }
        start.stdout(file.try_clone().unwrap()).stderr(file);
        let child = start
            .spawn()
            .unwrap_or_else(|error| panic!("{start:?}: {error}"));
        let test = words(&service["healthcheck"]["test"]);
        Service {
            name: name.to_owned(),
            child: Some(child),
            log,
            test: test
                .iter()
                .map(|word| self.translate(word, service))
                .collect(),
            redis: self.port(6379),
        }
    }
}

/// A running service. Killed when it is dropped.
pub struct Service {
    name: String,
    child: Option<Child>,
    log: PathBuf,
    test: Vec<String>,
    redis: u16,
}

impl Service {
    /// Waits until the health check of the file is content.
    pub fn wait_healthy(&mut self) {
        let begun = Instant::now();
        loop {
            let said = self.check();
            let Err(said) = said else { return };
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "{} ended: {ended:?}", self.name);
            assert!(
                begun.elapsed() < LIMIT,
                "{} is not healthy: {said}",
                self.name
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn check(&self) -> Result<(), String> {
        let (kind, rest) = self.test.split_first().unwrap();
        let check = match kind.as_str() {
            "CMD" => {
                let mut check = command(Path::new(&rest[0]));
                if rest[0] == "redis-cli" {
                    // Inside of the container it is the usual one.
                    check.args(["-p", &self.redis.to_string()]);
                }
                check.args(&rest[1..]);
                check
            }
            "CMD-SHELL" => {
                let mut check = command(Path::new("/bin/sh"));
                check.arg("-c").args(rest);
                check
            }
            other => panic!("{}: no check is called {other}", self.name),
        };
        let ended = run(check);
        if ended.ok { Ok(()) } else { Err(ended.all) }
    }

    pub fn pid(&self) -> Pid {
        let id = self.child.as_ref().unwrap().id();
        Pid::from_raw(id.try_into().unwrap())
    }

    /// Asks it to end as Compose does, and waits until it has.
    pub fn stop(&mut self) -> ExitStatus {
        kill(self.pid(), Signal::SIGTERM).unwrap();
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                self.child = None;
                return status;
            }
            assert!(begun.elapsed() < LIMIT, "{} does not end", self.name);
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(40)..].join("\n");
            eprintln!("----- {} -----\n{last}", self.name);
        }
    }
}

//! A whole farm on this machine: one scheduler, Redis, one worker.

use std::ffi::OsString;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::cpu;
use crate::process::{Process, check_stopped};
use crate::service::{Service, free_port};

/// Actions that the worker runs at once.
pub const SLOTS: usize = 2;

/// How long a service may take to answer. Generous: a busy machine is no failure.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

/// What speaks Redis's protocol.
const REDIS: [&str; 2] = ["redis-server", "valkey-server"];

/// The programs that a farm consists of.
#[derive(Debug, Clone)]
pub struct FarmPrograms {
    redis: PathBuf,
    scheduler: PathBuf,
    worker: PathBuf,
    gofarm: PathBuf,
}

impl FarmPrograms {
    /// Redis of PATH, and the others beside the gofarm command.
    ///
    /// # Errors
    /// One is not there.
    pub fn find(gofarm: &Path) -> anyhow::Result<FarmPrograms> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let redis = std::env::split_paths(&path)
            .flat_map(|folder| REDIS.map(|name| folder.join(name)))
            .find(|program| program.is_file());
        let redis = redis.context(
            "the case farm needs redis-server or valkey-server on PATH: install it (Debian: apt-get install \
             redis-server), or leave the case out with --case",
        )?;
        let beside = |name: &str| {
            let program = gofarm.with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX));
            if !program.is_file() {
                bail!(
                    "the case farm needs {name}, and there is none at {}: build it with 'cargo build --release', or \
                     leave the case out with --case",
                    program.display()
                );
            }
            Ok(program)
        };
        Ok(FarmPrograms {
            redis,
            scheduler: beside("gofarm-scheduler")?,
            worker: beside("gofarm-worker")?,
            gofarm: gofarm.to_owned(),
        })
    }
}

/// A farm that has nothing yet. All of it ends when this is dropped.
#[derive(Debug)]
pub struct LoopbackFarm {
    /// Where clients find it.
    pub url: String,
    /// Worker first, so that it is the first to go.
    services: [Service; 3],
}

impl LoopbackFarm {
    /// Starts one below a folder that does not exist yet and stays, and waits until its worker has room.
    ///
    /// # Errors
    /// A service ends, or does not answer; with what it said.
    pub fn start(programs: &FarmPrograms, folder: &Path) -> anyhow::Result<LoopbackFarm> {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let log = |name: &str| folder.join(format!("{name}.log"));
        let argument = |flag: &str, path: &Path| {
            let mut argument = OsString::from(flag);
            argument.push(path);
            argument
        };

        let port = free_port()?.to_string();
        let words = "--bind 127.0.0.1 --save  --appendonly no --port";
        let command = service(&programs.redis, folder).args(words.split(' ').chain([&*port]));
        let mut redis = Service::start("Redis", &command, log("redis"))?;
        wait_for(&mut redis, || answers(&port))?;

        let [grpc, http] = [free_port()?, free_port()?].map(|port| format!("127.0.0.1:{port}"));
        let command = service(&programs.scheduler, folder)
            .args([
                format!("--redis=redis://127.0.0.1:{port}"),
                format!("--listen={grpc}"),
                format!("--http={http}"),
            ])
            .args([argument("--store=file://", &folder.join("store"))])
            .args([argument("--local-dir=", &folder.join("local"))]);
        let mut scheduler = Service::start("gofarm-scheduler", &command, log("scheduler"))?;
        wait_for(&mut scheduler, || TcpStream::connect(&grpc).is_ok())?;

        let url = format!("http://{grpc}");
        let command = service(&programs.worker, folder)
            .args([format!("--server={url}"), format!("--slots={SLOTS}")])
            .args([argument("--cache-dir=", &folder.join("worker"))]);
        let mut worker = Service::start("gofarm-worker", &command, log("worker"))?;
        let ask = service(&programs.gofarm, folder)
            .args(["workers", "--json"])
            .args([format!("--server={url}")]);
        wait_for(&mut worker, || {
            ask.run()
                .is_ok_and(|answer| answer.stdout.contains("\"slots\""))
        })?;
        Ok(LoopbackFarm {
            url,
            services: [worker, scheduler, redis],
        })
    }

    /// # Errors
    /// A service has ended.
    pub fn check(&mut self) -> anyhow::Result<()> {
        self.services.iter_mut().try_for_each(Service::check)
    }

    /// CPU seconds that worker, scheduler and Redis have used, with all that they have started. `None` where
    /// the system does not tell.
    pub fn cpu(&self) -> Option<[f64; 3]> {
        let [worker, scheduler, redis] = &self.services;
        Some([
            cpu::of(worker.id())?,
            cpu::of(scheduler.id())?,
            cpu::of(redis.id())?,
        ])
    }
}

/// A program of the farm with none of the user's settings.
fn service(program: &Path, folder: &Path) -> Process {
    let mut process = Process::new(program, folder);
    let set = std::env::vars_os().map(|(name, _)| name);
    let ours = set.filter(|name| name.to_string_lossy().starts_with("GOFARM_"));
    process.env = ours.map(|name| (name, None)).collect();
    process
}

fn answers(port: &str) -> bool {
    TcpStream::connect(format!("127.0.0.1:{port}")).is_ok()
}

fn wait_for(service: &mut Service, mut ready: impl FnMut() -> bool) -> anyhow::Result<()> {
    let end = Instant::now() + PATIENCE;
    while !ready() {
        check_stopped()?;
        service.check()?;
        if Instant::now() > end {
            bail!(
                "a service of the farm does not answer within {PATIENCE:?}; it said:\n{}",
                service.last_words()
            );
        }
        sleep(LOOK);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = FarmPrograms::find(&folder.path().join("gofarm")).unwrap_err();
        let text = error.to_string();
        // Either may be missing where the tests run.
        assert!(
            text.contains("gofarm-scheduler, and there is none at")
                || text.contains("redis-server or valkey-server on PATH"),
            "{text}"
        );
        assert!(text.ends_with("leave the case out with --case"), "{text}");
    }
}

//! A farm that is named by the addresses of all its schedulers.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::compile_of;
use crate::harness::{
    FARM, Farm, Process, SLOW_PRINTS, Service, Site, Size, connected_to, eventually,
    is_what_go_builds,
};

/// A watcher goes on at once, an owner's build is taken over within some seconds; no time-out of the client is as short.
const SOON: Duration = Duration::from_secs(30);

/// The scheduler of the farm that this process is connected to, if it is one alone.
fn server_of(farm: &Farm, process: u32) -> Option<usize> {
    let ports = farm.ports().iter().enumerate();
    let mut connected = ports.filter(|(_, port)| connected_to(process, **port));
    let (number, _) = connected.next()?;
    connected.next().is_none().then_some(number)
}

#[test]
fn a_client_whose_scheduler_is_killed_goes_on_with_another() {
    let site = Site::new().slow_module(2);
    let mut farm = Farm::start(&site, FARM);
    let running = farm
        .submit(&site, &[])
        .env("GOFARM_SERVER", &farm.urls())
        .start();
    let words = compile_of(0);
    let (_, compiler) = farm.worker_with(&[&words[0], &words[1]]);
    compiler.signal(Signal::SIGSTOP);
    let watched = eventually(
        || "the client is connected to no scheduler".to_owned(),
        || server_of(&farm, running.id()),
    );
    farm.schedulers[watched].kill();
    compiler.signal(Signal::SIGCONT);
    let killed = Instant::now();
    let finished = running.wait().ok();
    assert!(killed.elapsed() < SOON, "{:?}", killed.elapsed());
    assert!(!finished.stderr.contains("embedded"), "{}", finished.stderr);
    is_what_go_builds(&site, "bin/m");
    let ran = site.command(&site.src("bin/m"), &[]).run().ok();
    assert_eq!(ran.stderr, SLOW_PRINTS);
}

#[test]
fn a_worker_whose_scheduler_is_killed_goes_on_with_another() {
    let site = Site::new().slow_module(1);
    let size = Size { workers: 0, ..FARM };
    let mut farm = Farm::start(&site, size);
    let recipe = farm.worker_of(&farm.urls(), &site, 0, 2);
    farm.workers.push(Service::start(recipe));
    farm.all_join(&site);
    let running = farm.submit(&site, &[]).start();
    let words = compile_of(0);
    let (_, compiler): (usize, Process) = farm.worker_with(&[&words[0], &words[1]]);
    compiler.signal(Signal::SIGSTOP);
    let worker = farm.workers[0].pid();
    let talks = eventually(
        || "the worker is connected to no scheduler".to_owned(),
        || server_of(&farm, worker),
    );
    farm.schedulers[talks].kill();
    compiler.signal(Signal::SIGCONT);
    let killed = Instant::now();
    running.wait().ok();
    assert!(killed.elapsed() < SOON, "{:?}", killed.elapsed());
    let log = farm.workers[0].log();
    // It has renewed the lease of what it ran in time.
    assert!(!log.contains("the lease was lost"), "{log}");
    is_what_go_builds(&site, "bin/m");
}

#[test]
fn an_error_names_all_addresses() {
    let site = Site::cold();
    let ports = [gofarm_testkit::free_port(), gofarm_testkit::free_port()];
    let [a, b] = ports.map(|port| format!("http://127.0.0.1:{port}"));
    let finished = site
        .gofarm(&["workers"])
        .env("GOFARM_SERVER", &format!("{a},{b}"))
        .run()
        .code(3);
    let named = format!("at the farm {a}, {b}: ");
    assert!(finished.stderr.contains(&named), "{}", finished.stderr);
}

//! A build that is under way on a farm, and cannot end before the test lets it.

use nix::sys::signal::Signal;

use super::compile_of;
use crate::harness::{
    FARM, Farm, Finished, Process, Running, SLOW_PRINTS, Service, Site, is_what_go_builds, summary,
};

/// A build whose first slow package is being compiled, and stands still.
pub struct Build {
    /// The worker that compiles it.
    pub worker: usize,
    pub compiler: Process,
    pub running: Running,
    pub farm: Farm,
    pub site: Site,
}

/// What is left of a build that has ended well: the farm, which goes before its site.
pub struct Ended {
    pub farm: Farm,
    _site: Site,
}

impl Build {
    /// On a farm of its own, with so many slow packages.
    pub fn begin(packages: usize) -> Build {
        let site = Site::new().slow_module(packages);
        let farm = Farm::start(&site, FARM);
        Build::on(site, farm)
    }

    /// Of this module, on this farm.
    pub fn on(site: Site, farm: Farm) -> Build {
        let running = farm.submit(&site, &[]).start();
        let words = compile_of(0);
        let (worker, compiler) = farm.worker_with(&[&words[0], &words[1]]);
        // However slow this machine and quick the compiler: what a test does, it does in the middle of the build.
        compiler.signal(Signal::SIGSTOP);
        Build {
            worker,
            compiler,
            running,
            farm,
            site,
        }
    }

    /// The compiler goes on. If it has been killed, so be it.
    pub fn go_on(&self) {
        self.compiler.signal(Signal::SIGCONT);
    }

    /// It ends well.
    #[track_caller]
    pub fn ends_well(self) -> Ended {
        self.go_on();
        let finished: Finished = self.running.wait().ok();
        let site = &self.site;
        is_what_go_builds(site, "bin/m");
        let ran = site.command(&site.src("bin/m"), &[]).run().ok();
        assert_eq!(ran.stderr, SLOW_PRINTS);
        let summary = summary(site);
        assert_eq!(summary.actions.failed, 0, "{}", finished.stderr);
        Ended {
            farm: self.farm,
            _site: self.site,
        }
    }

    /// The scheduler that owns the build.
    pub fn owner(&mut self) -> &mut Service {
        let output = self
            .farm
            .gofarm(&self.site, &["builds", "--open", "--json"])
            .run()
            .ok();
        let builds: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
        let owner = builds[0]["owner"].as_str().unwrap().to_owned();
        let owns = |scheduler: &&mut Service| scheduler.log().contains(&owner);
        self.farm
            .schedulers
            .iter_mut()
            .find(owns)
            .unwrap_or_else(|| panic!("nobody is {owner}"))
    }
}

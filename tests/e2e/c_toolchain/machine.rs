//! A machine whose system folders have something else in them than the real one's, for the commands of a test alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gofarm_testkit::built;

use crate::harness::{Finished, Invocation, Site, Summary, facts, same};

/// How a folder of the test stands in the system's tree.
#[derive(Clone, Copy)]
pub enum Shown {
    /// In the place of the folder.
    Instead,
    /// Over the folder: what is in it comes to what is there.
    Over,
    /// In the place of the folder, below another layer, which is empty.
    Below,
}

/// A source tree, and what its builds see of the machine. Mounts are made in a namespace of each command.
pub struct Machine {
    pub site: Site,
    mounts: Vec<(PathBuf, &'static str, Shown)>,
    vars: Vec<(String, String)>,
    gone: usize,
}

/// What enters a namespace in which folders may be mounted; nothing where this user may not.
fn unshare() -> Option<Vec<&'static str>> {
    let ways = [vec!["-m"], vec!["-r", "-m"]];
    #[allow(clippy::disallowed_methods, reason = "whether namespaces may be made")]
    ways.into_iter().find(|way| {
        let mut command = Command::new("unshare");
        command
            .args(way)
            .args(["mount", "--bind", "/tmp", "/usr/local/src"]);
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}

impl Machine {
    /// With a program of these files; nothing where no folder can be mounted.
    pub fn new(files: &[(&str, &str)]) -> Option<Machine> {
        if unshare().is_none() {
            eprintln!("skipped: no namespace in which a folder may be mounted");
            return None;
        }
        Some(Machine {
            site: Site::new().module(files),
            mounts: Vec::new(),
            vars: Vec::new(),
            gone: 0,
        })
    }

    /// A folder of the test for a folder of the system, which is there.
    pub fn mount(&mut self, at: &'static str, shown: Shown) -> PathBuf {
        let from = self.site.path(&format!("mounts/{}", self.mounts.len()));
        for part in ["files", "work"] {
            fs::create_dir_all(from.join(part)).unwrap();
        }
        self.mounts.push((from.clone(), at, shown));
        from.join("files")
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.vars.retain(|(known, _)| known != name);
        self.vars.push((name.to_owned(), value.to_owned()));
    }

    /// A command on this machine.
    pub fn command(&self, program: &str, args: &[&str]) -> Invocation {
        let mut all: Vec<String> = unshare().unwrap().into_iter().map(str::to_owned).collect();
        let mut script = String::new();
        for (from, at, shown) in &self.mounts {
            let from = from.display();
            script += &match shown {
                Shown::Instead => format!("mount --bind {from}/files {at} && "),
                Shown::Over => format!(
                    "mount -t overlay overlay -o lowerdir={at},upperdir={from}/files,workdir={from}/work {at} && "
                ),
                Shown::Below => format!(
                    "mount -t overlay overlay -o ro,lowerdir={from}/work:{from}/files {at} && "
                ),
            };
        }
        all.extend(["sh", "-c"].map(str::to_owned));
        all.push(format!("{script} exec \"$@\""));
        all.extend(["sh", program].map(str::to_owned));
        all.extend(args.iter().map(|&arg| arg.to_owned()));
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let mut command = self.site.command(Path::new("unshare"), &all);
        for (name, value) in &self.vars {
            command = command.env(name, value);
        }
        command
    }

    /// `gofarm` on this machine.
    pub fn gofarm(&self, args: &[&str]) -> Finished {
        self.command(&built("gofarm").to_string_lossy(), args).run()
    }

    /// Builds the program by `gofarm submit`, and says how that went.
    #[track_caller]
    pub fn submit(&self, flags: &[&str]) -> Summary {
        let summary = self.site.path("summary.json");
        let flag = format!("--summary-json={}", summary.display());
        let args = [&["submit", &flag, "-o", "../ours"], flags].concat();
        self.gofarm(&args).ok();
        Summary::read(&summary)
    }

    /// Builds until the plan is kept.
    #[track_caller]
    pub fn keep(&self, flags: &[&str]) {
        self.submit(flags);
        assert!(self.submit(flags).plan_reused, "the plan is not kept");
    }

    /// Builds the program by both commands, and compares: go knows nothing of this program from before. Returns what it prints.
    #[track_caller]
    pub fn same(&mut self, flags: &[&str]) -> String {
        self.submit(flags);
        self.gone += 1;
        // With a program that has the right build ID go does not link.
        let _ = fs::remove_file(self.site.path("theirs"));
        let cache = self.site.path(&format!("gocache{}", self.gone));
        let from = facts().gocache.display().to_string();
        let to = cache.display().to_string();
        self.site
            .command(Path::new("cp"), &["-al", &from, &to])
            .run()
            .ok();
        let args = [&["build", "-trimpath", "-o", "../theirs"], flags].concat();
        self.command("go", &args).env("GOCACHE", &to).run().ok();
        fs::remove_dir_all(&cache).unwrap();
        same(&self.site.path("ours"), &self.site.path("theirs"));
        self.command(&self.site.path("ours").display().to_string(), &[])
            .run()
            .ok()
            .stderr
            .trim_end()
            .to_owned()
    }

    /// What `gofarm submit` says when it refuses to build, which it does before anything is executed.
    #[track_caller]
    pub fn refused(&self, flags: &[&str]) -> String {
        let args = [&["submit", "-o", "../ours"], flags].concat();
        let finished = self.gofarm(&args);
        let said = finished.stderr;
        assert!(said.contains("is not supported"), "{said}");
        said
    }
}

//! Builds after random changes: with the kept plan by gofarm, and afresh by `go build`.

mod command;
mod compare;
mod normal;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use gofarm_specimens::{Case, Change, Specimen, Written};

use command::{Ended, run};
pub use compare::Difference;

/// A change of a file less than this ago may be followed by another one with the same time.
const TICK: Duration = Duration::from_millis(20);

/// What the builds of specimens rest on: the gofarm command, and caches that hold nothing but what the standard library is made of
/// and may stay between runs.
#[derive(Debug, Clone)]
pub struct Mutator {
    gofarm: PathBuf,
    /// A cache of gofarm that has the standard library. Each case works on a copy: what one case leaves behind decides nothing in
    /// another, so a seed alone says what happens.
    cache: PathBuf,
    /// The GOCACHE of gofarm's dry runs.
    planning: PathBuf,
    /// A GOCACHE that has the standard library. Oracles use copies of it: a package of a specimen is never in it, because cmd/go itself
    /// does not notice when a header in another folder changes.
    standard: PathBuf,
}

/// What specimens import of the standard library, or a change makes them import.
const IMPORTED: [&str; 8] = [
    "embed",
    "fmt",
    "math",
    "os",
    "runtime/coverage",
    "strings",
    "sync",
    "unsafe",
];

/// What came of a change.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The change.
    pub change: Change,
    /// It was made while a build ran, this long after its beginning; else between two builds.
    pub during: Option<Duration>,
    /// True when the last build before the change used the kept plan.
    pub kept: bool,
    /// True when the build after the change used it.
    pub reused: bool,
    /// In what gofarm and go differ; empty when they agree.
    pub differences: Vec<Difference>,
    /// gofarm said that it does not do this; nothing is compared then.
    pub refused: Option<String>,
}

impl Mutator {
    /// With caches in this folder, which are made when they are not there.
    ///
    /// # Errors
    /// The folder cannot be written, or the standard library cannot be built.
    pub fn new(gofarm: &Path, shared: &Path) -> io::Result<Mutator> {
        let mutator = Mutator {
            gofarm: gofarm.canonicalize()?,
            cache: shared.join("gofarm"),
            planning: shared.join("planning"),
            standard: shared.join("standard"),
        };
        for folder in [&mutator.cache, &mutator.planning, &mutator.standard] {
            fs::create_dir_all(folder)?;
        }
        mutator.warm()?;
        Ok(mutator)
    }

    /// Compiles what specimens import of the standard library, by both sides, once for a folder of caches.
    fn warm(&self) -> io::Result<()> {
        let done = self.standard.with_extension("done");
        let lock = fs::File::create(self.standard.with_extension("lock"))?;
        lock.lock()?;
        if done.is_file() {
            return Ok(());
        }
        let dir = tempfile::tempdir_in(lab())?;
        let any = gofarm_specimens::specimens()
            .into_iter()
            .find(|specimen| specimen.name == "plain")
            .ok_or_else(|| io::Error::other("no specimen plain"))?;
        let mut written = any.write(&dir.path().join("s"))?;
        let imports = IMPORTED.map(|package| format!("import _ \"{package}\"\n"));
        fs::write(
            written.folder.join("imports.go"),
            format!("package main\n\n{}", imports.concat()),
        )?;
        fs::write(
            written.folder.join("cgo.go"),
            "package main\n\nimport \"C\"\n",
        )?;
        for cgo in ["1", "0"] {
            written.set_var("CGO_ENABLED", Some(cgo));
            let ours = self.build(&written, &self.cache)?.ended;
            let mut args = vec!["build".to_owned(), "-trimpath".to_owned()];
            args.extend(arguments(&written));
            let theirs = run(
                Path::new("go"),
                &args,
                &written,
                &[("GOCACHE", &self.standard)],
            )?;
            for ended in [ours, theirs] {
                if ended.code != Some(0) {
                    return Err(io::Error::other(format!(
                        "the standard library cannot be built: {}",
                        ended.stderr
                    )));
                }
            }
        }
        // What was built of the module itself is in both caches; no specimen has a package of its content.
        fs::write(done, "")
    }

    /// The change of a seed, carried out and compared. Once in eight it is made while the first build runs.
    ///
    /// # Errors
    /// Of making the specimen or running the programs; not of what they find.
    pub fn run(&self, case: Case) -> io::Result<Verdict> {
        let Case {
            specimen,
            mut random,
            ..
        } = case;
        let during = random
            .once_in(8)
            .then(|| Duration::from_millis(random.below(1500) as u64));
        self.try_change(&specimen, during, |written| {
            Change::random(written, &mut random)
        })
    }

    /// This change, made between two builds, and compared.
    ///
    /// # Errors
    /// As [`run`](Mutator::run).
    pub fn change(&self, specimen: &Specimen, change: Change) -> io::Result<Verdict> {
        self.try_change(specimen, None, |_| Ok(change))
    }

    fn try_change(
        &self,
        specimen: &Specimen,
        during: Option<Duration>,
        choose: impl FnOnce(&Written) -> io::Result<Change>,
    ) -> io::Result<Verdict> {
        let dir = tempfile::Builder::new()
            .prefix("gofarm-mutation-")
            .tempdir_in(lab())?;
        let root = dir.path().join(specimen.name);
        let cache = dir.path().join("cache");
        self.copy_cache(&cache)?;
        let mut written = specimen.write(&root)?;
        let out = written.out("programs");
        fs::create_dir_all(&out)?;
        written.age()?;
        thread::sleep(TICK);
        let change = choose(&written)?;
        let mut kept = false;
        if let Some(delay) = during {
            // What this build makes is nobody's business: it saw the specimen before, after, or in between.
            let before = written.clone();
            thread::scope(|scope| {
                let built = scope.spawn(|| self.build(&before, &cache));
                thread::sleep(delay);
                let changed = change.apply(&mut written);
                built
                    .join()
                    .map_err(|_| io::Error::other("a build panicked"))??;
                changed
            })?;
        } else {
            // A plan that cannot be kept from the first build may be from the second.
            self.build(&written, &cache)?;
            kept = self.build(&written, &cache)?.reused;
            change.apply(&mut written)?;
        }
        thread::sleep(TICK);

        empty(&out)?;
        let ours = self.build(&written, &cache)?;
        let our_programs = compare::programs(&out)?;
        let refused = compare::refusal(&ours.ended);
        let mut differences = Vec::new();
        // go says two things of some files, by whether it takes them from its index of packages, which it does when they are
        // older than two seconds. Either is right.
        for index in [GoIndex::Used, GoIndex::Passed] {
            if refused.is_some() {
                break;
            }
            empty(&out)?;
            let theirs = self.oracle(&written, index)?;
            let their_programs = compare::programs(&out)?;
            let found = compare::differences(
                (&ours.ended, &our_programs),
                (&theirs, &their_programs),
                &written,
            );
            if found.is_empty() {
                differences.clear();
                break;
            }
            if differences.is_empty() {
                differences = found;
            }
        }
        Ok(Verdict {
            change,
            during,
            kept,
            reused: ours.reused,
            differences,
            refused,
        })
    }

    /// Blobs, results and the digests of the standard library's files; no plans.
    fn copy_cache(&self, to: &Path) -> io::Result<()> {
        fs::create_dir_all(to.join("client"))?;
        for name in ["cas", "actions"] {
            link_tree(&self.cache.join(name), &to.join(name))?;
        }
        for name in ["format", "CACHEDIR.TAG", "client/files"] {
            fs::copy(self.cache.join(name), to.join(name))?;
        }
        Ok(())
    }

    fn build(&self, written: &Written, cache: &Path) -> io::Result<Built> {
        let summary = written.root.join("tmp/summary.json");
        let _ = fs::remove_file(&summary);
        let mut args = vec![
            "submit".to_owned(),
            format!("--summary-json={}", summary.display()),
        ];
        args.extend(arguments(written));
        let ended = run(
            &self.gofarm,
            &args,
            written,
            &[
                ("GOCACHE", &self.planning),
                ("GOFARM_CACHE_DIR", cache),
                ("GOFARM_PROGRESS", Path::new("none")),
            ],
        )?;
        let reused = fs::read_to_string(&summary)
            .is_ok_and(|text| text.replace(' ', "").contains("\"plan_reused\":true"));
        Ok(Built { ended, reused })
    }

    fn oracle(&self, written: &Written, index: GoIndex) -> io::Result<Ended> {
        let mut written = written.clone();
        if index == GoIndex::Passed {
            let users = written.var("GODEBUG").unwrap_or_default();
            let setting = format!("{users},goindex=0");
            written.set_var("GODEBUG", Some(setting.trim_start_matches(',')));
        }
        let written = &written;
        let cache = written.root.join("tmp/gocache");
        link_tree(&self.standard, &cache)?;
        let mut args = vec!["build".to_owned(), "-trimpath".to_owned()];
        args.extend(arguments(written));
        let ended = run(Path::new("go"), &args, written, &[("GOCACHE", &cache)]);
        fs::remove_dir_all(&cache)?;
        ended
    }
}

/// Whether cmd/go may use its index of packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GoIndex {
    Used,
    Passed,
}

struct Built {
    ended: Ended,
    reused: bool,
}

fn arguments(written: &Written) -> Vec<String> {
    let mut args = written.flags.clone();
    if written.has_output {
        args.push(format!("-o={}/", written.out("programs").display()));
    }
    args.push("--".to_owned());
    args.extend(written.packages.iter().cloned());
    args
}

fn empty(folder: &Path) -> io::Result<()> {
    if folder.symlink_metadata().is_ok() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)
}

/// A tree of hard links.
fn link_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            link_tree(&entry.path(), &to)?;
        } else {
            fs::hard_link(entry.path(), to)?;
        }
    }
    Ok(())
}

/// Where specimens are made: not below `/tmp`, of which an action has its own, so that a compiler there is not seen.
fn lab() -> PathBuf {
    let lab = Path::new("/var/tmp");
    match lab.is_dir() {
        true => lab.to_owned(),
        false => std::env::temp_dir(),
    }
}

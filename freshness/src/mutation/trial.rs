//! One specimen and what is done with it, change by change.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use gofarm_specimens::{Change, Saved, Specimen, Written};
use tempfile::TempDir;

use super::caches::{Caches, Standard};
use super::command::{Ended, env_of_gofarm, run};
use super::compare::{self, Difference, Made};
use super::{Cue, Moment, Verdict, When};

/// A change of a file less than this ago may be followed by another one with the same time.
const TICK: Duration = Duration::from_millis(20);

/// A specimen with caches of its own.
pub(super) struct Trial<'a> {
    gofarm: &'a Path,
    planning: &'a Path,
    dir: TempDir,
    written: Written,
    standard: Standard,
    /// The state to which a change is made, and to which one goes back.
    saved: Saved,
    /// What go makes of that; nothing until somebody wants to know.
    known: Option<Made>,
    /// The plan of that is kept.
    kept: bool,
}

/// A comparison of both sides.
struct Compared {
    theirs: Made,
    differences: Vec<Difference>,
    refused: Option<String>,
    kept: bool,
    reused: bool,
}

/// A build by gofarm.
struct Built {
    ended: Ended,
    /// With a kept plan.
    reused: bool,
    /// Its plan is kept now.
    kept: bool,
}

/// Whether cmd/go may use its index of packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GoIndex {
    Used,
    Passed,
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        // The folders of a module cache are read-only.
        for entry in fs::read_dir(self.dir.path())
            .into_iter()
            .flatten()
            .flatten()
        {
            let _ = gofarm_specimens::remove(&entry.path());
        }
    }
}

impl<'a> Trial<'a> {
    pub fn new(gofarm: &'a Path, caches: &'a Caches, specimen: &Specimen) -> io::Result<Trial<'a>> {
        let dir = tempfile::Builder::new()
            .prefix("gofarm-mutation-")
            .tempdir_in(lab())?;
        let at = |name: &str| dir.path().join(name);
        caches.copy_farm(&at("cache"))?;
        let standard = caches.copy_standard(&at("gocache"))?;
        let written = specimen.write(&at(specimen.name))?;
        fs::create_dir_all(out(&written))?;
        written.age()?;
        let saved = Saved::of(&written, &at("saved"))?;
        thread::sleep(TICK);
        Ok(Trial {
            gofarm,
            planning: &caches.planning,
            written,
            standard,
            saved,
            known: None,
            kept: false,
            dir,
        })
    }

    pub fn written(&self) -> &Written {
        &self.written
    }

    /// Makes a change and compares. If go builds what it led to, the next change is made to that; else, and after a change during a
    /// build, everything is put back as it was before, and compared once more.
    pub fn round(&mut self, change: Change, when: When) -> io::Result<Verdict> {
        let mut verdict = Verdict {
            change,
            when,
            kept: false,
            reused: false,
            moment: Moment::After,
            differences: Vec::new(),
            refused: None,
        };
        let mut theirs = None;
        if let When::During(cue) = when {
            self.change_during(&verdict.change, cue)?;
        } else {
            verdict.kept = self.keep()?;
            let before = self.written.clone();
            verdict.change.apply(&mut self.written)?;
            thread::sleep(TICK);
            if when == When::AtOnce {
                let made = self.at_once(&before, &mut verdict)?;
                if !verdict.differences.is_empty() {
                    verdict.moment = Moment::AtOnce;
                    return Ok(verdict);
                }
                theirs = Some(made);
            }
        }
        if !self.written.folder.is_dir() {
            // Nobody can build where no folder is.
            self.written = self.saved.restore()?;
            return Ok(verdict);
        }
        thread::sleep(TICK);
        let compared = self.compare(theirs)?;
        verdict.reused = compared.reused;
        verdict.differences = compared.differences;
        verdict.refused = compared.refused;
        if !verdict.differences.is_empty() {
            return Ok(verdict);
        }
        let goes_on = verdict.refused.is_none() && compared.theirs.succeeded();
        if goes_on && !matches!(when, When::During(_)) {
            self.saved = Saved::of(&self.written, &self.dir.path().join("saved"))?;
            self.known = Some(compared.theirs);
            self.kept = compared.kept;
            return Ok(verdict);
        }
        self.written = self.saved.restore()?;
        thread::sleep(TICK);
        let known = self.known.take();
        let back = self.compare(known)?;
        if !back.differences.is_empty() {
            verdict.moment = Moment::Back;
            verdict.differences = back.differences;
        }
        self.known = Some(back.theirs);
        self.kept = back.kept;
        Ok(verdict)
    }

    /// Builds until the plan is kept, if it ever is: one that cannot be kept from the first build, for instance because that fetched
    /// modules, may be from the second.
    fn keep(&mut self) -> io::Result<bool> {
        for _ in 0..2 {
            if self.kept {
                break;
            }
            let built = self.build(&self.written, "ours")?;
            self.kept = built.kept || built.reused;
        }
        Ok(self.kept)
    }

    /// What the build makes is nobody's business: it saw the specimen before, after, or in between. What it leaves in caches is.
    fn change_during(&mut self, change: &Change, cue: Cue) -> io::Result<()> {
        let before = self.written.clone();
        let mut after = before.clone();
        let events = before.root.join("tmp/events");
        thread::scope(|scope| {
            let built = scope.spawn(|| self.build_with(&before, "ours", &[events_flag(&events)]));
            match cue {
                Cue::Time(delay) => thread::sleep(delay),
                // They are written from then on.
                Cue::Hashed => {
                    while !events.exists() && !built.is_finished() {
                        thread::sleep(Duration::from_millis(1));
                    }
                }
            }
            let changed = change.apply(&mut after);
            let built = built
                .join()
                .map_err(|_| io::Error::other("a build panicked"))?;
            built.and(changed)
        })?;
        self.written = after;
        Ok(())
    }

    /// Builds what was and what is now at the same time into one folder. Of each program one of the two is left, whole. Returns what go
    /// makes of what is now.
    fn at_once(&self, before: &Written, verdict: &mut Verdict) -> io::Result<Made> {
        let folder = out(&self.written);
        empty(&folder)?;
        let built = thread::scope(|scope| {
            let first = scope.spawn(|| self.build(before, "first"));
            let second = self.build(&self.written, "second");
            let first = first
                .join()
                .map_err(|_| io::Error::other("a build panicked"))?;
            Ok::<_, io::Error>([first?.ended, second?.ended])
        })?;
        let left = compare::programs(&folder)?;
        let made = [
            match &self.known {
                Some(known) => known.clone(),
                None => self.oracle(before, GoIndex::Used)?,
            },
            self.oracle(&self.written, GoIndex::Used)?,
        ];
        if !built.iter().any(|ended| compare::refusal(ended).is_some()) {
            verdict.differences = compare::one_of_two(&built, &left, &made, &self.written);
        }
        let [_, after] = made;
        Ok(after)
    }

    /// Builds by gofarm, and by go unless what that makes is known.
    fn compare(&self, known: Option<Made>) -> io::Result<Compared> {
        let folder = out(&self.written);
        empty(&folder)?;
        let built = self.build(&self.written, "ours")?;
        let (kept, reused) = (built.kept || built.reused, built.reused);
        let refused = compare::refusal(&built.ended);
        let ours = Made {
            ended: built.ended,
            programs: compare::programs(&folder)?,
        };
        let differences = |theirs: &Made| match refused {
            Some(_) => Vec::new(),
            None => compare::differences(&ours, theirs, &self.written),
        };
        let mut found = Vec::new();
        let mut theirs = known.filter(|known| differences(known).is_empty());
        if theirs.is_none() {
            // go says two things of some files, by whether it takes them from its index of packages, which it does when they are
            // older than two seconds. Either is right.
            for index in [GoIndex::Used, GoIndex::Passed] {
                let made = self.oracle(&self.written, index)?;
                let differing = differences(&made);
                if differing.is_empty() {
                    found.clear();
                    theirs = Some(made);
                    break;
                }
                if found.is_empty() {
                    found = differing;
                    theirs = Some(made);
                }
            }
        }
        Ok(Compared {
            theirs: theirs.unwrap_or(ours),
            differences: found,
            refused,
            kept,
            reused,
        })
    }

    /// `name` tells builds apart that run at the same time.
    fn build(&self, written: &Written, name: &str) -> io::Result<Built> {
        self.build_with(written, name, &[])
    }

    fn build_with(&self, written: &Written, name: &str, flags: &[String]) -> io::Result<Built> {
        let cache = self.dir.path().join("cache");
        let summary = written.root.join(format!("tmp/{name}.json"));
        let _ = fs::remove_file(&summary);
        let mut args = vec![
            "submit".to_owned(),
            format!("--summary-json={}", summary.display()),
        ];
        args.extend(flags.iter().cloned());
        args.extend(arguments(written));
        let before = plans(&cache);
        let ended = run(
            self.gofarm,
            &args,
            written,
            &env_of_gofarm(&cache, self.planning),
            name,
        )?;
        let reused = fs::read_to_string(&summary)
            .is_ok_and(|text| text.replace(' ', "").contains("\"plan_reused\":true"));
        Ok(Built {
            ended,
            reused,
            kept: plans(&cache) != before,
        })
    }

    fn oracle(&self, written: &Written, index: GoIndex) -> io::Result<Made> {
        let mut written = written.clone();
        if index == GoIndex::Passed {
            let users = written.var("GODEBUG").unwrap_or_default();
            let setting = format!("{users},goindex=0");
            written.set_var("GODEBUG", Some(setting.trim_start_matches(',')));
        }
        let folder = out(&written);
        empty(&folder)?;
        let mut args = vec!["build".to_owned(), "-trimpath".to_owned()];
        args.extend(arguments(&written));
        let cache = &self.standard.folder;
        let ended = run(
            Path::new("go"),
            &args,
            &written,
            &[("GOCACHE", cache)],
            "theirs",
        )?;
        self.standard.clean()?;
        Ok(Made {
            ended,
            programs: compare::programs(&folder)?,
        })
    }
}

/// The plans that are kept, and since when.
fn plans(cache: &Path) -> BTreeMap<PathBuf, Option<SystemTime>> {
    let plans = fs::read_dir(cache.join("client/plans"));
    let plans = plans.into_iter().flatten().flatten().map(|entry| {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        (entry.path(), modified.ok())
    });
    plans.collect()
}

fn events_flag(file: &Path) -> String {
    format!("--events={}", file.display())
}

fn out(written: &Written) -> PathBuf {
    written.out("programs")
}

/// What both sides are told, behind their commands.
pub(super) fn arguments(written: &Written) -> Vec<String> {
    let mut args = written.flags.clone();
    if written.has_output {
        args.push(format!("-o={}/", out(written).display()));
    }
    args.push("--".to_owned());
    args.extend(written.packages.iter().cloned());
    args
}

fn empty(folder: &Path) -> io::Result<()> {
    if folder.symlink_metadata().is_ok() {
        gofarm_specimens::remove(folder)?;
    }
    fs::create_dir_all(folder)
}

/// Where specimens are made: not below `/tmp`, of which an action has its own, so that a compiler there is not seen.
pub(super) fn lab() -> PathBuf {
    let lab = Path::new("/var/tmp");
    match lab.is_dir() {
        true => lab.to_owned(),
        false => std::env::temp_dir(),
    }
}

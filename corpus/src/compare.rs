//! One program on both sides.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::folder;
use crate::go_command::Release;
use crate::list::Program;
use crate::place::{self, Place};

/// What came of a program.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// Its name.
    pub program: String,
    /// What it stands for.
    pub sort: String,
    /// `go1.27.3`.
    pub go: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Programs that both sides made.
    pub programs: usize,
    /// `go build`, seconds.
    pub go_seconds: Option<f64>,
    /// `gofarm submit`, seconds.
    pub gofarm_seconds: Option<f64>,
    /// As gofarm counts them.
    pub actions: Option<Actions>,
}

/// How a comparison ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every program has the same SHA-256 on both sides.
    Identical,
    /// Both sides made programs, and they are not the same.
    Differs,
    /// gofarm failed where go did not.
    GofarmFails,
    /// `go build` itself failed, so there is nothing to compare with: the list is wrong for this release.
    GoFails,
    /// The program could not be downloaded or put together.
    NotPrepared,
}

impl Verdict {
    /// For the table.
    pub fn text(self) -> &'static str {
        match self {
            Verdict::Identical => "identical",
            Verdict::Differs => "DIFFERS",
            Verdict::GofarmFails => "GOFARM FAILS",
            Verdict::GoFails => "GO FAILS",
            Verdict::NotPrepared => "NOT PREPARED",
        }
    }
}

/// Actions of a build by how they ended.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Actions {
    /// All.
    pub total: u64,
    /// Run for this build.
    pub executed: u64,
}

#[derive(Deserialize)]
struct Summary {
    actions: Actions,
}

/// Both sides of one release.
#[derive(Debug)]
pub struct Sides<'a> {
    /// The release.
    pub release: &'a Release,
    /// The gofarm command.
    pub gofarm: &'a Path,
    /// Caches of both, which the programs of a release share.
    pub caches: &'a Path,
    /// Whether gofarm goes first. Who goes second finds the sources in the page cache.
    pub gofarm_first: bool,
}

impl Sides<'_> {
    /// Builds a program on both sides in a folder that does not exist yet. It never fails: an [`Outcome`] tells what did.
    pub fn compare(&self, program: &Program, root: &Path) -> Outcome {
        let mut outcome = Outcome {
            program: program.name.clone(),
            sort: program.sorts(),
            go: self.release.version.clone(),
            verdict: Verdict::Identical,
            detail: None,
            programs: 0,
            go_seconds: None,
            gofarm_seconds: None,
            actions: None,
        };
        if let Err((verdict, error)) = self.fill(program, root, &mut outcome) {
            outcome.verdict = verdict;
            outcome.detail = Some(format!("{error:#}"));
        }
        outcome
    }

    fn fill(
        &self,
        program: &Program,
        root: &Path,
        outcome: &mut Outcome,
    ) -> Result<(), (Verdict, anyhow::Error)> {
        let of = |verdict| move |error| (verdict, error);
        let place = place::prepare(program, self.release, &root.join("src"), self.caches)
            .map_err(of(Verdict::NotPrepared))?;
        let (go_out, gofarm_out) = (root.join("go"), root.join("gofarm"));
        let with_gofarm = || self.with_gofarm(program, &place, &gofarm_out);
        let first = self.gofarm_first.then(with_gofarm);
        // go's word on whether the program can be built at all counts before gofarm's.
        let go = self.with_go(program, &place, &go_out);
        outcome.go_seconds = Some(go.map_err(of(Verdict::GoFails))?);
        let gofarm = first.unwrap_or_else(with_gofarm);
        let (seconds, actions) = gofarm.map_err(of(Verdict::GofarmFails))?;
        (outcome.gofarm_seconds, outcome.actions) = (Some(seconds), Some(actions));
        let built = folder::digests(&go_out).map_err(of(Verdict::GoFails))?;
        let ours = folder::digests(&gofarm_out).map_err(of(Verdict::GofarmFails))?;
        outcome.programs = built.len();
        if built.is_empty() {
            let error = anyhow::anyhow!("go build wrote no program");
            return Err((Verdict::GoFails, error));
        }
        let names = built.keys().chain(ours.keys());
        let differing: BTreeSet<String> = names
            .filter(|name| built.get(*name) != ours.get(*name))
            .map(|name| name.display().to_string())
            .collect();
        if !differing.is_empty() {
            let differing = Vec::from_iter(differing).join(", ");
            return Err((Verdict::Differs, anyhow::anyhow!(differing)));
        }
        Ok(())
    }

    fn with_go(&self, program: &Program, place: &Place, out: &Path) -> anyhow::Result<f64> {
        let process = self
            .release
            .process(&self.release.go, &place.folder, self.caches)?
            .args(["build", "-trimpath", "-o"])
            .args([folder_argument(out)?])
            .args(&program.flags)
            .args(&place.packages);
        Ok(process.run()?.wall.as_secs_f64())
    }

    fn with_gofarm(
        &self,
        program: &Program,
        place: &Place,
        out: &Path,
    ) -> anyhow::Result<(f64, Actions)> {
        let summary = out.with_extension("json");
        let process = self
            .release
            .process(self.gofarm, &place.folder, self.caches)?
            .args(["submit", "--progress=none", "--server=off", "-o"])
            .args([folder_argument(out)?])
            .args(["--summary-json".into(), OsString::from(&summary)])
            .args(&program.flags)
            .args(&place.packages);
        let seconds = process.run()?.wall.as_secs_f64();
        let text = fs::read_to_string(&summary)
            .with_context(|| format!("reading {}", summary.display()))?;
        let summary: Summary = serde_json::from_str(&text).context("reading gofarm's summary")?;
        Ok((seconds, summary.actions))
    }
}

/// Makes a folder; a name that ends in a slash takes any number of programs.
fn folder_argument(folder: &Path) -> anyhow::Result<OsString> {
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let mut text = folder.as_os_str().to_owned();
    text.push("/");
    Ok(text)
}

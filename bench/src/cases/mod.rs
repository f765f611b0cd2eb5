//! The cases: what is done, in which order, and what is compared.

mod body;
mod checkout;
mod cold;
mod farm;
mod nothing;
mod overhead;

use std::path::PathBuf;

use anyhow::Context;
use tempfile::TempDir;

use crate::goroot::{GoInstall, PrivateGoroot};
use crate::loopback::FarmPrograms;
use crate::options::{Case, Options};
use crate::row::Row;
use crate::sides::{Farm, GoBuild, Output, Side, require_equal};

/// Everything that the cases share. Removed when dropped.
pub struct Bench<'o> {
    options: &'o Options,
    install: GoInstall,
    goroot: PrivateGoroot,
    /// Both sides with everything in their caches, once there are such.
    warm: Option<(GoBuild, Farm)>,
    /// Seconds of each cold `go build`.
    cold_go: Vec<f64>,
    folder: TempDir,
}

impl<'o> Bench<'o> {
    /// Makes the temporary folder and a copy of GOROOT in it.
    ///
    /// # Errors
    /// There is no Go, or no room.
    pub fn prepare(options: &'o Options) -> anyhow::Result<Bench<'o>> {
        let install = GoInstall::find(&options.go)?;
        if options.cases.contains(&Case::Farm) {
            // What is missing is said now and not after a quarter of an hour.
            FarmPrograms::find(&options.gofarm)?;
        }
        let folder = tempfile::Builder::new()
            .prefix("gofarm-bench-")
            .tempdir_in(&options.dir)
            .with_context(|| format!("making a temporary folder in {}", options.dir.display()))?;
        eprintln!(
            "copying {} to {}",
            install.goroot.display(),
            folder.path().display()
        );
        Ok(Bench {
            options,
            goroot: PrivateGoroot::copy(&install.goroot, &folder.path().join("goroot"))?,
            install,
            warm: None,
            cold_go: Vec::new(),
            folder,
        })
    }

    /// Measures every case that is wanted.
    ///
    /// # Errors
    /// A build fails, or the sides do not build the same.
    pub fn measure(&mut self) -> anyhow::Result<Vec<Row>> {
        let mut rows = Vec::new();
        for case in &self.options.cases {
            match case {
                Case::Cold => rows.push(self.cold()?),
                Case::Nothing => rows.extend(self.nothing()?),
                Case::Body => rows.push(self.body()?),
                Case::Checkout => rows.extend(self.checkout()?),
                Case::Overhead => rows.push(self.overhead()?),
                Case::Farm => rows.push(self.farm()?),
            }
        }
        Ok(rows)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Two sides that have nothing yet, below folders with this name.
    fn fresh(
        &self,
        name: &str,
        packages: &'static [&'static str],
    ) -> anyhow::Result<(GoBuild, Farm)> {
        let go = GoBuild {
            side: Side::new(self.path(&format!("{name}-go")))?,
            packages,
        };
        let farm = Farm {
            side: Side::new(self.path(&format!("{name}-gofarm")))?,
            program: self.options.gofarm.clone(),
            packages,
        };
        Ok((go, farm))
    }

    /// Both sides with everything cached and written. What fills them here is not measured.
    fn warm(&mut self) -> anyhow::Result<(GoBuild, Farm)> {
        let (go, farm) = match self.warm.take() {
            Some(warm) => warm,
            None => {
                eprintln!("filling the caches of both sides");
                self.fresh("warm", self.options.packages())?
            }
        };
        go.build(&self.goroot.path, Output::Written)?;
        farm.build(&self.goroot.path, &[])?;
        require_equal(&go.side, &farm.side)?;
        self.warm = Some((go.clone(), farm.clone()));
        Ok((go, farm))
    }
}

/// Tells whoever waits how far it is.
fn progress(row: &Row, runs: usize) {
    eprintln!(
        "{}: {}: {} of {runs} done: {}",
        row.case,
        row.what,
        row.values.len(),
        row.last()
    );
}

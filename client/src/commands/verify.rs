//! `gofarm verify`: builds both ways and compares.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, anyhow};
use gofarm_plan::PlanError;
use sha2::{Digest, Sha256};

use super::opening::{Opened, open};
use crate::cli::{Environment, ExitCode, SubmitRequest};
use crate::deliver::Programs;
use crate::say;

/// The `verify` command. Prints for each program on stdout the verdict and the name, and below them the SHA-256 that both
/// builds have, or that of each.
pub fn command(request: &SubmitRequest, environment: &Environment) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let opened = open(request, environment)?;
    let folder = tempfile::Builder::new()
        .prefix("gofarm-verify-")
        .tempdir()
        .context("making a temporary folder")?;
    let ours = folder.path().join("gofarm");
    let theirs = folder.path().join("go");
    fs::create_dir_all(&theirs).context("making a temporary folder")?;

    let mut made = Programs::below(&ours, opened.session.records());
    let code = opened.session.build(&opened.request, &mut made, started)?;
    if code != ExitCode::Success {
        return Ok(code);
    }
    if made.written().is_empty() {
        return Err(anyhow!(
            "nothing to compare: no main package among those that were named"
        ));
    }
    go_build(&opened, &theirs)?;

    let ours = programs(&ours.join("bin"))?;
    let theirs = programs(&theirs)?;
    let mut same = ours.len() == theirs.len();
    for (name, path) in &ours {
        let our_sum = sha256(path)?;
        match theirs.get(name) {
            Some(path) => {
                let their_sum = sha256(path)?;
                if our_sum == their_sum {
                    say::out(&format!("identical {name}\n  sha256 {our_sum}\n"))?;
                } else {
                    same = false;
                    say::out(&format!(
                        "different {name}\n  gofarm   sha256 {our_sum}\n  go build sha256 {their_sum}\n"
                    ))?;
                }
            }
            None => {
                same = false;
                say::out(&format!(
                    "different {name}\n  gofarm   sha256 {our_sum}\n  go build made no program of this name\n"
                ))?;
            }
        }
    }
    Ok(if same {
        ExitCode::Success
    } else {
        ExitCode::BuildFailed
    })
}

/// The same build by cmd/go, with the user's own build cache.
fn go_build(opened: &Opened, folder: &Path) -> anyhow::Result<()> {
    let options = &opened.options;
    let mut args = vec![
        format!("-trimpath={}", options.trimpath),
        format!("-o={}/", folder.display()),
    ];
    args.extend(
        options
            .plan_flags
            .iter()
            .filter(|flag| !flag.starts_with("-o="))
            .cloned(),
    );
    args.push("--".to_owned());
    args.extend(options.packages.iter().cloned());
    let output = opened.session.go.build(&args, &[])?;
    if !output.status.success() {
        return Err(PlanError::Go {
            text: String::from_utf8_lossy(&output.stderr)
                .trim_end()
                .to_owned(),
            exit_code: output.status.code().unwrap_or(1),
        }
        .into());
    }
    Ok(())
}

fn programs(folder: &Path) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let mut programs = BTreeMap::new();
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("reading {}", folder.display()))?;
        programs.insert(
            entry.file_name().to_string_lossy().into_owned(),
            entry.path(),
        );
    }
    Ok(programs)
}

fn sha256(path: &Path) -> anyhow::Result<String> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(hex::encode(Sha256::digest(bytes)))
}

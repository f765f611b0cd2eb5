//! Which Go release plans a build: a go command may hand over to another release, which it finds on PATH or in the module cache
//! (cmd/go/internal/toolchain/select.go).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::gocmd::{GoCommand, GoEnv};

/// The releases that could have been meant, by the names under which they are looked for. One too many makes a plan rest on more than
/// it has to and does no harm, so no versions are compared.
///
/// `settings` are the values of GOTOOLCHAIN, wherever they stand; `files` are the go.work or go.mod of the build.
fn names(settings: &[String], files: &[String]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for setting in settings {
        let name = setting.split('+').next().unwrap_or_default();
        if !matches!(name, "" | "auto" | "path" | "local") {
            names.insert(name.to_owned());
        }
    }
    for line in files.iter().flat_map(|text| text.lines()) {
        let line = line.split("//").next().unwrap_or_default();
        let mut words = line
            .split_whitespace()
            .map(|word| word.trim_matches(['"', '`']));
        match (words.next(), words.next()) {
            (Some("toolchain"), Some(name)) if name != "default" => {
                names.insert(name.to_owned());
            }
            (Some("go"), Some(version)) => {
                names.insert(format!("go{version}"));
                // The first release of a language version.
                names.insert(format!("go{version}.0"));
            }
            _ => {}
        }
    }
    // What is looked for has no folder in its name.
    names.retain(|name| !name.contains('/'));
    names
}

/// See [`names`].
pub(super) fn candidates(go: &GoCommand, env: &GoEnv, settings_file: &Path) -> BTreeSet<String> {
    // A release that was handed over to may have been given another value than the one that led to it.
    let kept = std::iter::once(settings_file.to_owned()).chain(defaults(go));
    let kept: Vec<String> = kept.filter_map(|file| text(&file)).collect();
    let kept = kept.iter().flat_map(|text| text.lines());
    let kept = kept.filter_map(|line| line.strip_prefix("GOTOOLCHAIN="));
    let mut settings: Vec<String> = kept.map(str::to_owned).collect();
    settings.push(go.var("GOTOOLCHAIN"));
    settings.push(env.get("GOTOOLCHAIN").to_owned());
    let files = ["GOWORK", "GOMOD"].map(|name| text(Path::new(env.get(name))));
    let files: Vec<String> = files.into_iter().flatten().collect();
    names(&settings, &files)
}

/// Where the release that is asked first, which may hand over to another one, keeps its default settings
/// (cmd/go/internal/cfg/cfg.go, `initEnvCache`).
pub(super) fn defaults(go: &GoCommand) -> Option<PathBuf> {
    let root = match go.var("GOROOT") {
        unset if unset.is_empty() => {
            let command = go.locate()?.canonicalize().ok()?;
            command.parent()?.parent()?.to_owned()
        }
        named => PathBuf::from(named),
    };
    Some(root.join("go.env"))
}

/// cmd/go takes any bytes in a comment.
fn text(file: &Path) -> Option<String> {
    let bytes = fs::read(file).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Where a release lies in the module cache once it has been fetched.
pub(super) fn fetched(env: &GoEnv, name: &str) -> PathBuf {
    let platform = format!("{}-{}", env.get("GOHOSTOS"), env.get("GOHOSTARCH"));
    Path::new(env.get("GOMODCACHE")).join(format!("golang.org/toolchain@v0.0.1-{name}.{platform}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_release_that_could_be_meant_is_named() {
        let settings = ["", "auto", "go1.30.1+path", "local+auto"].map(str::to_owned);
        let files = [
            "module m\n\ngo 1.31 // at least\n\ntoolchain go1.31.4\n",
            "module gopher\ntoolchain default\nrequire go.uber.org/x v1.0.0\ntoolchain ../bad\n",
        ];
        let names = names(&settings, &files.map(str::to_owned));
        assert_eq!(
            Vec::from_iter(names),
            ["go1.30.1", "go1.31", "go1.31.0", "go1.31.4"]
        );
    }
}

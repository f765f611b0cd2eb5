//! The programs of this workspace, as they are now.
//!
//! Cargo makes no program for the tests of another package, and one that lies in the target folder may be older than its
//! sources. So the first test of a process that asks for a program has cargo build them all. After `cargo test --workspace`
//! that links `gofarm` at most: packages, features and profile are the same, and all libraries are there.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What can be asked for.
const PROGRAMS: [&str; 3] = ["gofarm", "gofarm-scheduler", "gofarm-worker"];

/// The variable that names a folder with other programs to test, say those of a release. They are taken as they are.
const FOLDER: &str = "GOFARM_TEST_PROGRAMS";

/// Variables that cargo sets for a test. A build script that looks at one of them would run anew.
const OF_A_TEST: [&str; 7] = [
    "CARGO_PKG_",
    "CARGO_MANIFEST_",
    "CARGO_BIN_",
    "CARGO_CRATE_",
    "CARGO_PRIMARY_",
    "CARGO_TARGET_TMPDIR",
    "OUT_DIR",
];

/// The path of `gofarm`, `gofarm-scheduler` or `gofarm-worker`, built from the sources as they are now.
///
/// # Panics
/// They cannot be built, or there is no program of this name.
pub fn built(name: &str) -> PathBuf {
    static BUILT: OnceLock<BTreeMap<&'static str, PathBuf>> = OnceLock::new();
    let all = BUILT.get_or_init(|| match env::var_os(FOLDER) {
        Some(folder) => given(Path::new(&folder)),
        None => build(),
    });
    all.get(name)
        .unwrap_or_else(|| panic!("{name} is none of {PROGRAMS:?}"))
        .clone()
}

fn given(folder: &Path) -> BTreeMap<&'static str, PathBuf> {
    let folder = folder
        .canonicalize()
        .unwrap_or_else(|error| panic!("{FOLDER}={}: {error}", folder.display()));
    let all = PROGRAMS.map(|name| (name, folder.join(name)));
    for (_, path) in &all {
        assert!(path.is_file(), "{FOLDER}: {} is no file", path.display());
    }
    all.into()
}

fn build() -> BTreeMap<&'static str, PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    #[allow(clippy::disallowed_methods, reason = "cargo, in the foreground")]
    let mut command = Command::new(cargo);
    command
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args(["build", "--locked", "--workspace"])
        .arg("--message-format=json-render-diagnostics")
        .args(Place::of_this_test().args())
        // A test, so that features are those that tests ask for. It is the one that needs least.
        .args(["--test", "tidy"]);
    for name in PROGRAMS {
        command.args(["--bin", name]);
    }
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if OF_A_TEST
            .iter()
            .any(|of_a_test| text.starts_with(of_a_test))
        {
            command.env_remove(&name);
        }
    }
    // What it says on stderr is for whoever waits for it.
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "the programs under test cannot be built: {command:?}: {}",
        output.status
    );
    let all: BTreeMap<&str, PathBuf> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(program)
        .collect();
    assert_eq!(all.len(), PROGRAMS.len(), "cargo has built {all:?} only");
    all
}

/// The program that a line of cargo's tells of.
fn program(line: &str) -> Option<(&'static str, PathBuf)> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let path = message["executable"].as_str()?;
    let is_a_test = message["profile"]["test"].as_bool()?;
    let name = PROGRAMS
        .into_iter()
        .find(|name| message["target"]["name"] == *name)?;
    (!is_a_test).then(|| (name, PathBuf::from(path)))
}

/// Where cargo puts what it builds for this test, as flags would say it: they are not in the environment.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    /// The target folder.
    folder: PathBuf,
    /// The platform, where it was named.
    platform: Option<String>,
    /// The profile, as cargo calls its folder.
    profile: String,
}

impl Place {
    fn of_this_test() -> Place {
        let test = env::current_exe().expect("a test has a path");
        // Cargo writes the first when it makes the folder, and the second with each build.
        let of_cargo = ["CACHEDIR.TAG", ".rustc_info.json"];
        let is_target = |folder: &Path| of_cargo.iter().any(|name| folder.join(name).exists());
        Place::of(&test, &is_target)
            .unwrap_or_else(|| panic!("{} lies in no target folder of cargo's", test.display()))
    }

    /// From `TARGET/[PLATFORM/]PROFILE/deps/NAME`.
    fn of(test: &Path, is_target: &dyn Fn(&Path) -> bool) -> Option<Place> {
        let name = |path: &Path| Some(path.file_name()?.to_str()?.to_owned());
        let profile = test
            .ancestors()
            .find(|path| path.file_name().is_some_and(|name| name == "deps"))?
            .parent()?;
        let above = profile.parent()?;
        let (folder, platform) = match is_target(above) {
            true => (above, None),
            false => (above.parent()?, Some(name(above)?)),
        };
        is_target(folder).then_some(Place {
            folder: folder.to_owned(),
            platform,
            profile: name(profile)?,
        })
    }

    fn args(&self) -> Vec<OsString> {
        let mut args = vec!["--target-dir".into(), self.folder.clone().into()];
        // The one profile whose folder has another name.
        let profile = if self.profile == "debug" {
            "dev"
        } else {
            &self.profile
        };
        args.extend(["--profile".into(), profile.into()]);
        if let Some(platform) = &self.platform {
            args.extend(["--target".into(), platform.into()]);
        }
        args
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_folder_platform_and_profile_are_those_of_the_test() {
        let is_target = |folder: &Path| folder == Path::new("/t");
        let of = |test: &str| Place::of(Path::new(test), &is_target);
        let place = |platform: Option<&str>, profile: &str| Place {
            folder: "/t".into(),
            platform: platform.map(str::to_owned),
            profile: profile.to_owned(),
        };
        assert_eq!(of("/t/debug/deps/e2e-0123"), Some(place(None, "debug")));
        assert_eq!(
            of("/t/x86_64-unknown-linux-gnu/release/deps/e2e-0123"),
            Some(place(Some("x86_64-unknown-linux-gnu"), "release"))
        );
        assert_eq!(of("/elsewhere/debug/deps/e2e-0123"), None);
        assert_eq!(of("/t/debug/e2e"), None);
    }

    #[test]
    fn cargo_tells_of_programs_and_of_their_unit_tests() {
        let line = |name: &str, test: bool| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"kind":["bin"],"name":"{name}"}},"profile":{{"test":{test}}},"executable":"/t/debug/{name}"}}"#
            )
        };
        let found = Some(("gofarm", PathBuf::from("/t/debug/gofarm")));
        assert_eq!(program(&line("gofarm", false)), found);
        assert_eq!(program(&line("gofarm", true)), None);
        assert_eq!(program(&line("gofarm-bench", false)), None);
        assert_eq!(
            program(r#"{"reason":"build-finished","success":true}"#),
            None
        );
    }
}

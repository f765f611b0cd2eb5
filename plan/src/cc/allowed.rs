//! Whether cmd/go takes the flags that pkg-config says (`getPkgConfigFlags` in cmd/go/internal/work/exec.go): a library may not make
//! a compiler load a program. Which flags these are changes with each release and with CGO_CFLAGS_ALLOW and its like, so go itself is
//! asked, by what it does anyway before it starts a compiler.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use crate::error::PlanError;
use crate::gocmd::{GoCommand, temporary_folder};

/// A package whose flags of pkg-config are looked at, and that is then refused for a flag of its own.
const SOURCE: &str =
    "package asked\n\n// #cgo pkg-config: asked\n// #cgo CPPFLAGS: -gofarm_asked\nimport \"C\"\n";

/// The flag for which it is refused: looked at last, and by a list that is for no flags of pkg-config.
const STOP: &str = "-gofarm_asked";

/// How often is asked again, and after what pause, when the script cannot be started.
const BUSY_TRIES: u32 = 50;
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// What pkg-config printed for one package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct PkgConfigText {
    /// With --cflags.
    pub cflags: String,
    /// With --libs.
    pub libs: String,
}

/// One package in the answer of `go list -json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    error: Option<ListedError>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedError {
    err: String,
}

/// What the go of this GOROOT has against these flags, in its own words; `None` when it takes them.
///
/// # Errors
/// It cannot be asked.
pub(crate) fn refusal(
    go: &GoCommand,
    goroot: &str,
    said: &PkgConfigText,
) -> Result<Option<String>, PlanError> {
    let folder = temporary_folder()?;
    let program = folder.path().join("pkg-config");
    write(folder.path(), &program, said).map_err(|source| PlanError::Temporary {
        folder: folder.path().display().to_string(),
        source,
    })?;
    let mut go = go.clone();
    // Outside of the user's module, whose release is the one of this GOROOT.
    go.program = Path::new(goroot).join("bin/go");
    go.cwd = folder.path().to_owned();
    for (name, value) in [
        ("GOTOOLCHAIN", "local".into()),
        ("GOWORK", "off".into()),
        ("CGO_ENABLED", "1".into()),
        ("PKG_CONFIG", program.into_os_string()),
        ("CGO_CPPFLAGS_DISALLOW", STOP.into()),
    ] {
        go.env.push((name.into(), value));
    }
    // A file by itself needs no module, and -find nothing that it imports.
    let failed = |detail: String| PlanError::Tool {
        program: "go list, asked which flags of pkg-config it allows,".to_owned(),
        detail,
    };
    let ask = || {
        let output = go.ask(&[
            "list",
            "-e",
            "-find",
            "-compiled",
            "-json=Error",
            "asked.go",
        ])?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            return Err(failed(text.trim_end().to_owned()));
        }
        let listed: Listed = serde_json::from_slice(&output.stdout)
            .map_err(|error| failed(format!("its answer is no JSON ({error})")))?;
        Ok(listed.error.map(|error| error.err).unwrap_or_default())
    };
    let mut why = ask()?;
    for _ in 0..BUSY_TRIES {
        // A process that another thread started while the script was written has it open until it becomes another program.
        if !why.contains("text file busy") {
            break;
        }
        std::thread::sleep(BUSY_PAUSE);
        why = ask()?;
    }
    if why.starts_with(&format!("invalid flag in #cgo CPPFLAGS: {STOP}")) {
        return Ok(None);
    }
    let is_refusal = ["pkg-config --", "pkgconf output", "parsing $CGO_"];
    match is_refusal.iter().any(|words| why.contains(words)) {
        true => Ok(Some(why)),
        false => Err(failed(match why.is_empty() {
            true => "it has nothing against a flag that was forbidden".to_owned(),
            false => why,
        })),
    }
}

/// The package, and a program that says what pkg-config said.
fn write(folder: &Path, program: &Path, said: &PkgConfigText) -> io::Result<()> {
    let quoted = |text: &str| text.replace('\'', "'\\''");
    let script = format!(
        "#!/bin/sh\ncase $1 in\n--cflags) printf %s '{}' ;;\n--libs) printf %s '{}' ;;\nesac\n",
        quoted(&said.cflags),
        quoted(&said.libs)
    );
    fs::write(folder.join("asked.go"), SOURCE)?;
    fs::write(program, script)?;
    fs::set_permissions(program, fs::Permissions::from_mode(0o700))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(cflags: &str, libs: &str, env: &[(&str, &str)]) -> Option<String> {
        let mut go = GoCommand::new("/");
        let goroot = go.go_env().unwrap().get("GOROOT").to_owned();
        for (name, value) in env {
            go.env.push((name.into(), value.into()));
        }
        let said = PkgConfigText {
            cflags: cflags.to_owned(),
            libs: libs.to_owned(),
        };
        refusal(&go, &goroot, &said).unwrap()
    }

    #[test]
    fn flags_are_allowed_as_go_allows_them() {
        assert_eq!(asked("-I/a\\ b -DX=\"it's\"\n", "-L/x -lm\n", &[]), None);
        assert_eq!(asked("", "", &[]), None);
        for (cflags, libs, why) in [
            (
                "-fplugin=x.so",
                "-lm",
                "invalid flag in pkg-config --cflags: -fplugin=x.so",
            ),
            (
                "-I/x",
                "-Wl,--what",
                "invalid flag in pkg-config --libs: -Wl,--what",
            ),
            ("-I", "", "invalid flag in pkg-config --cflags: -I"),
            (
                "-I$X",
                "",
                "unexpected shell character '$' in pkgconf output",
            ),
        ] {
            let said = asked(cflags, libs, &[]).unwrap();
            assert!(said.starts_with(why), "{said}");
        }
    }

    #[test]
    fn what_the_user_allows_and_forbids_counts() {
        let plugin = [("CGO_CFLAGS_ALLOW", "-fplugin=.*")];
        assert_eq!(asked("-fplugin=x.so", "", &plugin), None);
        assert_eq!(
            asked("-fplugin=x.so", "", &[("CGO_CFLAGS_ALLOW", ".*")]),
            None
        );
        assert!(asked("-I/x", "", &[("CGO_CFLAGS_DISALLOW", "-I.*")]).is_some());
        let broken = asked("-I/x", "", &[("CGO_CFLAGS_ALLOW", "(")]).unwrap();
        assert!(
            broken.starts_with("parsing $CGO_CFLAGS_ALLOW: "),
            "{broken}"
        );
    }
}

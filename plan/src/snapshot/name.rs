//! The name of a snapshot: a digest of all that a plan depends on and that no fact says.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use gofarm_identity::c_toolchain::PLACES;

use crate::action::assemble::split_quoted;
use crate::action::environment;
use crate::gocmd::GoCommand;
use crate::machine::MachineFact;
use crate::request::{PlanRequest, last_value};

/// Changes with the meaning of what is in the file.
const FORMAT: &str = "gofarm plan snapshot v4";

/// The name under which the plan of this request is kept; `None` for requests that are planned anew each time.
pub(super) fn of(go: &GoCommand, request: &PlanRequest) -> Option<String> {
    let goflags = go.var("GOFLAGS");
    let mut hasher = blake3::Hasher::new_derive_key(FORMAT);
    let mut add = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    for flag in request.flags.iter().filter(|flag| is_deciding(flag)) {
        add(flag);
    }
    add(&format!("{:?}", request.packages));
    add(&request.trimpath.to_string());
    add(&format!("{:?}", request.compilers));
    let flags = request.flags_behind(&goflags);
    if flags.iter().any(|flag| is(flag, "buildmode")) {
        // The linker writes the name of a library into it.
        add(&format!("{:?}", request.output));
    }
    add(&go.cwd.to_string_lossy());
    let mut env: Vec<(String, String)> = go
        .env
        .iter()
        .map(|(name, value)| {
            (
                name.to_string_lossy().into_owned(),
                value.to_string_lossy().into_owned(),
            )
        })
        .filter(|(name, _)| decides(name))
        .collect();
    env.sort();
    env.dedup();
    for (name, value) in &env {
        add(name);
        match name.as_str() {
            "GOFLAGS" => add(&deciding_words(value)),
            _ => add(value),
        }
    }
    let located = go.locate()?;
    add(&format!("{:?}", MachineFact::of(&located)));
    if !is_go_itself(&located) {
        add(&which_go(go)?);
    }
    add(&String::from_utf8_lossy(
        &fs::read(goenv_file(go)).unwrap_or_default(),
    ));
    if let Ok(own) = std::env::current_exe() {
        add(&format!("{:?}", MachineFact::of(&own)));
    }
    Some(hasher.finalize().to_hex().to_string())
}

/// Whether a program is the go command of a release. Version managers put a program of their own in its place, which starts
/// what files, variables and folders say of which nobody else knows.
fn is_go_itself(located: &Path) -> bool {
    let Ok(real) = located.canonicalize() else {
        return false;
    };
    let root = real.parent().and_then(Path::parent);
    let mut begins = [0; 2];
    let read = fs::File::open(&real).and_then(|mut file| file.read_exact(&mut begins));
    read.is_ok()
        && begins != *b"#!"
        && real.file_name().is_some_and(|name| name == "go")
        && root.is_some_and(|root| root.join("VERSION").is_file() && root.join("pkg/tool").is_dir())
}

/// Which go command is started, and what it is told besides; nothing where it does not say.
fn which_go(go: &GoCommand) -> Option<String> {
    // Those that cmd/go knows without asking a C compiler (`ExtraEnvVarsCostly` in cmd/go/internal/envcmd/env.go).
    const ASKED: [&str; 20] = [
        "CC",
        "CGO_ENABLED",
        "CXX",
        "GO386",
        "GOAMD64",
        "GOARCH",
        "GOARM",
        "GOARM64",
        "GODEBUG",
        "GOEXPERIMENT",
        "GOFIPS140",
        "GOFLAGS",
        "GOMODCACHE",
        "GOOS",
        "GOPATH",
        "GOPROXY",
        "GOROOT",
        "GOTOOLCHAIN",
        "GOVERSION",
        "GOWORK",
    ];
    let said = go.ask(&[&["env", "-json"][..], &ASKED].concat()).ok()?;
    said.status
        .success()
        .then(|| String::from_utf8_lossy(&said.stdout).into_owned())
}

/// The file that -modfile names.
pub(super) fn module_file(go: &GoCommand, goflags: &str, request: &PlanRequest) -> Option<PathBuf> {
    let flags = request.flags_behind(goflags);
    let named = last_value(flags.iter().map(String::as_str), "modfile")?;
    Some(go.cwd.join(named))
}

fn is(flag: &str, name: &str) -> bool {
    let flag = flag.trim_start_matches('-');
    flag.split('=').next() == Some(name)
}

/// GOFLAGS, as far as they decide.
fn deciding_words(goflags: &str) -> String {
    let mut words = split_quoted(goflags);
    words.retain(|word| is_deciding(word));
    words.join("\0")
}

/// False for flags that say how cmd/go works and what it shows. What -o says is looked at by itself.
fn is_deciding(flag: &str) -> bool {
    const OTHER: [&str; 7] = ["p", "a", "n", "o", "v", "x", "work"];
    !OTHER.iter().any(|name| is(flag, name))
}

/// The file in which `go env -w` keeps its settings (cmd/go/internal/cfg/cfg.go, `EnvFile`).
pub(super) fn goenv_file(go: &GoCommand) -> PathBuf {
    let named = go.var("GOENV");
    if named == "off" {
        return PathBuf::from("/dev/null");
    }
    if !named.is_empty() {
        return PathBuf::from(named);
    }
    let config = go.var("XDG_CONFIG_HOME");
    let config = if config.is_empty() {
        Path::new(&go.var("HOME")).join(".config")
    } else {
        PathBuf::from(config)
    };
    config.join("go/env")
}

/// Variables that cmd/go, its helpers, or the planner read, and that decide what is planned.
pub(crate) fn decides(name: &str) -> bool {
    const NAMES: [&str; 9] = [
        "AR",
        "CC",
        "CXX",
        "FC",
        "GCCGO",
        "HOME",
        "PATH",
        "XDG_CONFIG_HOME",
        "TMPDIR",
    ];
    // How much and how fast the go command itself works.
    const OWN: [&str; 6] = [
        "GOCACHE",
        "GOGC",
        "GOMAXPROCS",
        "GOMEMLIMIT",
        "GOTRACEBACK",
        "GOTMPDIR",
    ];
    (name.starts_with("GO") && !name.starts_with("GOFARM_") && !OWN.contains(&name))
        || name.starts_with("CGO_")
        || name.starts_with("PKG_CONFIG")
        || name.starts_with("GIT_")
        || NAMES.contains(&name)
        // What actions get, and what C compilers are refused to be given.
        || environment::COMPILER.contains(&name)
        || PLACES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn go(env: &[(&str, &str)]) -> GoCommand {
        let mut go = GoCommand::new("/");
        go.env = vec![("PATH".into(), std::env::var_os("PATH").unwrap())];
        go.env
            .extend(env.iter().map(|(name, value)| (name.into(), value.into())));
        go
    }

    #[test]
    fn what_decides_no_plan_is_in_no_name() {
        let request = PlanRequest::default();
        let plain = of(&go(&[]), &request).unwrap();
        for env in [
            ("GOMAXPROCS", "3"),
            ("SSH_AUTH_SOCK", "/tmp/x"),
            ("GOFARM_USER", "u"),
        ] {
            assert_eq!(of(&go(&[env]), &request).unwrap(), plain, "{env:?}");
        }
        let output = PlanRequest {
            output: Some("x".into()),
            ..PlanRequest::default()
        };
        assert_eq!(of(&go(&[]), &output).unwrap(), plain);
        let flags = |text| of(&go(&[("GOFLAGS", text)]), &request).unwrap();
        assert_eq!(flags("-p=3 -tags=a"), flags("-tags=a  -v"));
        assert_ne!(flags("-tags=a"), flags("-tags=b"));
        assert_ne!(flags("'-ldflags=-s -v'"), flags("'-ldflags=-s -x'"));
        for name in ["GOOS", "LD_RUN_PATH", "SOURCE_DATE_EPOCH", "CPATH"] {
            assert_ne!(
                of(&go(&[(name, "windows")]), &request).unwrap(),
                plain,
                "{name}"
            );
        }
    }
}

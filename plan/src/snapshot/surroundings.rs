//! What the go command needs of its surroundings to work at all, and no plan depends on: it is looked at each time, because a go command
//! that could not work says so.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::name::goenv_file;
use crate::action::assemble::split_quoted;
use crate::gocmd::GoCommand;
use crate::goflags::kept;

/// Whether a go command could work here. Where it could not, it is to be asked, for the words in which it says why.
pub(super) fn serve(go: &GoCommand) -> bool {
    let settings = Settings {
        go,
        // What cannot be read says nothing to cmd/go, either.
        file: fs::read(goenv_file(go)).unwrap_or_default(),
    };
    is_memory_limit(&go.var("GOMEMLIMIT"))
        && settings.has_work_folder()
        && settings.has_cache()
        && settings.has_cache_program()
}

struct Settings<'a> {
    go: &'a GoCommand,
    /// What `go env -w` has written.
    file: Vec<u8>,
}

impl Settings<'_> {
    /// A variable, or what `go env -w` has kept of it (`Getenv` in cmd/go/internal/cfg/cfg.go).
    fn get(&self, name: &str) -> String {
        let set = self.go.var(name);
        match set.is_empty() {
            true => kept(&self.file, name).unwrap_or_default(),
            false => set,
        }
    }

    /// Whether a folder can be made for a build's own work, as go makes one (`NewBuilder` in cmd/go/internal/work/action.go).
    fn has_work_folder(&self) -> bool {
        let folders = [
            self.get("GOTMPDIR"),
            self.go.var("TMPDIR"),
            "/tmp".to_owned(),
        ];
        let named = folders.iter().find(|folder| !folder.is_empty());
        let folder = self.go.cwd.join(named.map_or("/tmp", String::as_str));
        let made = tempfile::Builder::new()
            .prefix("go-build")
            .tempdir_in(folder);
        made.and_then(tempfile::TempDir::close).is_ok()
    }

    /// Whether there is a build cache, or can be one (`DefaultDir` and `initDefaultCache` in cmd/go/internal/cache/default.go).
    fn has_cache(&self) -> bool {
        let named = self.get("GOCACHE");
        let folder = match (named.as_str(), self.go.var("XDG_CACHE_HOME")) {
            ("", xdg) if xdg.is_empty() => Path::new(&self.go.var("HOME")).join(".cache/go-build"),
            ("", xdg) => PathBuf::from(xdg).join("go-build"),
            (named, _) => PathBuf::from(named),
        };
        if !folder.is_absolute() {
            return false;
        }
        let found = folder
            .ancestors()
            .find_map(|folder| match folder.metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                found => Some(found),
            });
        matches!(found, Some(Ok(metadata)) if metadata.is_dir())
    }

    /// Whether the program that stands for the build cache is there.
    fn has_cache_program(&self) -> bool {
        match split_quoted(&self.get("GOCACHEPROG")).first() {
            None => true,
            Some(program) => self
                .go
                .look_up(Path::new(program))
                .is_some_and(|path| path.is_file()),
        }
    }
}

/// Whether Go's runtime takes this for a limit (`parseByteCount` and `readGOMEMLIMIT` in the runtime): with another text no Go program
/// starts.
fn is_memory_limit(text: &str) -> bool {
    let number = ["KiB", "MiB", "GiB", "TiB", "B"]
        .iter()
        .find_map(|unit| text.strip_suffix(unit))
        .unwrap_or(text);
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    matches!(text, "" | "off") || (is_number && number.parse::<i64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_go_could_not_work_it_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        fs::write(path("file"), "GOTMPDIR=/nowhere/at/all\n").unwrap();
        let go = |name: &str, value: &str| {
            let mut go = GoCommand::new(folder.path());
            let home = path("home");
            go.env = vec![("PATH".into(), std::env::var_os("PATH").unwrap())];
            go.env.push(("HOME".into(), home.into()));
            go.env.push((name.into(), value.into()));
            go
        };
        for (name, value) in [
            ("GOTMPDIR", path("nothing")),
            ("GOTMPDIR", path("file")),
            ("TMPDIR", path("nothing")),
            ("GOENV", path("file")),
            ("GOCACHE", "off".to_owned()),
            ("GOCACHE", "relative".to_owned()),
            ("GOCACHE", path("file")),
            ("GOCACHE", path("file/below")),
            ("XDG_CACHE_HOME", path("file")),
            ("HOME", path("file")),
            ("GOCACHEPROG", path("nothing")),
            ("GOMEMLIMIT", "much".to_owned()),
            ("GOMEMLIMIT", "KiB".to_owned()),
        ] {
            let go = go(name, &value);
            assert!(!serve(&go), "{name}={value}");
            let said = go.ask(&["build", "-n", "cmd/asm"]).unwrap();
            let other = go.ask(&["env", "-json"]).unwrap();
            assert!(
                !(said.status.success() && other.status.success()),
                "go works with {name}={value}"
            );
        }
        for (name, value) in [
            ("GOTMPDIR", path("")),
            ("GOCACHE", path("cache/of/go")),
            ("GOMEMLIMIT", "512MiB".to_owned()),
            ("GOMEMLIMIT", "off".to_owned()),
            ("GOGC", "bad".to_owned()),
            ("GOMAXPROCS", "bad".to_owned()),
        ] {
            let go = go(name, &value);
            assert!(serve(&go), "{name}={value}");
            let said = go.ask(&["env", "-json"]).unwrap();
            assert!(
                said.status.success(),
                "go does not work with {name}={value}"
            );
        }
    }
}

//! `-toolexec`: a program that starts the tools of Go.
//!
//! cmd/go puts it and its own arguments before each tool that it starts (compile, link, asm, cgo, cover, preprofile) and asks
//! it for their versions, which are in the identities. In an action it is an input, so its content is in the key.

use std::path::{Path, PathBuf};

use crate::action::assemble::split_quoted;
use crate::error::PlanError;
use crate::gocmd::{Answer, GoCommand};
use crate::host::{Host, Kind, ThisHost};
use crate::lookups::Lookups;
use crate::request::last_value;
use crate::roots::Roots;

/// A wrapper and its own arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapper {
    /// As they were given: a name that is found on PATH, or a path.
    words: Vec<String>,
    /// The file.
    program: PathBuf,
}

impl Wrapper {
    /// The wrapper that a value of -toolexec names; `None` when it names none, or one that is not there, of which cmd/go
    /// tells.
    ///
    /// # Errors
    /// A path that is not absolute: cmd/go starts the program in several folders.
    pub fn named(go: &GoCommand, text: &str) -> Result<Option<Wrapper>, PlanError> {
        Wrapper::found(&ThisHost, go, text)
    }

    fn found(host: &dyn Host, go: &GoCommand, text: &str) -> Result<Option<Wrapper>, PlanError> {
        let words = split_quoted(text);
        let Some(name) = words.first().filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        if name.contains('/') && !name.starts_with('/') {
            return Err(PlanError::Unsupported {
                what: format!("-toolexec={text}"),
                why: "go starts the program in several folders, and in each a relative path is another file; give an \
                      absolute one"
                    .to_owned(),
            });
        }
        let found = host.look_up(go, Path::new(name));
        let program = found.filter(|program| host.kind(program) == Some(Kind::File));
        Ok(program.map(|program| Wrapper { words, program }))
    }

    /// The one that these flags name.
    pub(crate) fn of<'a>(
        host: &dyn Host,
        go: &GoCommand,
        flags: impl IntoIterator<Item = &'a str>,
    ) -> Result<Option<Wrapper>, PlanError> {
        last_value(flags, "toolexec").map_or(Ok(None), |text| Wrapper::found(host, go, text))
    }

    /// The file.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// What cmd/go puts before a tool.
    pub(crate) fn words(&self) -> &[String] {
        &self.words
    }

    /// Its arguments, without itself.
    pub(crate) fn arguments(&self) -> &[String] {
        &self.words[1..]
    }

    /// Gives the program a place of its own inside an action, wherever it lies, so that actions are the same. What it is decides
    /// what it says of tools, so all of it counts for the plan.
    pub(crate) fn add_root(&self, lookups: &Lookups, roots: &mut Roots) {
        lookups.counts_whole(&self.program);
        let name = self.program.file_name().unwrap_or_default();
        roots.add(
            &self.program.to_string_lossy(),
            &format!("toolexec/{}", name.to_string_lossy()),
        );
    }

    /// Asks for the version of a tool, as cmd/go does each time (`toolID` in cmd/go/internal/work/buildid.go).
    pub(crate) fn ask_version(&self, host: &dyn Host, go: &GoCommand, tool: &str) -> Answer {
        let words = self.words.iter().map(String::as_str);
        let argv = words.chain([tool, "-V=full"]).map(str::to_owned);
        let argv: Vec<String> = argv.collect();
        let output = host.ask_tool(go, &argv, &go.cwd);
        Answer::of(argv, go.cwd.to_string_lossy().into_owned(), output)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_wrapper_is_found_where_go_finds_it() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("bin/wrap");
        for folder in ["data", "bin"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
            std::fs::write(dir.path().join(folder).join("wrap"), "").unwrap();
        }
        // What nobody may start is no program.
        std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        let mut go = GoCommand::new("/");
        let path = std::env::join_paths(["data", "bin"].map(|name| dir.path().join(name)));
        go.env = vec![("PATH".into(), path.unwrap())];
        let named = |text: &str| Wrapper::named(&go, text);
        let by_name = named("wrap 'a b' c").unwrap().unwrap();
        assert_eq!(by_name.program(), program);
        assert_eq!(by_name.arguments(), ["a b", "c"]);
        let by_path = named(program.to_str().unwrap()).unwrap().unwrap();
        assert_eq!(by_path.program(), program);
        for nothing in ["", " ", "other", "/nowhere/wrap"] {
            assert_eq!(named(nothing).unwrap(), None, "{nothing}");
        }
        for relative in ["./wrap", "tools/wrap"] {
            assert!(named(relative).is_err(), "{relative}");
        }
        let flags = ["-toolexec=other", "-v", "--toolexec=wrap"];
        assert!(Wrapper::of(&ThisHost, &go, flags).unwrap().is_some());
        let taken_back = ["-toolexec=wrap", "-toolexec="];
        assert_eq!(Wrapper::of(&ThisHost, &go, taken_back).unwrap(), None);
    }
}

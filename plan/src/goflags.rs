//! GOFLAGS, as the go command has it, found out without obeying it.
//!
//! Every command of cmd/go takes from GOFLAGS the flags that it has itself, so a question is another one there: with `-u` in it
//! `go env GOFLAGS` takes the setting out of the user's file. Questions are therefore asked with a [`MARK`] in its place, which no
//! answer depends on, and what it stands for is put in afterwards.

use std::fs;
use std::path::Path;

/// A flag that `go build` has and the commands that answer questions have not. Not nothing: then the user's settings file counts
/// (`Getenv` in cmd/go/internal/cfg/cfg.go).
pub(crate) const MARK: &str = "-tags=gofarm_asks";

/// What a question about GOFLAGS is answered from.
pub(crate) struct Asked<'a> {
    /// GOFLAGS in the answer of a go command that was given the [`MARK`].
    pub answer: &'a str,
    /// GOFLAGS in the user's environment.
    pub environment: &'a str,
    /// GOENV in the answer.
    pub settings_file: &'a str,
    /// GOROOT in the answer.
    pub goroot: &'a str,
}

impl Asked<'_> {
    /// The value that `go build` would have.
    pub fn value(&self) -> String {
        // A script named go may have added words of its own, for which it saw nothing when there is nothing.
        if self.answer != MARK || !self.environment.is_empty() {
            return self.answer.replace(MARK, self.environment);
        }
        let defaults = Path::new(self.goroot).join("go.env");
        let files = [Path::new(self.settings_file), &defaults];
        files
            .into_iter()
            // What cannot be read says nothing to cmd/go, either.
            .find_map(|file| kept(&fs::read(file).ok()?, "GOFLAGS"))
            .unwrap_or_default()
    }
}

/// A variable in a file of settings, as cmd/go reads it (`readEnvFile` in cmd/go/internal/cfg/cfg.go): the last line counts, and the
/// rest of a line is the value as it stands.
pub(crate) fn kept(file: &[u8], name: &str) -> Option<String> {
    let lines = file.split(|&byte| byte == b'\n');
    let last = lines
        .filter_map(|line| {
            line.strip_prefix(name.as_bytes())?
                .strip_prefix(b"=".as_slice())
        })
        .next_back()?;
    Some(String::from_utf8_lossy(last).into_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::ffi::OsString;

    use super::*;
    use crate::gocmd::GoCommand;

    /// A go command with a home and a settings file of its own.
    struct Place {
        folder: tempfile::TempDir,
        go: GoCommand,
    }

    impl Place {
        fn new(settings: &[u8]) -> Place {
            let folder = tempfile::tempdir().unwrap();
            let path = |name: &str| -> OsString { folder.path().join(name).into() };
            fs::create_dir(path("home")).unwrap();
            fs::write(path("settings"), settings).unwrap();
            let go = GoCommand {
                program: "go".into(),
                cwd: folder.path().to_owned(),
                env: vec![
                    ("PATH".into(), std::env::var_os("PATH").unwrap()),
                    ("HOME".into(), path("home")),
                    ("GOENV".into(), path("settings")),
                    ("GOCACHE".into(), path("gocache")),
                    ("GOTOOLCHAIN".into(), "local".into()),
                    ("CGO_ENABLED".into(), "0".into()),
                ],
            };
            Place { folder, go }
        }

        fn set(&mut self, goflags: &str) {
            self.go.env.retain(|(name, _)| name != "GOFLAGS");
            self.go.env.push(("GOFLAGS".into(), goflags.into()));
        }

        fn settings(&self) -> Vec<u8> {
            fs::read(self.folder.path().join("settings")).unwrap()
        }
    }

    /// The names of all flags that some command of cmd/go has, and some that none has: every word in quotes behind `Flag.` or
    /// `flags.` on a line of its source.
    fn flags_of_go(goroot: &str) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let mut folders = vec![Path::new(goroot).join("src/cmd/go/internal")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|ext| ext == "go") {
                    let text = fs::read_to_string(path).unwrap();
                    let calls = text.lines().filter(|line| {
                        ["Flag.", "flags.", "flag.", "fs."]
                            .iter()
                            .any(|set| line.contains(set))
                    });
                    let words = calls.flat_map(|line| line.split('"').skip(1).step_by(2));
                    names.extend(
                        words
                            .filter(|word| {
                                !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric())
                            })
                            .map(str::to_owned),
                    );
                }
            }
        }
        names
    }

    #[test]
    fn no_flag_in_goflags_changes_what_go_env_answers_or_does() {
        const SETTINGS: &[u8] = b"GOPROXY=off\nGOFLAGS=-mod=mod\nGONOSUMDB=x\n";
        let mut place = Place::new(SETTINGS);
        let plain = place.go.go_env().unwrap();
        assert_eq!(plain.get("GOFLAGS"), "-mod=mod");
        let mut names = flags_of_go(plain.get("GOROOT"));
        for known in [
            "u", "w", "json", "changed", "n", "x", "C", "tags", "toolexec", "m",
        ] {
            assert!(names.contains(known), "{known} is not among {names:?}");
        }
        assert!(names.len() > 80, "{names:?}");
        // A flag of a later release.
        names.insert("unheardof".to_owned());
        let mut all = String::new();
        for name in &names {
            for flag in [format!("-{name}"), format!("--{name}=x")] {
                place.set(&flag);
                assert_eq!(place.go.flags().unwrap(), flag);
                all = format!("{all} {flag}");
            }
        }
        // Each alone is one process too many where go env asks a C compiler.
        let alone = [
            "-n",
            "-x",
            "-u",
            "-json",
            "-w",
            "-changed",
            "-C=/",
            "-modfile=x",
        ];
        for goflags in alone.into_iter().chain([all.as_str(), "'", "-", "x", " "]) {
            place.set(goflags);
            let env = place.go.go_env().unwrap();
            for (name, value) in env.iter() {
                let wanted = match name {
                    "GOFLAGS" => goflags,
                    // A temporary folder is in it.
                    "GOGCCFLAGS" => continue,
                    _ => plain.get(name),
                };
                assert_eq!(value, wanted, "{name} with GOFLAGS={goflags}");
            }
        }
        assert_eq!(place.settings(), SETTINGS);
    }

    #[test]
    fn a_flag_of_go_env_in_the_settings_file_leaves_the_file_alone() {
        for flag in ["-u", "-w", "-json", "-changed", "-u=x"] {
            let settings = format!("GOFLAGS={flag}\nGOPROXY=off\n");
            let place = Place::new(settings.as_bytes());
            assert_eq!(place.go.flags().unwrap(), flag);
            assert_eq!(place.go.go_env().unwrap().get("GOFLAGS"), flag);
            assert_eq!(place.settings(), settings.as_bytes());
        }
    }

    #[test]
    fn words_that_a_script_named_go_adds_are_told() {
        use std::os::unix::fs::PermissionsExt;
        let mut place = Place::new(b"GOFLAGS=-mod=mod\n");
        let script = place.folder.path().join("go");
        fs::write(
            &script,
            "#!/bin/sh\nexport GOFLAGS=\"$GOFLAGS -tags=handed_over\"\nexec go \"$@\"\n",
        )
        .unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        place.go.program = script;
        assert_eq!(place.go.flags().unwrap(), " -tags=handed_over");
        place.set("-u");
        assert_eq!(place.go.flags().unwrap(), "-u -tags=handed_over");
    }

    /// Against `go env GOFLAGS`, with settings that have no flag of `go env`.
    #[test]
    fn a_settings_file_is_read_as_go_reads_it() {
        let names = [
            "GOFLAGS",
            " GOFLAGS",
            "#GOFLAGS",
            "GOFLAGSX",
            "goflags",
            "\u{feff}GOFLAGS",
        ];
        let values = [
            "",
            "=",
            "=-tags=a",
            " =-v",
            "= -v ",
            "='-tags=a b'",
            "=-v\r",
            "==",
            "=\"",
        ];
        let lines: Vec<String> = names
            .iter()
            .flat_map(|name| values.iter().map(move |value| format!("{name}{value}")))
            .collect();
        for (index, line) in lines.iter().enumerate() {
            let other = &lines[(index * 7 + 3) % lines.len()];
            let text = match index % 4 {
                0 => line.clone(),
                1 => format!("{line}\n"),
                2 => format!("{line}\n\n{other}\nGOPROXY=off"),
                _ => format!("\n{other}\n{line}\n"),
            };
            let place = Place::new(text.as_bytes());
            let argv = ["go", "env", "GOFLAGS"].map(str::to_owned);
            let said = place.go.ask_tool(&argv, place.folder.path()).unwrap();
            let said = String::from_utf8(said.stdout).unwrap();
            assert_eq!(format!("{}\n", place.go.flags().unwrap()), said, "{text:?}");
        }
    }
}

//! Flags that a user gives to Go's own tools with -gcflags, -asmflags and -ldflags: those that name files are refused by name.
//!
//! A tool runs inside an action, whose files are others than those of the user: a profile that it writes would be lost, and what it
//! reads would be in no key. The tables are what `go tool compile -h`, `asm -h` and `link -h` print, and a release that prints another
//! flag is told by the survey.

use crate::action::assemble::split_quoted;
use crate::error::PlanError;

/// What a flag does beside changing what its tool makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// Nothing; or what it names is looked at elsewhere (`action`).
    None,
    /// It names a file or a folder that the tool writes.
    Writes,
    /// It names a file that the tool reads, or a program that it starts.
    Reads,
    /// cmd/go gives it, too, or has nothing to go on with when it is given.
    Gos,
}

/// A Go tool, and the flags of it.
struct Tool {
    name: &'static str,
    /// The flag of `go build` that hands them on.
    given_by: &'static str,
    /// Without effect, by whether the next word is their value.
    switches: &'static [&'static str],
    values: &'static [&'static str],
    /// With one; each has a value but -V.
    others: &'static [(&'static str, Effect)],
}

#[rustfmt::skip]
const TOOLS: [Tool; 3] = [
    Tool {
        name: "compile",
        given_by: "gcflags",
        switches: &[
            "%", "+", "B", "C", "E", "K", "L", "N", "S", "W", "asan", "clobberdead", "clobberdeadreg", "complete", "dwarf",
            "dwarfbasentries", "dwarflocationlists", "dynlink", "e", "errorurl", "h", "j", "l", "linkshared", "live", "m", "msan",
            "nolocalimports", "pack", "r", "race", "shared", "smallframes", "std", "t", "u", "v", "w", "wb",
        ],
        values: &[
            "D", "I", "c", "d", "env", "gendwarfinl", "goversion", "installsuffix", "lang", "memprofilerate", "p", "spectre",
            "trimpath",
        ],
        others: &[
            ("V", Effect::Gos), ("asmhdr", Effect::Writes), ("bench", Effect::Writes), ("blockprofile", Effect::Writes),
            ("buildid", Effect::Gos), ("coveragecfg", Effect::Reads), ("cpuprofile", Effect::Writes),
            ("embedcfg", Effect::Reads), ("importcfg", Effect::Reads), ("json", Effect::Writes), ("linkobj", Effect::Writes),
            ("memprofile", Effect::Writes), ("mutexprofile", Effect::Writes), ("o", Effect::Gos),
            ("pgoprofile", Effect::Reads), ("symabis", Effect::Reads), ("traceprofile", Effect::Writes),
        ],
    },
    Tool {
        name: "asm",
        given_by: "asmflags",
        switches: &["S", "debug", "dynlink", "e", "linkshared", "shared", "std", "v"],
        values: &["D", "I", "d", "p", "spectre", "trimpath"],
        others: &[("V", Effect::Gos), ("gensymabis", Effect::Gos), ("o", Effect::Gos)],
    },
    Tool {
        name: "link",
        given_by: "ldflags",
        switches: &[
            "a", "asan", "aslr", "bindnow", "c", "checklinkname", "compressdwarf", "d", "debugnosplit", "dumpdep", "e", "f", "g",
            "h", "linkshared", "msan", "n", "pruneweakmap", "race", "s", "v", "w",
        ],
        values: &[
            "B", "D", "E", "H", "I", "L", "R", "T", "X", "benchmark", "buildid", "buildmode", "debugtextsize", "debugtramp", "extld",
            "extldflags", "funcalign", "installsuffix", "k", "linkmode", "macos", "macsdk", "memprofilerate", "pluginpath", "r",
            "randlayout", "strictdups",
        ],
        others: &[
            ("V", Effect::Gos), ("benchmarkprofile", Effect::Writes), ("capturehostobjs", Effect::Writes),
            ("cpuprofile", Effect::Writes), ("extar", Effect::Reads), ("fipso", Effect::Writes), ("importcfg", Effect::Reads),
            ("libgcc", Effect::Reads), ("memprofile", Effect::Writes), ("o", Effect::Gos), ("tmpdir", Effect::Writes),
        ],
    },
];

impl Tool {
    /// What a flag does, and whether the next word is its value; nothing for one that is not known.
    fn look_up(&self, name: &str) -> Option<(Effect, bool)> {
        if self.switches.contains(&name) {
            return Some((Effect::None, false));
        }
        if self.values.contains(&name) {
            return Some((Effect::None, true));
        }
        let known = self.others.iter().find(|(known, _)| *known == name)?;
        Some((known.1, !matches!(name, "V" | "gensymabis")))
    }

    /// The first flag that cannot be carried out, as its tool takes flags apart (Go's flag/flag.go, `parseOne`).
    fn refused<'a>(&self, words: &'a [String]) -> Option<(&'a str, Effect)> {
        let mut words = words.iter();
        while let Some(word) = words.next() {
            // A file of further flags (cmd/internal/objabi/flag.go, `expandArgs`).
            if word.starts_with('@') {
                return Some((word, Effect::Reads));
            }
            let text = word.strip_prefix('-')?;
            let text = text.strip_prefix('-').unwrap_or(text);
            let (name, value) = match text.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (text, None),
            };
            // The tool says itself that it does not know it.
            let (effect, has_value) = self.look_up(name)?;
            let value = match (value, has_value) {
                (None, true) => words.next().map(String::as_str),
                (value, _) => value,
            };
            // The linker's word for none.
            if (self.name, name, value) == ("link", "libgcc", Some("none")) {
                continue;
            }
            if effect != Effect::None {
                return Some((word, effect));
            }
            let settings = value.filter(|_| (self.name, name) == ("compile", "d"));
            if settings.is_some_and(|value| value.split(',').any(writes_dump)) {
                return Some((word, Effect::Writes));
            }
        }
        None
    }
}

/// Whether a setting of the compiler's -d names what is written: `ssa/PHASE/dump=FUNCTION`, `dumpinlfuncprops=FILE`.
fn writes_dump(setting: &str) -> bool {
    setting.starts_with("dumpinlfuncprops=")
        || setting
            .strip_prefix("ssa/")
            .is_some_and(|rest| rest.contains("/dump"))
}

/// Refuses what cannot be carried out among the flags of `go build`.
pub(crate) fn refuse(flags: &[String]) -> Result<(), PlanError> {
    for flag in flags {
        let Some((name, value)) = flag.trim_start_matches('-').split_once('=') else {
            continue;
        };
        let Some(tool) = TOOLS.iter().find(|tool| tool.given_by == name) else {
            continue;
        };
        // An optional pattern (`PerPackageFlag.Set` in cmd/go/internal/load/flag.go).
        let value = value.trim();
        let words = match value.split_once('=') {
            Some((_, words)) if !value.starts_with('-') => words,
            _ => value,
        };
        if let Some((word, effect)) = tool.refused(&split_quoted(words)) {
            let why = match effect {
                Effect::Reads => "what it names would be in no key; leave it out",
                Effect::Gos => {
                    "the go command gives the tool its own, by which the result is found; leave it out"
                }
                Effect::Writes | Effect::None => {
                    "the file that it names would be written inside of an action and be lost; use 'go build' for it"
                }
            };
            return Err(PlanError::Unsupported {
                what: format!("-{name} with the tool flag {word}"),
                why: why.to_owned(),
            });
        }
    }
    Ok(())
}

/// The names of Go's tools whose flags are known.
pub(crate) fn tools() -> impl Iterator<Item = &'static str> {
    TOOLS.iter().map(|tool| tool.name)
}

/// The flags in what `go tool NAME -h` prints that are not known, or take a value where they should not or the other way round.
pub(crate) fn unknown(name: &str, help: &str) -> Vec<String> {
    let Some(tool) = TOOLS.iter().find(|tool| tool.name == name) else {
        return Vec::new();
    };
    let flags = help.lines().filter_map(|line| line.strip_prefix("  -"));
    let unknown = flags.filter(|line| {
        // Behind a tab stands what it does.
        let (head, _) = line.split_once('\t').unwrap_or((line, ""));
        let (flag, value) = head.trim_end().split_once(' ').unwrap_or((head, ""));
        match tool.look_up(flag) {
            Some((_, has_value)) => has_value == value.is_empty(),
            None => true,
        }
    });
    unknown.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gocmd::GoCommand;

    fn said(flag: &str) -> Option<String> {
        refuse(&[flag.to_owned()])
            .err()
            .map(|error| error.to_string())
    }

    #[test]
    fn flags_that_name_files_are_refused() {
        for flag in [
            "-gcflags=-cpuprofile=x",
            "-gcflags=-N --memprofile x",
            "-gcflags=all=-l=4 -traceprofile=x",
            "-gcflags=-json=0,/x",
            "-gcflags=-d=checkptr,ssa/build/dump=F",
            "-gcflags=-d ssa/prove/dump",
            "-gcflags=-pgoprofile=",
            "-gcflags=@file",
            "-gcflags=-V=full",
            "-gcflags=-o x",
            "--gcflags=-buildid=",
            "-asmflags=./...=-gensymabis",
            "-asmflags=-o=x",
            "-ldflags=-s -w -cpuprofile=x",
            "-ldflags=-X main.a=b -tmpdir /x",
            "-ldflags=-extar=/bin/ar",
        ] {
            assert!(said(flag).is_some(), "{flag}");
        }
        let words = said("-ldflags=-s -o=x").unwrap();
        assert!(
            words.starts_with("-ldflags with the tool flag -o=x is not supported"),
            "{words}"
        );
    }

    #[test]
    fn other_flags_are_not() {
        for flag in [
            "-gcflags=",
            "-gcflags=all=-N -l",
            "-gcflags=-m=2 -d=ssa/check_bce/debug=1",
            "-gcflags=-p -o",
            "-gcflags=-nosuch -o=x",
            "-gcflags=x.go -o=x",
            "-asmflags=-D=X -I inc",
            "-ldflags=-s -w -buildid= -X main.v=-o",
            "-ldflags=-X -o",
            "-ldflags=-extldflags=-static",
            "-tags=-o=x",
        ] {
            assert_eq!(said(flag), None, "{flag}");
        }
    }

    #[test]
    fn the_tools_of_this_release_have_no_other_flags() {
        let go = GoCommand::new("/");
        for name in tools() {
            let help = go.ask(&["tool", name, "-h"]).unwrap();
            let help = String::from_utf8(help.stderr).unwrap();
            assert!(help.lines().count() > 10, "{help}");
            assert_eq!(unknown(name, &help), [""; 0], "{name}");
        }
        assert_eq!(
            unknown("asm", "  -o string\n  -what\tx\n  -S value\n"),
            ["-what\tx", "-S value"].map(|text| text[1..].to_owned())
        );
    }
}

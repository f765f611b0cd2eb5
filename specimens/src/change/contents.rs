//! Other content of files that are there.

use super::things::{Things, base, parent};
use super::{Change, Step};
use crate::random::Random;
use crate::specimen::Written;

/// An edit that makes sense in a file of this sort.
pub(super) fn edit(_: &Written, things: &Things, random: &mut Random) -> Option<Change> {
    let (path, content) = things.file(random)?;
    let text = std::str::from_utf8(content).ok()?;
    let keep_time = random.once_in(3);
    let (what, edited) = match sort(path) {
        Sort::Go => go(text, random)?,
        Sort::C => c(text, random)?,
        Sort::ModuleFile => module_file(text, random),
        Sort::WorkspaceFile => workspace_file(text, random),
        Sort::PkgConfig => pkg_config(text, random)?,
        Sort::Tool => ("another flag", text.replace("=1 ", "=2 ")),
        Sort::Other => other(text, random)?,
    };
    if edited == text {
        return None;
    }
    let kept = if keep_time { ", time kept" } else { "" };
    Some(Change::new(
        format!("{path}: {what}{kept}"),
        vec![Step::Write {
            path: path.clone(),
            content: edited.into_bytes(),
            keep_time,
        }],
    ))
}

/// A change of any file that knows nothing of what is in it.
pub(super) fn damage(_: &Written, things: &Things, random: &mut Random) -> Option<Change> {
    let (path, content) = things.file(random)?;
    let keep_time = random.once_in(2);
    let mut content = content.clone();
    // A go command that does nothing and ends well is none: nobody could do what it does.
    let is_go = path.starts_with("bin/go");
    let what = match random.below(5) {
        1 | 2 if is_go => return None,
        0 => {
            let digits: Vec<usize> = (0..content.len())
                .filter(|&at| content[at].is_ascii_digit())
                .collect();
            let at = *random.pick(&digits)?;
            content[at] = b'0' + (content[at] - b'0' + 1) % 10;
            "another digit, size kept"
        }
        1 => {
            content.truncate(content.len() / 2);
            "half of it"
        }
        2 => {
            if content.is_empty() {
                return None;
            }
            content.clear();
            "emptied"
        }
        3 => {
            content.push(b'\n');
            "an empty line at its end"
        }
        _ => {
            return Some(Change::new(
                format!("{path}: a new time, the same content"),
                vec![Step::Touch { path: path.clone() }],
            ));
        }
    };
    let kept = if keep_time { ", time kept" } else { "" };
    Some(Change::new(
        format!("{path}: {what}{kept}"),
        vec![Step::Write {
            path: path.clone(),
            content,
            keep_time,
        }],
    ))
}

enum Sort {
    Go,
    C,
    ModuleFile,
    WorkspaceFile,
    PkgConfig,
    Tool,
    Other,
}

fn sort(path: &str) -> Sort {
    if parent(path) == "bin" {
        return Sort::Tool;
    }
    let extension = base(path).rsplit_once('.').map_or("", |(_, end)| end);
    match extension {
        "go" => Sort::Go,
        "h" | "hpp" | "def" | "x" | "c" | "cpp" | "s" => Sort::C,
        "mod" => Sort::ModuleFile,
        "work" => Sort::WorkspaceFile,
        "pc" => Sort::PkgConfig,
        _ => Sort::Other,
    }
}

fn go(text: &str, random: &mut Random) -> Option<(&'static str, String)> {
    let clause = text
        .lines()
        .map(|line| line.trim_start_matches('\u{feff}'))
        .find(|line| line.starts_with("package "))?
        .split([';', '/'])
        .next()?
        .trim_end()
        .to_owned();
    let behind_clause = |added: &str| text.replacen(&clause, &format!("{clause}\n\n{added}"), 1);
    Some(match random.below(16) {
        0 | 1 => ("another digit in it", digit(text, random)?),
        2 => (
            "a function more",
            format!("{text}\nfunc added() int {{ return 1 }}\n"),
        ),
        3 => (
            "an initialiser more",
            format!("{text}\nfunc init() {{ println(\"added\") }}\n"),
        ),
        4 => ("a comment before it", format!("// Added.\n\n{text}")),
        5 => (
            "a constraint that holds",
            format!("//go:build linux\n\n{text}"),
        ),
        6 => (
            "a constraint that does not hold",
            format!("//go:build windows\n\n{text}"),
        ),
        7 => ("an import more", behind_clause("import _ \"strings\"\n")),
        8 => (
            "an import of nothing",
            behind_clause("import _ \"example.com/m/gone\"\n"),
        ),
        9 => (
            "another package name",
            text.replacen(&clause, "package renamed", 1),
        ),
        10 => ("a syntax error", format!("{text}\nfunc {{\n")),
        11 => (
            "a setting of the run time",
            format!("//go:debug panicnil=1\n{text}"),
        ),
        12 => (
            "a setting that there is not",
            format!("//go:debug nosuch=1\n{text}"),
        ),
        13 if text.contains("//go:embed ") => (
            "one more embedded pattern",
            text.replacen("//go:embed ", "//go:embed *.go ", 1),
        ),
        13 => (
            "an embedded file more",
            format!(
                "{}\n//go:embed go.mod\nvar added string\n",
                behind_clause("import _ \"embed\"\n")
            ),
        ),
        14 if text.contains("import \"C\"") => (
            "a C flag more",
            text.replacen("/*\n", "/*\n#cgo CFLAGS: -DADDED=1\n", 1),
        ),
        14 => (
            "C code",
            format!(
                "{}\n",
                behind_clause("// static int added(void) { return 1; }\nimport \"C\"\n")
            ),
        ),
        15 if text.contains("import \"C\"") => (
            "an included header more",
            text.replacen("/*\n", "/*\n#include \"added.h\"\n", 1),
        ),
        _ => (
            "an import less",
            text.lines()
                .filter(|line| !line.starts_with("import ") && !line.starts_with("\t\""))
                .map(|line| format!("{line}\n"))
                .collect(),
        ),
    })
}

fn c(text: &str, random: &mut Random) -> Option<(&'static str, String)> {
    Some(match random.below(7) {
        0 | 1 => ("another digit in it", digit(text, random)?),
        2 => ("a definition more", format!("{text}#define ADDED 1\n")),
        3 => (
            "another definition of the same",
            format!("{text}#undef VALUE\n#define VALUE 5\n"),
        ),
        4 => (
            "an included file that is not there",
            format!("#include \"u.def\"\n{text}"),
        ),
        5 => (
            "an included file of the system",
            format!("#include <stddef.h>\n{text}"),
        ),
        _ => (
            "a question for a file",
            format!("{text}#if __has_include(\"maybe.h\")\n#include \"maybe.h\"\n#endif\n"),
        ),
    })
}

fn module_file(text: &str, random: &mut Random) -> (&'static str, String) {
    match random.below(13) {
        0 => ("a comment more", format!("{text}// added\n")),
        1 => (
            "another language version",
            text.replace("go 1.24", "go 1.21"),
        ),
        2 => (
            "a version that there is not",
            text.replace("go 1.24", "go 1.99"),
        ),
        3 => (
            "a setting of the run time",
            format!("{text}\ngodebug panicnil=1\n"),
        ),
        4 => (
            "a requirement that cannot be met",
            format!("{text}\nrequire example.com/absent v1.0.0\n"),
        ),
        5 => (
            "another module path",
            text.replace("module example.com/", "module example.org/"),
        ),
        6 => ("a toolchain line", format!("{text}\ntoolchain go1.24.2\n")),
        7 => (
            "a toolchain line of a release to come",
            format!("{}\ntoolchain go1.99.0\n", without_toolchain(text)),
        ),
        8 => (
            "another toolchain line",
            format!("{}\ntoolchain go1.98.0\n", without_toolchain(text)),
        ),
        9 => (
            "the default toolchain",
            format!("{}\ntoolchain default\n", without_toolchain(text)),
        ),
        10 => ("no toolchain line", without_toolchain(text)),
        11 => (
            "a release that there will be",
            text.replace("go 1.24", "go 1.99.0"),
        ),
        _ => (
            "a newer version of what it requires",
            text.replace("lib v1.0.0", "lib v1.1.0"),
        ),
    }
}

fn without_toolchain(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("toolchain "));
    lines.map(|line| format!("{line}\n")).collect()
}

fn workspace_file(text: &str, random: &mut Random) -> (&'static str, String) {
    match random.below(6) {
        0 => ("a comment more", format!("{text}// added\n")),
        1 => (
            "a module that is not there",
            format!("{text}\nuse ./absent\n"),
        ),
        2 => (
            "a setting of the run time",
            format!("{text}\ngodebug panicnil=1\n"),
        ),
        3 => (
            "a toolchain line of a release to come",
            format!("{}\ntoolchain go1.99.0\n", without_toolchain(text)),
        ),
        4 => ("no toolchain line", without_toolchain(text)),
        _ => (
            "another language version",
            text.replace("go 1.24", "go 1.25"),
        ),
    }
}

fn pkg_config(text: &str, random: &mut Random) -> Option<(&'static str, String)> {
    Some(match random.below(4) {
        0 | 1 => ("another digit in it", digit(text, random)?),
        2 => (
            "a requirement that cannot be met",
            format!("{text}Requires: absent\n"),
        ),
        _ => (
            "a C flag more",
            text.replace("Cflags:", "Cflags: -DADDED=1"),
        ),
    })
}

fn other(text: &str, random: &mut Random) -> Option<(&'static str, String)> {
    Some(match random.below(3) {
        0 => ("another digit in it", digit(text, random)?),
        1 => ("a line more", format!("{text}added\n")),
        _ => (
            "a line less",
            text.lines()
                .skip(1)
                .map(|line| format!("{line}\n"))
                .collect(),
        ),
    })
}

/// The text with one digit replaced, which is not the last of a word of letters: `int8` stays what it is.
fn digit(text: &str, random: &mut Random) -> Option<String> {
    let bytes = text.as_bytes();
    let places: Vec<usize> = (1..bytes.len())
        .filter(|&at| bytes[at].is_ascii_digit() && !bytes[at - 1].is_ascii_alphanumeric())
        .collect();
    let at = *random.pick(&places)?;
    let other = char::from(b'1' + (bytes[at] - b'0' + 1) % 9);
    Some(format!("{}{other}{}", &text[..at], &text[at + 1..]))
}

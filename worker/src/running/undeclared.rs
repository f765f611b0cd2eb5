//! Finds, in what a failed tool printed, the files that it asked for and that its action did not declare.
//!
//! A sandbox does not say why a file is not there. But tools name the file that they could not open, and the worker knows
//! which files it staged, which the machine has and which it shows. Only what all of these agree on is reported.

use std::path::Path;

use gofarm_proto::{EXEC_ROOT, WORK_DIR};

/// What every libc, and Go, says of a file that is not there.
const NOT_THERE: &str = "no such file or directory";

/// What decides whether a path that was not found is an undeclared read.
pub(crate) struct Known<'a> {
    /// Whether this virtual path is an input.
    pub declared: &'a dyn Fn(&str) -> bool,
    /// Whether something is at this virtual path now.
    pub staged: &'a dyn Fn(&str) -> bool,
    /// Whether the action sees this path of the machine. Everything, without a sandbox.
    pub shown: &'a dyn Fn(&Path) -> bool,
}

/// The undeclared files that these lines name, in the order in which they do, each once.
pub(crate) fn undeclared_reads(output: &[u8], known: &Known<'_>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in String::from_utf8_lossy(output).lines() {
        if !line.to_ascii_lowercase().contains(NOT_THERE) {
            continue;
        }
        for path in absolute_paths(line) {
            if is_undeclared(path, known) && !found.iter().any(|other| other == path) {
                found.push(path.to_owned());
            }
        }
    }
    found
}

fn is_undeclared(path: &str, known: &Known<'_>) -> bool {
    let below = |folder: &str| {
        path.strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if below(WORK_DIR) {
        // Scratch and outputs: a file that an earlier step did not write was not withheld by the sandbox.
        false
    } else if below(EXEC_ROOT) {
        path.len() > EXEC_ROOT.len() && !(known.declared)(path) && !(known.staged)(path)
    } else {
        let path = Path::new(path);
        path.parent().is_some() && !(known.shown)(path) && path.exists()
    }
}

/// The flags by which C compilers are told where to look.
const SEARCHED: [&str; 13] = [
    "-isystem",
    "-isysroot",
    "-iquote",
    "-idirafter",
    "-include",
    "-imacros",
    "-iprefix",
    "--sysroot=",
    "--sysroot",
    "-I",
    "-L",
    "-B",
    "-F",
];

/// As [`undeclared_reads`], of the files and folders of the machine that a command line names: who looks for a header in a folder
/// that is not there only says the header's name.
pub(crate) fn undeclared_folders(argv: &[String], known: &Known<'_>) -> Vec<String> {
    let behind = |index: usize, word: &'_ str| -> Option<String> {
        let rest = SEARCHED.iter().find_map(|flag| word.strip_prefix(flag))?;
        let path = match rest {
            "" => argv.get(index + 1)?,
            rest => rest,
        };
        Some(path.to_owned())
    };
    let named = argv.iter().enumerate();
    let named = named.filter_map(|(index, word)| behind(index, word));
    let mut found: Vec<String> = named
        .filter(|path| path.starts_with('/') && !path.starts_with(EXEC_ROOT))
        .filter(|path| is_undeclared(path, known))
        .collect();
    found.dedup();
    found
}

/// The absolute paths in a line: up to a closing quote where one was opened, else up to the next space; without the colon
/// and the position that may follow.
fn absolute_paths(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices('/').filter_map(move |(at, _)| {
        let before = line[..at].chars().next_back();
        let rest = &line[at..];
        let end = match before {
            Some(quote @ ('"' | '\'' | '`')) => {
                // GNU opens with a backquote and closes with an apostrophe.
                let close = if quote == '`' { '\'' } else { quote };
                rest.find(close)?
            }
            Some('‘') => rest.find('’')?,
            None | Some('(' | '[' | '=' | ',') => rest
                .find(|c: char| c.is_whitespace() || ")],;".contains(c))
                .unwrap_or(rest.len()),
            Some(c) if c.is_whitespace() => rest
                .find(|c: char| c.is_whitespace() || ")],;".contains(c))
                .unwrap_or(rest.len()),
            Some(_) => return None,
        };
        Some(without_position(&rest[..end]))
    })
}

/// Cuts `:3:10:` and the like off.
fn without_position(path: &str) -> &str {
    match path.find(':') {
        Some(colon)
            if path[colon..]
                .chars()
                .all(|c| c == ':' || c.is_ascii_digit()) =>
        {
            &path[..colon]
        }
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(output: &str) -> Vec<String> {
        undeclared_reads(
            output.as_bytes(),
            &Known {
                declared: &|path| path == "/__gofarm__/main/a.go",
                staged: &|path| path == "/__gofarm__/main",
                shown: &|path| path.starts_with("/dev"),
            },
        )
    }

    #[test]
    fn go_gcc_and_shells_name_the_file() {
        let here = std::env::current_exe().unwrap();
        let here = here.to_str().unwrap();
        for line in [
            format!("open {here}: no such file or directory"),
            format!("cat: {here}: No such file or directory"),
            format!("cat: '{here}': No such file or directory"),
            format!("cc1: fatal error: {here}: No such file or directory"),
            format!("sh: 1: cannot open {here}: No such file or directory"),
            format!(
                "x.go:3: open {here}: no such file or directory\nagain: {here}: no such file or directory"
            ),
        ] {
            assert_eq!(reads(&line), [here], "{line}");
        }
        assert_eq!(
            reads("/__gofarm__/main/b.go:3:10: fatal error: x.h: No such file or directory"),
            ["/__gofarm__/main/b.go"]
        );
    }

    #[test]
    fn folders_that_a_compiler_is_to_search_are_named() {
        let here = std::env::current_exe().unwrap();
        let folder = here.parent().unwrap().to_str().unwrap();
        let known = Known {
            declared: &|_| false,
            staged: &|_| false,
            shown: &|path| path.starts_with("/usr"),
        };
        let found = |argv: &[&str]| {
            let argv: Vec<String> = argv.iter().map(|&word| word.to_owned()).collect();
            undeclared_folders(&argv, &known)
        };
        let glued = format!("-I{folder}");
        assert_eq!(found(&["gcc", "-isystem", folder, "-c"]), [folder]);
        assert_eq!(found(&["gcc", &glued, "-I", folder]), [folder]);
        for none in [
            "-I/usr/include",
            "-I/not/there",
            "-I/__gofarm__/main",
            "-Irelative",
            "-I",
        ] {
            assert!(found(&["gcc", none]).is_empty(), "{none}");
        }
        assert!(found(&["gcc", "-o", folder, &format!("-DX={folder}")]).is_empty());
    }

    #[test]
    fn there_are_no_false_alarms() {
        for line in [
            // A user's own mistake: the file is declared, what it includes is not anywhere.
            "/__gofarm__/main/a.go:3:10: fatal error: x.h: No such file or directory",
            "open /there/is/no/such/path: no such file or directory",
            "open /__gofarm__/w/out.o: no such file or directory",
            "open /__gofarm__/main: no such file or directory",
            "open /dev/nothing: no such file or directory",
            "/etc/passwd: permission denied",
            "open a/etc/passwd: no such file or directory",
            "https://example.com/etc: no such file or directory",
            "stat /: no such file or directory",
        ] {
            assert!(reads(line).is_empty(), "{line}: {:?}", reads(line));
        }
    }
}

//! One command line of the dry run, taken apart.
//!
//! cmd/go prints commands through `Shell.ShowCmd` (cmd/go/internal/work/shell.go). Two of its habits must be
//! undone to get back what it would have run: arguments are joined by `joinUnambiguously`, which quotes some of
//! them with Go's rules, and the folder of the last `cd` is printed as `.` wherever an unquoted argument
//! begins with it.

use super::quote::unquote_prefix;

/// A process that cmd/go would have started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    /// Working folder, absolute or below `$WORK`; `.` means where the `go` command was started.
    pub cwd: String,
    /// Set in addition to the environment of the `go` command.
    pub env: Vec<(String, String)>,
    /// Program and arguments, with absolute paths where cmd/go had them.
    pub argv: Vec<String>,
    /// The program of -toolexec starts it. That and its own arguments are not in `argv`.
    pub wrapped: bool,
}

impl Command {
    /// Takes the program of -toolexec and its arguments away, if a tool of Go stands behind them.
    pub fn unwrapped(mut self, wrapper: &[String]) -> Command {
        let count = wrapper.len();
        let starts = self.argv.iter().zip(wrapper).all(|(word, given)| {
            // An unquoted word has been through `undot`, which may take a dot of the user's for cmd/go's.
            word == given || *word == undot(given, &self.cwd)
        });
        let tool = self.argv.get(count).filter(|tool| is_tool(tool));
        if count > 0 && starts && tool.is_some() {
            self.argv.drain(..count);
            self.wrapped = true;
        }
        self
    }
}

/// Whether this is a program of GOROOT/pkg/tool.
pub(crate) fn is_tool(program: &str) -> bool {
    program.contains("/pkg/tool/")
}

/// Splits a printed command line; `None` when it is not one.
pub(crate) fn parse(line: &str, cwd: &str) -> Option<Command> {
    let mut env = Vec::new();
    let mut rest = line;
    while let Some((name, value, after)) = assignment(rest)? {
        env.push((name, value));
        rest = after;
    }
    let mut argv = Vec::new();
    for word in words(rest)? {
        argv.push(match word {
            Word::Quoted(text) => text,
            Word::Plain(text) => undot(text, cwd),
        });
    }
    (!argv.is_empty()).then(|| Command {
        cwd: cwd.to_owned(),
        env,
        argv,
        wrapped: false,
    })
}

enum Word<'a> {
    Plain(&'a str),
    Quoted(String),
}

/// The words of a line joined by `joinUnambiguously`: separated by one space, quoted as a whole or not at all.
fn words(mut rest: &str) -> Option<Vec<Word<'_>>> {
    let mut words = Vec::new();
    loop {
        if rest.starts_with('"') {
            let (bytes, len) = unquote_prefix(rest)?;
            words.push(Word::Quoted(String::from_utf8(bytes).ok()?));
            rest = &rest[len..];
        } else {
            let len = rest.find(' ').unwrap_or(rest.len());
            if len == 0 {
                return None;
            }
            words.push(Word::Plain(&rest[..len]));
            rest = &rest[len..];
        }
        match rest.strip_prefix(' ') {
            Some(after) => rest = after,
            None if rest.is_empty() => return Some(words),
            None => return None,
        }
    }
}

/// Reads `NAME='value' ` or `NAME="value" ` at the start of a line: `Some(None)` when there is none, `None`
/// when there is a broken one.
#[allow(clippy::option_option)]
fn assignment(line: &str) -> Option<Option<(String, String, &str)>> {
    let Some(equals) = line.find('=') else {
        return Some(None);
    };
    let name = &line[..equals];
    let is_name = !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if !is_name {
        return Some(None);
    }
    let value = &line[equals + 1..];
    if let Some(value) = value.strip_prefix('\'') {
        let end = value.find('\'')?;
        let after = value[end + 1..].strip_prefix(' ')?;
        return Some(Some((name.to_owned(), value[..end].to_owned(), after)));
    }
    if value.starts_with('"') {
        let (bytes, len) = unquote_prefix(value)?;
        let after = value[len..].strip_prefix(' ')?;
        return Some(Some((
            name.to_owned(),
            String::from_utf8(bytes).ok()?,
            after,
        )));
    }
    Some(None)
}

/// Puts the folder of the last `cd` back where ShowCmd wrote a dot.
fn undot(word: &str, cwd: &str) -> String {
    let undotted = match word.strip_prefix('.') {
        // A relative path of the user's own flags, which ShowCmd did not write.
        Some(rest) if rest == "." || rest.starts_with("./") => word.to_owned(),
        Some(rest) if cwd != "." => format!("{}{rest}", cwd.trim_end_matches('/')),
        _ => word.to_owned(),
    };
    // In a dry run `$WORK` is literal text and so not an absolute path: mkAbs puts the package folder
    // before it (cmd/go/internal/work/exec.go).
    match undotted.find("/$WORK/") {
        Some(at) => undotted[at + 1..].to_owned(),
        None => undotted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(line: &str, cwd: &str) -> Vec<String> {
        parse(line, cwd).unwrap().argv
    }

    #[test]
    fn a_dot_stands_for_the_folder_of_the_last_cd() {
        assert_eq!(
            argv("gcc -I . -I ./inc -I/src/p/x ./a.c", "/src/p"),
            [
                "gcc",
                "-I",
                "/src/p",
                "-I",
                "/src/p/inc",
                "-I/src/p/x",
                "/src/p/a.c"
            ]
        );
    }

    #[test]
    fn a_sibling_whose_name_begins_alike_is_put_back_too() {
        // `/src/p2/a.go` is printed as `.2/a.go` while the folder is /src/p.
        assert_eq!(
            argv("compile .2/a.go", "/src/p"),
            ["compile", "/src/p2/a.go"]
        );
    }

    #[test]
    fn quoted_words_are_taken_as_they_are() {
        assert_eq!(
            argv(r#"compile -trimpath "/a=>b;$WORK/b001=>" """#, "/a"),
            ["compile", "-trimpath", "/a=>b;$WORK/b001=>", ""]
        );
    }

    #[test]
    fn environment_comes_before_the_program() {
        let command = parse("TERM='dumb' CGO_LDFLAGS=\"it's\" cgo -x=1", "/a").unwrap();
        assert_eq!(
            command.env,
            [
                ("TERM".into(), "dumb".into()),
                ("CGO_LDFLAGS".into(), "it's".into())
            ]
        );
        assert_eq!(command.argv, ["cgo", "-x=1"]);
    }

    #[test]
    fn a_work_path_joined_to_the_package_folder_is_put_right() {
        assert_eq!(
            argv("cgo ./$WORK/b052/c.cover.go", "/src/p"),
            ["cgo", "$WORK/b052/c.cover.go"]
        );
    }

    #[test]
    fn a_wrapper_is_told_from_the_tool_behind_it() {
        let wrapper = ["/m/tools/wrap", "a b", "-x"].map(str::to_owned);
        let line = "TERM='dumb' ./tools/wrap \"a b\" -x /go/pkg/tool/linux_amd64/asm ./a.s";
        let command = parse(line, "/m").unwrap().unwrapped(&wrapper);
        assert!(command.wrapped);
        assert_eq!(command.argv, ["/go/pkg/tool/linux_amd64/asm", "/m/a.s"]);
        for other in [
            "/go/pkg/tool/linux_amd64/asm ./a.s",
            "./tools/wrap \"a b\" -x gcc ./a.c",
            "./tools/wrap \"a b\" /go/pkg/tool/linux_amd64/asm",
        ] {
            let command = parse(other, "/m").unwrap();
            assert_eq!(command.clone().unwrapped(&wrapper), command, "{other}");
        }
    }

    #[test]
    fn two_spaces_or_a_broken_quote_are_no_command() {
        assert_eq!(parse("gcc  a", "/a"), None);
        assert_eq!(parse("gcc \"a", "/a"), None);
        assert_eq!(parse("", "/a"), None);
    }
}

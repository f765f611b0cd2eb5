//! The shell script that `go build -n` prints, and the hash inputs that `GODEBUG=gocachehash=1` puts between.
//!
//! The parser is strict: a line that it does not know is an error that names the line. cmd/go prints the
//! script from one goroutine when it only prints (cmd/go/internal/work/exec.go: `if cfg.BuildN { par = 1 }`),
//! so entries stand in an order in which they could be run.

use super::command::{self, Command, is_tool};
use super::quote::unquote;

/// One thing that the script does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Starts a process.
    Run(Command),
    /// Writes a file (a heredoc or an `echo`).
    Write { path: String, content: Vec<u8> },
    /// Copies a source file to another name in the object folder.
    Copy { from: String, to: String },
    /// Puts a finished file where the user wants it.
    Move { from: String, to: String },
    /// Appends objects to an archive, which cmd/go does itself.
    Pack {
        archive: String,
        members: Vec<String>,
    },
    /// Computes the content ID of a file and writes it into the build ID, which cmd/go does itself.
    Stamp { path: String },
    /// The link whose failure means that a package must be linked externally.
    LinkTest,
}

/// What cmd/go hashed into one action ID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HashInput {
    /// "build fmt", "link cmd/gofmt".
    pub name: String,
    /// In order; the ID is the SHA-256 of their concatenation.
    pub parts: Vec<Vec<u8>>,
    /// Hex of the whole SHA-256.
    pub sum: String,
}

/// A parsed dry run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Script {
    pub entries: Vec<Entry>,
    pub hashes: Vec<HashInput>,
    /// What cmd/go says to the user beside the script, such as `go: downloading ...`.
    pub notes: Vec<String>,
}

/// A line of the dry run that the planner does not know.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {number} of the dry run of {go} is not understood: {line:?}: {why}")]
pub struct ScriptError {
    /// Counted from 1.
    pub number: usize,
    /// The line.
    pub line: String,
    /// What was expected.
    pub why: &'static str,
    /// The go version.
    pub go: String,
}

/// Parses what a dry run wrote to stderr. `wrapper` is what -toolexec says.
pub(crate) fn parse(stderr: &str, go: &str, wrapper: &[String]) -> Result<Script, ScriptError> {
    parse_past(stderr, go, wrapper, Err)
}

/// As [`parse`]; a line that is not understood is handed to `refused`, which says whether to go on behind it.
pub(crate) fn parse_past(
    stderr: &str,
    go: &str,
    wrapper: &[String],
    mut refused: impl FnMut(ScriptError) -> Result<(), ScriptError>,
) -> Result<Script, ScriptError> {
    let mut parser = Parser::new(wrapper);
    let mut lines = stderr.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let fail = |why| ScriptError {
            number: index + 1,
            line: line.chars().take(400).collect(),
            why,
            go: go.to_owned(),
        };
        if let Some(rest) = line.strip_prefix("HASH") {
            if let Err(why) = parser.hash_line(rest) {
                refused(fail(why))?;
            }
        } else if let Some(path) = heredoc(line) {
            let mut content = Vec::new();
            loop {
                let Some((_, line)) = lines.next() else {
                    refused(fail("the heredoc does not end"))?;
                    break;
                };
                // A text without a final newline has its EOF on the last line (Shell.writeFile).
                if line == "EOF" {
                    break;
                }
                if let Some(last) = line.strip_suffix("EOF")
                    && last.ends_with(['}', ']'])
                {
                    content.extend_from_slice(last.as_bytes());
                    break;
                }
                content.extend_from_slice(line.as_bytes());
                content.push(b'\n');
            }
            let path = path.to_owned();
            parser.script.entries.push(Entry::Write { path, content });
        } else if let Err(why) = parser.line(line) {
            refused(fail(why))?;
        }
    }
    Ok(parser.script)
}

/// What cmd/go says to the user in a dry run that fails: all that is no hash input and no part of the script. What it finds
/// while it carries the dry run out stands between the commands.
pub(crate) fn said(stderr: &str, wrapper: &[String]) -> String {
    let mut parser = Parser::new(wrapper);
    let lines: Vec<&str> = stderr
        .lines()
        .filter(|line| !line.starts_with("HASH"))
        .collect();
    let mut said = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let rest = &lines[at..];
        at += match rest {
            // What a package's commands begin with (Builder.build).
            ["", "#", title, "#", "", ..] if title.starts_with("# ") => 5,
            ["#", title, "#", "", ..] if title.starts_with("# ") => 4,
            [line, ..] if heredoc(line).is_some() => rest
                .iter()
                .position(|line| line.ends_with("EOF") && heredoc(line).is_none())
                .map_or(rest.len(), |end| end + 1),
            [line, ..] => {
                let talks = line.is_empty() || line.starts_with(['#', '\t', ' ']);
                let notes = parser.script.notes.len();
                let is_script =
                    !talks && parser.line(line).is_ok() && parser.script.notes.len() == notes;
                if !is_script {
                    said.push(*line);
                }
                1
            }
            [] => 1,
        };
    }
    said.join("\n")
}

fn heredoc(line: &str) -> Option<&str> {
    line.strip_prefix("cat >")?
        .strip_suffix(" << 'EOF' # internal")
}

struct Parser<'a> {
    script: Script,
    cwd: String,
    /// Hash inputs that have begun and not ended.
    open: Vec<HashInput>,
    wrapper: &'a [String],
}

impl Parser<'_> {
    fn new(wrapper: &[String]) -> Parser<'_> {
        Parser {
            script: Script::default(),
            cwd: ".".to_owned(),
            open: Vec::new(),
            wrapper,
        }
    }

    fn line(&mut self, line: &str) -> Result<(), &'static str> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if line.starts_with("go: ") || line.starts_with("warning: ") {
            self.script.notes.push(line.to_owned());
            return Ok(());
        }
        if let Some(folder) = line.strip_prefix("cd ") {
            self.cwd = folder.to_owned();
            return Ok(());
        }
        if line.starts_with("mkdir -p ")
            || line.starts_with("rm -rf ")
            || line.ends_with(" || true")
        {
            // Folders are made by whoever runs the steps; flag probes are asked anew (see `cc`).
            return Ok(());
        }
        let entry = if let Some(rest) = line.strip_prefix("echo ") {
            echo(rest).ok_or("expected echo 'text' > file # internal")?
        } else if let Some(rest) = line.strip_prefix("cp ") {
            let (from, to) = self.two_paths(rest)?;
            Entry::Copy { from, to }
        } else if let Some(rest) = line.strip_prefix("mv ") {
            let (from, to) = self.two_paths(rest)?;
            Entry::Move { from, to }
        } else if line.contains(" # test for internal linking errors (") {
            Entry::LinkTest
        } else if let Some(internal) = line.strip_suffix(" # internal") {
            self.internal(internal)?
        } else {
            let command = self.command(line)?;
            if !is_known(&command) {
                return Err("not a tool of GOROOT, a C compiler, pkg-config or swig");
            }
            Entry::Run(command)
        };
        self.script.entries.push(entry);
        Ok(())
    }

    fn command(&self, line: &str) -> Result<Command, &'static str> {
        let command = command::parse(line, &self.cwd).ok_or("expected a command line")?;
        let program = &command.argv[0];
        if program.starts_with('-') || program.contains(['\'', '`', '|', '&', '>', '<']) {
            return Err("expected a program name");
        }
        Ok(command.unwrapped(self.wrapper))
    }

    /// Steps that cmd/go prints as tools and does itself.
    fn internal(&self, line: &str) -> Result<Entry, &'static str> {
        let argv = self.command(line)?.argv;
        // Up to Go 1.24 the tool's path is printed, from 1.25 on `go tool NAME`.
        let rest = match argv.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["go", "tool", ..] => &argv[2..],
            _ => &argv[..],
        };
        let (tool, rest) = rest.split_first().ok_or("expected a tool")?;
        match (tool.rsplit('/').next().unwrap_or_default(), rest) {
            ("buildid", [flag, path]) if flag == "-w" => Ok(Entry::Stamp { path: path.clone() }),
            ("pack", [flag, archive, members @ ..]) if flag == "r" && !members.is_empty() => {
                Ok(Entry::Pack {
                    archive: archive.clone(),
                    members: members.to_vec(),
                })
            }
            _ => Err("an internal step other than pack r and buildid -w"),
        }
    }

    fn two_paths(&self, rest: &str) -> Result<(String, String), &'static str> {
        // Shell.CopyFile and moveOrCopyFile print paths unquoted, so a path with a space cannot be told
        // from two; `$WORK` tells them apart in all cases that occur.
        match rest.split(' ').collect::<Vec<_>>()[..] {
            [from, to] => Ok((from.to_owned(), to.to_owned())),
            _ => {
                let split = rest
                    .find(" $WORK/")
                    .or_else(|| rest.starts_with("$WORK/").then(|| rest.find(' ')).flatten())
                    .ok_or("two paths that cannot be told apart")?;
                Ok((rest[..split].to_owned(), rest[split + 1..].to_owned()))
            }
        }
    }

    /// `HASH[name]`, `HASH[name]: "part"`, `HASH[name]: sum`; others say nothing that is needed
    /// (cmd/go/internal/cache/hash.go).
    fn hash_line(&mut self, rest: &str) -> Result<(), &'static str> {
        let Some(rest) = rest.strip_prefix('[') else {
            return Ok(());
        };
        let (name, rest) = rest.split_once(']').ok_or("a hash name without an end")?;
        if !name.starts_with("build ") && !name.starts_with("link ") {
            return Ok(());
        }
        if rest.is_empty() {
            self.open.push(HashInput {
                name: name.to_owned(),
                parts: Vec::new(),
                sum: String::new(),
            });
            return Ok(());
        }
        let rest = rest
            .strip_prefix(": ")
            .ok_or("a hash line without a value")?;
        let at = self
            .open
            .iter()
            .rposition(|hash| hash.name == name)
            .ok_or("a hash input that has not begun")?;
        if rest.starts_with('"') {
            let part = unquote(rest).ok_or("a hash input that is not a quoted string")?;
            self.open[at].parts.push(part);
        } else {
            let mut hash = self.open.remove(at);
            rest.clone_into(&mut hash.sum);
            self.script.hashes.push(hash);
        }
        Ok(())
    }
}

/// The programs that cmd/go starts while it builds packages.
fn is_known(command: &Command) -> bool {
    let has = |flag: &str| command.argv.iter().any(|arg| arg == flag);
    is_tool(&command.argv[0])
        // Every command line of compilerCmd has it.
        || has("-fmessage-length=0")
        || has("--cflags")
        || has("--libs")
        || command.argv[0].ends_with("swig")
}

fn echo(rest: &str) -> Option<Entry> {
    let line = rest.strip_suffix(" # internal")?;
    let (content, path) = if let Some(path) = line.strip_prefix("-n > ") {
        (Vec::new(), path)
    } else {
        let (text, path) = line.strip_prefix('\'')?.rsplit_once("' > ")?;
        (format!("{text}\n").into_bytes(), path)
    };
    Some(Entry::Write {
        path: path.to_owned(),
        content,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> Vec<Entry> {
        parse(text, "go1.27", &[]).unwrap().entries
    }

    #[test]
    fn the_steps_of_a_package_with_assembly() {
        let text = "\
mkdir -p $WORK/b005/

#
# internal/abi
#

echo -n > $WORK/b005/go_asm.h # internal
cd /go/src/internal/abi
/go/pkg/tool/linux_amd64/asm -p internal/abi -trimpath \"/go/src/internal/abi=>internal/abi;$WORK/b005=>\" -o $WORK/b005/symabis ./stub.s
cat >$WORK/b005/importcfg << 'EOF' # internal
# import config
packagefile internal/goarch=$WORK/b006/_pkg_.a
EOF
go tool pack r $WORK/b005/_pkg_.a $WORK/b005/stub.o # internal
go tool buildid -w $WORK/b005/_pkg_.a # internal
";
        let entries = entries(text);
        assert_eq!(entries.len(), 5);
        let Entry::Run(asm) = &entries[1] else {
            panic!()
        };
        assert_eq!(asm.argv.last().unwrap(), "/go/src/internal/abi/stub.s");
        assert_eq!(
            entries[2],
            Entry::Write {
                path: "$WORK/b005/importcfg".into(),
                content: b"# import config\npackagefile internal/goarch=$WORK/b006/_pkg_.a\n"
                    .to_vec()
            }
        );
        assert_eq!(
            entries[3],
            Entry::Pack {
                archive: "$WORK/b005/_pkg_.a".into(),
                members: vec!["$WORK/b005/stub.o".into()]
            }
        );
    }

    #[test]
    fn tools_that_older_releases_ship_are_internal_steps_too() {
        assert_eq!(
            entries("/go/pkg/tool/linux_amd64/buildid -w $WORK/b006/_pkg_.a # internal\n"),
            [Entry::Stamp {
                path: "$WORK/b006/_pkg_.a".into()
            }]
        );
    }

    #[test]
    fn a_heredoc_without_a_final_newline() {
        let text =
            "cat >$WORK/b001/embedcfg << 'EOF' # internal\n{\n\t\"Files\": {}\n}EOF\nmkdir -p x\n";
        assert_eq!(
            entries(text),
            [Entry::Write {
                path: "$WORK/b001/embedcfg".into(),
                content: b"{\n\t\"Files\": {}\n}".to_vec()
            }]
        );
    }

    #[test]
    fn hash_inputs_are_collected_by_name() {
        let text = "\
HASH[moduleIndex]
HASH[build a]
HASH[build a]: \"go1.27\"
HASH /x/y.go: 00
HASH[build a]: \"file y.go \\\"x\\\"\\n\"
HASH[build a]: abcd
HASH subkey abcd \"srcfiles\" = ef
";
        assert_eq!(
            parse(text, "go1.27", &[]).unwrap().hashes,
            [HashInput {
                name: "build a".into(),
                parts: vec![b"go1.27".to_vec(), b"file y.go \"x\"\n".to_vec()],
                sum: "abcd".into()
            }]
        );
    }

    #[test]
    fn what_go_says_in_a_dry_run_is_told_from_its_commands() {
        let text = "go: downloading x\nmkdir -p $WORK/b005/\n\n#\n# internal/abi\n#\n\ncd /go/src\ncat >$WORK/b005/importcfg << 'EOF' # internal\n# import config\nEOF\n/go/pkg/tool/linux_amd64/asm -o $WORK/b005/x ./x.s\nHASH[build a]\n# example.com/m\n./main.go:1:1: no\n\tmore of it\n";
        assert_eq!(
            said(text, &[]),
            "go: downloading x\n# example.com/m\n./main.go:1:1: no\n\tmore of it"
        );
    }

    #[test]
    fn an_unknown_line_is_an_error_that_names_it() {
        for line in [
            "go tool frobnicate x # internal",
            "if true; then | x",
            "cp a b c",
        ] {
            let error = parse(&format!("mkdir -p x\n{line}\n"), "go9.9", &[]).unwrap_err();
            assert_eq!((error.number, error.line.as_str()), (2, line));
        }
    }

    #[test]
    fn a_heredoc_that_does_not_end_is_an_error() {
        let text = "cat >$WORK/b001/importcfg << 'EOF' # internal\nx\n";
        assert_eq!(
            parse(text, "go1.27", &[]).unwrap_err().why,
            "the heredoc does not end"
        );
    }
}

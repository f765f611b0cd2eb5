//! pkg-config, which a dry run names and does not run.

use std::path::Path;

use crate::dryrun::command::Command;
use crate::error::PlanError;
use crate::gocmd::{Answer, GoCommand};
use crate::host::Host;

/// What pkg-config said for one package.
#[derive(Debug, Default, Clone)]
pub(crate) struct PkgConfigFlags {
    pub cflags: Vec<String>,
    pub ldflags: Vec<String>,
}

/// Runs the invocations that the dry run printed for a package (`getPkgConfigFlags` in cmd/go/internal/work/exec.go).
/// What they said is added to `answers`.
pub(crate) fn ask(
    host: &dyn Host,
    go: &GoCommand,
    package: &str,
    commands: &[Command],
    answers: &mut Vec<Answer>,
) -> Result<PkgConfigFlags, PlanError> {
    let mut flags = PkgConfigFlags::default();
    for command in commands {
        let output = host.run_tool(go, &command.argv, Path::new(&command.cwd))?;
        let fail = |detail: String| PlanError::Tool {
            program: command.argv.join(" "),
            detail,
        };
        if !output.status.success() {
            let said = format!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
            return Err(PlanError::Go {
                text: format!(
                    "# {package}\n# [{}]\n{}",
                    described(&command.argv),
                    said.trim_end()
                ),
                exit_code: 1,
            });
        }
        answers.push(Answer {
            argv: command.argv.clone(),
            cwd: command.cwd.clone(),
            said: Some(output.stdout.clone()),
        });
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let split = split(&text)
            .ok_or_else(|| fail(format!("its output has an unfinished quote: {text}")))?;
        if command.argv.iter().any(|arg| arg == "--cflags") {
            flags.cflags.extend(split);
        } else {
            flags.ldflags.extend(split);
        }
    }
    Ok(flags)
}

/// The command line as cmd/go shows it when it fails.
fn described(argv: &[String]) -> String {
    let end = argv.iter().position(|arg| arg == "--");
    let end = end.unwrap_or(argv.len());
    let (before, names) = argv.split_at(end);
    let (question, flags) = before.split_at(before.len().min(2));
    format!(
        "{} {} -- {}",
        question.join(" "),
        flags.join(" "),
        names.get(1..).unwrap_or_default().join(" ")
    )
}

/// Splits as a POSIX shell would: blanks separate, backslash and both kinds of quotes protect.
fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some('"'), '\\') => match chars.next()? {
                c @ ('$' | '`' | '"' | '\\') => word.get_or_insert_default().push(c),
                '\n' => {}
                c => word.get_or_insert_default().extend(['\\', c]),
            },
            (Some(q), c) if c == q => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\\') => match chars.next()? {
                '\n' => {}
                c => word.get_or_insert_default().push(c),
            },
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_ascii_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn output_is_split_as_a_shell_would() {
        assert_eq!(
            split("-I/a\\ b \"-DX=\\\"1\\\"\" '-L/c d' -lm\n").unwrap(),
            ["-I/a b", "-DX=\"1\"", "-L/c d", "-lm"]
        );
        assert_eq!(split("").unwrap(), Vec::<String>::new());
        assert_eq!(split("'abc"), None);
    }
}

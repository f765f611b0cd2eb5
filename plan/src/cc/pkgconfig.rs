//! pkg-config, which a dry run names and does not run.

use std::path::Path;

use super::allowed::PkgConfigText;
use crate::dryrun::command::Command;
use crate::error::PlanError;
use crate::gocmd::{Answer, GoCommand};
use crate::host::Host;
use crate::unsayable;

/// What pkg-config said for one package.
#[derive(Debug, Default, Clone)]
pub(crate) struct PkgConfigFlags {
    pub cflags: Vec<String>,
    pub ldflags: Vec<String>,
}

/// Runs the invocations that the dry run printed for a package (`getPkgConfigFlags` in cmd/go/internal/work/exec.go), and has go look
/// at the flags. What was said is added to `answers`, and what go takes to `allowed`, of which it is not asked again.
pub(crate) fn ask(
    host: &dyn Host,
    (go, goroot): (&GoCommand, &str),
    package: &str,
    commands: &[Command],
    (answers, allowed): (&mut Vec<Answer>, &mut Vec<PkgConfigText>),
) -> Result<PkgConfigFlags, PlanError> {
    let refused = |text: String| PlanError::Go { text, exit_code: 1 };
    let mut said = PkgConfigText::default();
    let mut failure = None;
    for command in commands {
        let output = host.run_tool(go, &command.argv, Path::new(&command.cwd))?;
        if !output.status.success() {
            let words = format!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
            let command = described(&command.argv);
            let words = words.trim_end();
            failure = Some(refused(format!("# {package}\n# [{command}]\n{words}")));
            break;
        }
        answers.push(Answer {
            argv: command.argv.clone(),
            cwd: command.cwd.clone(),
            said: Some(output.stdout.clone()),
        });
        let text = match command.argv.get(1).map(String::as_str) {
            Some("--cflags") => &mut said.cflags,
            _ => &mut said.libs,
        };
        text.push_str(&String::from_utf8_lossy(&output.stdout));
    }
    // What was said before the failure comes first.
    if said != PkgConfigText::default() && !allowed.contains(&said) {
        if let Some(why) = host.refused_flags(go, goroot, &said)? {
            return Err(refused(format!("{package}: {why}")));
        }
        allowed.push(said.clone());
    }
    for text in [&said.cflags, &said.libs] {
        unsayable::refuse_work("what pkg-config says", text.trim())?;
    }
    let split = |text: &str| {
        split(text.trim()).map_err(|why| {
            PlanError::Inconsistent(format!("go takes the flags of pkg-config: {why}: {text}"))
        })
    };
    match failure {
        Some(failure) => Err(failure),
        None => Ok(PkgConfigFlags {
            cflags: split(&said.cflags)?,
            ldflags: split(&said.libs)?,
        }),
    }
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

/// Splits as a POSIX shell would: blanks separate, backslash and both kinds of quotes protect. What a shell would do more with is
/// refused, in cmd/go's words (`splitPkgConfigOutput` in cmd/go/internal/work/exec.go).
fn split(text: &str) -> Result<Vec<String>, String> {
    const UNFINISHED: &str = "unterminated quoted string in pkgconf output";
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some('\''), c) => word.get_or_insert_default().push(c),
            (Some(_), '\\') => match chars.next().ok_or(UNFINISHED)? {
                c @ ('$' | '`' | '"' | '\\') => word.get_or_insert_default().push(c),
                '\n' => {}
                c => word.get_or_insert_default().extend(['\\', c]),
            },
            (Some(_), '`' | '$') | (None, '|' | '&' | ';' | '<' | '>' | '(' | ')' | '$' | '`') => {
                return Err(format!(
                    "unexpected shell character '{c}' in pkgconf output"
                ));
            }
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\\') => match chars.next() {
                None => return Err("broken character escaping in pkgconf output".to_owned()),
                Some('\n') => {}
                Some(c) => word.get_or_insert_default().push(c),
            },
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ' | '\t' | '\n') => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    match quote {
        Some(_) => Err(UNFINISHED.to_owned()),
        None => Ok(words),
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn output_is_split_as_a_shell_would() {
        assert_eq!(
            split("-I/a\\ b \"-DX=\\\"1\\\"\" '-L/c d' -lm").unwrap(),
            ["-I/a b", "-DX=\"1\"", "-L/c d", "-lm"]
        );
        assert_eq!(split("").unwrap(), Vec::<String>::new());
        assert_eq!(split("-D'a$b' \"c\\`d\"").unwrap(), ["-Da$b", "c`d"]);
    }

    #[test]
    fn what_a_shell_would_do_more_with_is_refused_in_the_words_of_go() {
        for (text, why) in [
            (
                "-I`pwd`",
                "unexpected shell character '`' in pkgconf output",
            ),
            (
                "-I\"$HOME\"",
                "unexpected shell character '$' in pkgconf output",
            ),
            ("a;b", "unexpected shell character ';' in pkgconf output"),
            ("'abc", "unterminated quoted string in pkgconf output"),
            ("\"abc\\", "unterminated quoted string in pkgconf output"),
            ("abc\\", "broken character escaping in pkgconf output"),
        ] {
            assert_eq!(split(text), Err(why.to_owned()), "{text}");
        }
    }
}

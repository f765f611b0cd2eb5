//! Names that a dry run cannot say: cmd/go writes `$WORK` for its own folder, which a user's text may hold, too, and quotes what is no
//! UTF-8.

use crate::dryrun::script::{Script, ScriptError};
use crate::error::PlanError;
use crate::roots::Roots;

/// What cmd/go writes for its own folder (`Shell.fmtCmd` in cmd/go/internal/work/shell.go).
const WORK: &str = "$WORK";

fn refused(what: String) -> PlanError {
    PlanError::Unsupported {
        what,
        why: "the go command's dry run has that word for a folder of its own; rename it".to_owned(),
    }
}

/// Refuses a text of the user's that holds the name of cmd/go's own folder.
pub(crate) fn refuse_work(what: &str, text: &str) -> Result<(), PlanError> {
    match text.contains(WORK) {
        true => Err(refused(format!("{WORK} in {what} ({text})"))),
        false => Ok(()),
    }
}

/// The same for all that a build is made of. What goes into an action's identity never has cmd/go's own folder in it, which is another
/// one each time; so it is the user's where it stands there, in a flag, in a #cgo line or in the name of a file.
pub(crate) fn refuse_work_in(script: &Script, roots: &Roots) -> Result<(), PlanError> {
    for (folder, _) in roots.entries() {
        refuse_work("the name of a folder", folder)?;
    }
    let parts = script.hashes.iter().flat_map(|hash| &hash.parts);
    let holds = |part: &&Vec<u8>| part.windows(WORK.len()).any(|word| word == WORK.as_bytes());
    match parts.into_iter().find(holds) {
        None => Ok(()),
        Some(part) => Err(refused(format!(
            "{WORK} in a flag or the name of a file ({})",
            around(&String::from_utf8_lossy(part))
        ))),
    }
}

/// The word, and what stands beside it.
fn around(part: &str) -> String {
    let (before, after) = part.split_once(WORK).unwrap_or_default();
    let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\\');
    let before = before.rsplit(is_end).next().unwrap_or_default();
    let after = after.split(is_end).next().unwrap_or_default();
    format!("{before}{WORK}{after}")
}

/// What a line that is not understood means, where it holds a name that is no UTF-8.
pub(crate) fn explained(error: ScriptError, stderr: &[u8]) -> PlanError {
    let line = stderr.split(|&byte| byte == b'\n').nth(error.number - 1);
    // As strconv.Quote has a byte that is part of no character.
    let is_escape = |bytes: &[u8]| matches!(bytes, [b'\\', b'x', b'8' | b'9' | b'a'..=b'f', ..]);
    let is_unsayable = line
        .is_some_and(|line| std::str::from_utf8(line).is_err() || line.windows(3).any(is_escape));
    match is_unsayable {
        true => PlanError::Unsupported {
            what: "the name of a file or folder that is no UTF-8".to_owned(),
            why: format!(
                "actions name files by text; rename it (line {} of the dry run)",
                error.number
            ),
        },
        false => PlanError::Script(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dryrun::script::{HashInput, parse};

    fn script(part: &str) -> Script {
        Script {
            hashes: vec![HashInput {
                name: "build a".to_owned(),
                parts: vec![b"go1.26\n".to_vec(), part.as_bytes().to_vec()],
                sum: String::new(),
            }],
            ..Script::default()
        }
    }

    #[test]
    fn the_word_for_the_go_commands_own_folder_is_refused_wherever_the_user_has_it() {
        let roots = |folder: &str| Roots::new("/go", "/mod", Some(folder));
        assert!(refuse_work_in(&script("file a.go 00\n"), &roots("/w")).is_ok());
        assert!(refuse_work_in(&script("file $WORK.go 00\n"), &roots("/w")).is_err());
        assert!(refuse_work_in(&script("CC=[\"-DX=$WORK/b001\"]\n"), &roots("/w")).is_err());
        assert!(refuse_work_in(&script("file a.go 00\n"), &roots("/$WORK/b001")).is_err());
    }

    #[test]
    fn a_name_that_is_no_utf_8_is_no_defect() {
        for (line, is_defect) in [
            (
                &b"compile -o $WORK/b001/_pkg_.a \"./x\\xff.go\" > y"[..],
                false,
            ),
            (b"cp ./x\xff.go a b", false),
            (b"compile -o $WORK/b001/_pkg_.a \"./x\\x01.go\" > y", true),
        ] {
            let text = [b"mkdir -p x\n", line, b"\n"].concat();
            let mut error = parse("mkdir -p x\nif true; then | x\n", "go9.9", &[]).unwrap_err();
            error.number = 2;
            assert_eq!(
                matches!(explained(error, &text), PlanError::Script(_)),
                is_defect
            );
        }
    }
}
